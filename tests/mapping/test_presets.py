"""Presets: what they make of the lines that their trackers write."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.events_split.job import JOB as EVENTS_SPLIT
from jobs.mapping import presets, read_mapping
from jobs.tables import EVENT_TABLES
from tests.support import published
from tests.support.processes import ROOT
from tests.support.reference import MappingRule, reference_tables

FIXTURES = Path(__file__).parent / "fixtures"
MOST_LINES = 15
PARTS = ("ignored", "rejected", "duplicates")

every_preset = pytest.mark.parametrize("preset", presets())


def expected(preset):
    """The rows of each table, without NULLs, and the counts of other lines."""
    return json.loads((FIXTURES / f"{preset}.expected.json").read_text("utf-8"))


def rule_of_reference(rule):
    return MappingRule(
        rule.family,
        {name: list(paths) for name, paths in rule.fields.items()},
        {path: list(texts) for path, texts in rule.when.items()},
        tuple(rule.pairs),
        tuple(rule.json),
        dict(rule.rename),
    )


def shown(row):
    """A row as the files of expected rows have it."""
    return {
        name: (
            value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            if isinstance(value, datetime)
            else str(value)
        )
        for name, value in row.items()
        if value is not None and name != "derived_tstamp_day"
    }


def in_order(rows):
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_there_is_a_preset_and_a_fixture_for_each_of_eight_trackers():
    assert presets() == (
        *("amplitude", "ga4", "matomo", "mixpanel"),
        *("posthog", "rudderstack", "segment", "snowplow"),
    )
    assert {file.stem for file in FIXTURES.glob("*.jsonl")} == {*presets()}


@every_preset
def test_a_preset_is_short(preset):
    file = ROOT / "jobs" / "mapping" / "presets" / f"{preset}.toml"
    lines = file.read_text("utf-8").splitlines()
    assert sum(not line.startswith("#") for line in lines) <= MOST_LINES


@every_preset
def test_at_least_three_kinds_of_line_are_not_mapped_and_none_is_rejected(preset):
    lines = (FIXTURES / f"{preset}.jsonl").read_text("utf-8").splitlines()
    want = expected(preset)
    assert sum(want["ignored"].values()) >= 3
    assert want["rejected"] == {}
    rows = sum(len(want[table.name]) for table in EVENT_TABLES)
    assert rows + sum(sum(want[part].values()) for part in PARTS) == len(lines)


# DuckDB reads and judges lines for both engines; Spark has to write these rows.
@pytest.mark.slow
@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(name, marks=[] if name == "ga4" else [pytest.mark.long_on_spark])
        for name in presets()
    ],
)
def test_a_run_makes_the_expected_rows(run, tmp_path, preset):
    shutil.copy(FIXTURES / f"{preset}.jsonl", tmp_path / "in" / "a.jsonl")
    ended = run(EVENTS_SPLIT, event_mapping=preset)
    assert ended.code == 0, ended.error
    want = expected(preset)
    for table in EVENT_TABLES:
        rows = published.typed_rows(tmp_path / "out", table)
        assert in_order(map(shown, rows)) == in_order(want[table.name])
    [job] = published.ledger(tmp_path / "out")["jobs"]
    lines = job["lines"]
    found = {part: {k: v for k, v in lines[part].items() if v} for part in PARTS}
    assert found == {part: want[part] for part in PARTS}
    kinds = {finding["kind"] for finding in job["findings"]}
    assert not kinds & {"rules_without_lines", "missing_paths"}


@every_preset
def test_the_reference_makes_the_expected_rows(preset):
    rules = [rule_of_reference(rule) for rule in read_mapping(preset).rules]
    files = {"a.jsonl": (FIXTURES / f"{preset}.jsonl").read_bytes()}
    found = reference_tables(files, mapping=rules)
    want = expected(preset)
    for table in EVENT_TABLES:
        rows = map(shown, found.tables[table.name])
        assert in_order(rows) == in_order(want[table.name])
    counts: dict[str, Any] = {**found.counts}
    assert {part: +counts[part] for part in PARTS} == {
        part: want[part] for part in PARTS
    }
