"""The files that a run takes for events, those it passes over, and those it refuses."""

import bz2
import gzip
import json

import pytest
from backports import zstd

from jobs.tables import APP_LOADED, REJECTED_EVENTS, TABLES
from jobs.verify.job import JOB as VERIFY
from tests.support import published
from tests.support.runs import TABLE_JOBS

pytestmark = pytest.mark.slow

LOAD = {"event": "app_loaded", "timestamp": "2021-01-05T10:00:00Z"}


def load(number):
    return json.dumps(LOAD | {"initiator_id": number}).encode() + b"\n"


def write(folder, files):
    for name, content in files.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def users(prefix):
    """The initiator_id of each app_loaded event."""
    position = APP_LOADED.column_names.index("initiator_id")
    return sorted(int(row[position]) for row in published.rows(prefix, APP_LOADED))


def test_files_of_all_names_in_all_folders_are_read(run, tmp_path):
    names = (
        "day1.jsonl",
        "day2.JSONL",
        "day3.log",
        "part-00000",
        "dt=2021-01-09/x.json",
    )
    packed = ("day4.json.gz", "aBcD12/1614556800000/1614556801.aa11bb.1.1.2.gz")
    files = {name: load(n) for n, name in enumerate(names)}
    files |= {name: gzip.compress(load(n)) for n, name in enumerate(packed, start=10)}
    files |= {"day5.jsonl.zst": zstd.compress(load(20))}
    files |= {"day6.JSON.bz2": bz2.compress(load(21))}
    files |= {"day7.jsonl.gzip": gzip.compress(load(22)), "day8.jsonl.gz": load(23)}
    write(tmp_path, files | {"users.csv": b"user_id\n", "videos.csv": b"video_id\n"})
    write(tmp_path, {"notes/orders.csv": b"a,b\n", "left/out.jsonl": b"no event"})
    ended = run(*TABLE_JOBS, input_exclude="left")
    assert ended.code == 0, ended.error
    assert users(tmp_path / "out") == [0, 1, 2, 3, 4, 10, 11, 20, 21, 22, 23]
    assert "  in/notes/orders.csv: unknown ending .csv\n" in ended.out
    assert "INPUT_EXCLUDE leaves out 1 " in ended.out
    split = published.ledger(tmp_path / "out")["jobs"][0]
    assert split["passed_over"] == {"in/notes/orders.csv": "unknown ending .csv"}


@pytest.mark.long_on_spark
def test_hundreds_of_files_that_are_passed_over_are_counted_on_the_terminal(
    run, tmp_path
):
    write(tmp_path, {f"{n:03}.csv": b"" for n in range(300)} | {"a.json": load(1)})
    write(tmp_path, {"\x1b[31m.csv": b""})
    ended = run(*TABLE_JOBS)
    assert "for lack of events: 301 files" in ended.out
    assert ended.out.count(".csv: empty\n") == 20
    assert "\x1b" not in ended.out
    assert "… and 281 more, which the ledger names." in ended.out
    assert len(published.ledger(tmp_path / "out")["jobs"][0]["passed_over"]) == 301


REFUSED = {
    "a page of HTML": (
        {"day2.jsonl": b'<?xml version="1.0"?>\n<Error>AccessDenied</Error>'},
        "/in/day2.jsonl: it is XML, such as an error page; replace it, or set"
        " INPUT_EXCLUDE=day2.jsonl",
    ),
    "events of another name": (
        {"day2.jsn": load(2)},
        "/in/day2.jsn: it has events, but no event file's name; rename it to end in"
        " .jsonl, or set INPUT_EXCLUDE=day2.jsn",
    ),
    "an empty folder": (
        {"day1.jsonl": None},
        "/in: no event file is there; its name ends in .json, .jsonl or .ndjson, with"
        " or without .gz, .zst or .bz2, and begins with neither . nor _",
    ),
    "a folder of other files": (
        {"day1.jsonl": None, "day.png": b"\x89PNG\r\n\x1a\n\0"},
        " begins with neither . nor _; passed over: in/day.png (unknown ending .png)",
    ),
    "no line": (
        {"day1.jsonl": b"\n\n", "b.txt": b"?"},
        "/in: no line in 1 event file; passed over: in/b.txt (no JSON object among its"
        " first lines)",
    ),
}


@pytest.mark.long_on_spark
def test_an_input_that_is_something_else_is_named_and_the_tables_stay(run, tmp_path):
    prefix = tmp_path / "out"
    write(tmp_path, {"day1.jsonl": load(1)})
    assert run(*TABLE_JOBS).code == 0
    before = {table: published.files(prefix, table) for table in TABLES}
    for number, (what, (files, error)) in enumerate(REFUSED.items()):
        folder = tmp_path / str(number)
        contents = {"day1.jsonl": load(1)} | files
        (folder / "in").mkdir(parents=True)
        write(folder, {name: c for name, c in contents.items() if c is not None})
        ended = run(*TABLE_JOBS, input_data_path=folder / "in")
        assert ended.code == 3, what
        assert error in ended.error, what
        assert str(folder) in ended.error, what
        assert {table: published.files(prefix, table) for table in TABLES} == before


@pytest.mark.long_on_spark
@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("in", ["in/x/a.json", "in/x/b.json"]),
        ("in/", ["in/x/a.json", "in/x/b.json"]),
        ("in/x/../x", ["x/a.json", "x/b.json"]),
        ("in/*/a.*", ["in/x/a.json"]),
        ("in/x/a.json", ["a.json"]),
    ],
)
def test_a_source_file_begins_with_the_last_part_of_a_relative_input(
    run, tmp_path, monkeypatch, path, names
):
    write(tmp_path, {"x/a.json": b"1\n" + load(1), "x/b.json": b"2\n" + load(2)})
    monkeypatch.chdir(tmp_path)
    ended = run(*TABLE_JOBS, input_data_path=path, max_rejected_ratio=1)
    assert ended.code == 0, ended.error
    position = REJECTED_EVENTS.column_names.index("source_file")
    rows = published.rows(tmp_path / "out", REJECTED_EVENTS)
    assert sorted(row[position] for row in rows) == names


def test_readers_of_a_prefix_that_does_not_exist_make_nothing(run, tmp_path):
    ended = run(VERIFY, output_data_path_prefix=tmp_path / "nowhere" / "out")
    assert ended.code == 3
    assert ended.error == f"error: {tmp_path}/nowhere/out: there are no tables yet"
    assert not (tmp_path / "nowhere").exists()
