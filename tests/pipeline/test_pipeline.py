"""The whole pipeline, compared with the reference in plain Python."""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jobs.settings import DELTA, PARQUET
from jobs.tables import TABLES, USER_REGISTRATION, USER_SESSIONS
from tests.support import published
from tests.support.examples import of_runs
from tests.support.reference import (
    ReferenceSettings,
    event_lines,
    is_latin_1,
    reference_tables,
)
from tests.support.runs import TABLE_JOBS, run_jobs
from tests.support.strategies import event_files
from tests.support.strategies import settings as reference_settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark_for_all_tests")]


def run_on(
    folder: Path,
    files: Mapping[str, bytes],
    rules: ReferenceSettings = ReferenceSettings(),  # noqa: B008 - frozen
    table_format: str = PARQUET,
) -> Path:
    """Run all jobs on these files in this process; returns the prefix."""
    (folder / "in").mkdir()
    for name, content in files.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(content)
    ended = run_jobs(
        folder,
        *TABLE_JOBS,
        max_rejected_ratio=1,
        table_format=table_format,
        **asdict(rules),
    )
    assert ended.code == 0, ended.error
    return folder / "out"


def run_in_new_folder(files, *settings):
    with tempfile.TemporaryDirectory() as folder:
        prefix = run_on(Path(folder), files, *settings)
        return published.everything(prefix), published.ledger(prefix)


def comparable(value: object) -> object:
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return value


def shown(rate: Fraction | None) -> str:
    return (
        "n/a" if rate is None else f"{floor(rate * 10_000 + Fraction(1, 2)) / 100:.2f}%"
    )


def of_reference(tables):
    """The rows of the reference in the form of ``published.everything``."""
    return {
        table.name: sorted(
            (
                tuple(
                    (
                        str(row[column.name])
                        if column == table.partition
                        and isinstance(row[column.name], date)
                        else comparable(row[column.name])
                    )
                    for column in table.schema
                )
                for row in tables[table.name]
            ),
            key=repr,
        )
        for table in TABLES
    }


def without_source_file(tables):
    """The tables without the column that depends on how lines are split into files."""
    return tables | {
        "rejected_events": sorted({(r[0], r[2]) for r in tables["rejected_events"]})
    }


IGNORED = b'{"event": "page_view"}'


def is_one_line(line):
    """Whether a file of objects, one a line, has these bytes as one line."""
    content = IGNORED + b"\n" + line
    return len(list(event_lines("x.jsonl", content))) == 2


def has_lines(files):
    """Whether a run of these files has lines, and no file ends it."""
    return any(event_lines(*file) for file in files.items()) and not any(
        is_latin_1(*file) for file in files.items()
    )


@of_runs()
@given(
    event_files().filter(has_lines),
    reference_settings(),
    st.sampled_from([PARQUET, DELTA]),
)
def test_every_table_and_count_equals_the_reference(files, rules, table_format):
    expected = reference_tables(files, rules)
    assume(expected.counts["stored"].total())
    tables, ledger = run_in_new_folder(files, rules, table_format)
    for name, rows in of_reference(expected.tables).items():
        assert tables[name] == rows, name
    position = USER_SESSIONS.column_names.index("event_count")
    in_sessions = sum(row[position] for row in tables["user_sessions"])
    assert in_sessions == len(tables["playback_events"])
    assert len(tables["fact_user_session"]) == len(tables["user_sessions"])
    split, _, conversion = ledger["jobs"]
    lines, counts = split["lines"], expected.counts
    assert lines["read"] == counts["read"]
    for outcome in ("stored", "duplicates", "ignored", "rejected"):
        assert Counter(lines[outcome]) == Counter(counts[outcome]), outcome
    accounted = (lines[o] for o in ("stored", "duplicates", "ignored", "rejected"))
    assert lines["read"] == sum(sum(counted.values()) for counted in accounted)
    assert conversion["headline"] == f"Metric: {shown(expected.metric)}"


@pytest.mark.long_on_spark
@of_runs()
@given(event_files().filter(has_lines), st.randoms(use_true_random=False))
def test_order_file_split_and_repeated_lines_change_no_table(files, random):
    csv = {name: content for name, content in files.items() if name.endswith(".csv")}
    lines = [
        line.encode(errors="surrogateescape")
        for name, content in files.items()
        for line in event_lines(name, content)
    ]
    # An element of a document, or the rest of one, need not be one line of its own.
    assume(all(is_one_line(line) for line in lines))
    assume(reference_tables(files).counts["stored"].total())
    tables, _ = run_in_new_folder(files)
    again = lines + random.sample(lines, len(lines) // 2)
    random.shuffle(again)
    cut = random.randint(0, len(again))
    split = {
        # A file that begins with a whole object is no document.
        "x.jsonl": b"\n".join([IGNORED, *again[:cut]]),
        "y.json": b"\r\n".join([IGNORED, *again[cut:]]) + b"\n",
    }
    shuffled, _ = run_in_new_folder(csv | split)
    assert without_source_file(shuffled) == without_source_file(tables)


def test_tables_without_rows_are_typed(tmp_path):
    event = {"event_name": "like", "timestamp": "2021-01-01 00:00:00", "user_id": "u"}
    prefix = run_on(tmp_path, {"e.jsonl": json.dumps(event).encode()})
    rows = published.everything(prefix)
    without_rows = [table for table in TABLES if not rows[table.name]]
    assert len(without_rows) == len(TABLES) - 3
    for table in without_rows:
        types = published.types(prefix, table)
        assert types | published.declared_types(table) == types


def test_columns_have_the_types_of_the_catalogue(tmp_path):
    lines = b"""
        {"event": "registered", "timestamp": "2021-01-01 00:00:00", "initiator_id": 1}
        {"event": "app_loaded", "timestamp": "2021-01-05 00:00:00", "initiator_id": 1}
        {"event_name": "like", "timestamp": "2021-01-05 00:00:00", "user_id": "u"}
        no JSON
    """
    users = b"user_id,signup_date\nu,2021-01-01\n"
    videos = b"video_id,duration_seconds\nv,1\n"
    files = {"e.jsonl": lines, "users.csv": users, "videos.csv": videos}
    prefix = run_on(tmp_path, files)
    for table in TABLES:
        assert published.types(prefix, table) == published.declared_types(table), table
        assert len(published.rows(prefix, table)) >= 1, table


@pytest.mark.long_on_spark
def test_the_folder_of_a_day_without_rows_disappears(tmp_path):
    line = '{{"event": "registered", "timestamp": "{} 00:00:00", "initiator_id": 1}}'
    days = [f"2021-01-0{n}" for n in (1, 2, 3)]
    for name, kept in (("first", days), ("second", days[1:])):
        (tmp_path / name).mkdir()
        if name == "second":
            (tmp_path / "first" / "out").rename(tmp_path / "second" / "out")
        content = "\n".join(line.format(day) for day in kept).encode()
        prefix = run_on(tmp_path / name, {"e.jsonl": content})
        folder = prefix / "user_registration" / "format=parquet"
        assert sorted(p.name for p in folder.glob("*=*")) == [
            f"derived_tstamp_day={day}" for day in kept
        ]
    assert len(published.files(prefix, USER_REGISTRATION)) == 2
    assert {p.suffix for p in folder.rglob("*") if p.is_file()} == {".parquet"}
    assert not any((prefix / "_tmp").iterdir())
