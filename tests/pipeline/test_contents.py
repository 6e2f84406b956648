"""Event files of every packing, encoding and layout."""

import bz2
import gzip
import json

import pytest
from backports import zstd

from jobs.tables import APP_LOADED, REJECTED_EVENTS
from tests.support import published
from tests.support.runs import TABLE_JOBS

pytestmark = pytest.mark.slow

EVENTS = [
    json.dumps(
        {"event": "app_loaded", "timestamp": "2021-01-05 10:00:00", "initiator_id": n}
    )
    for n in range(60)
]
PRETTY = [json.dumps(json.loads(event), indent=2) for event in EVENTS]
LINES = "\n".join(EVENTS)

# Each file has all events.
CONTENTS = {
    "array on one line.json": f"[{', '.join(EVENTS)}]".encode(),
    "arrays.json": f"[{','.join(EVENTS[:30])}]\n[{','.join(EVENTS[30:])}]".encode(),
    "bzip2.json": bz2.compress(LINES.encode()),
    "glued.json": "".join(EVENTS).encode(),
    "glued with blanks.jsonl": " \t".join(EVENTS).encode(),
    "gzip members.jsonl": b"".join(
        gzip.compress(f"{event}\n".encode()) for event in EVENTS
    ),
    "not gzip.jsonl.gz": LINES.encode(),
    "pretty array.json": ("[\n" + ",\n".join(PRETTY) + "\n]\n").encode(),
    "pretty objects.json": "\r\n".join(PRETTY).encode("utf-8-sig"),
    "pretty UTF-16.json": gzip.compress("\n".join(PRETTY).encode("utf-16")),
    "UTF-16.jsonl": LINES.encode("utf-16"),
    "zstd.jsonl": zstd.compress(LINES.encode()),
}


def write(folder, files):
    for name, content in files.items():
        (folder / "in" / name).write_bytes(content)


def accounted(prefix):
    return published.ledger(prefix)["jobs"][0]["lines"]


def test_all_events_are_read_however_a_file_is_written(run, tmp_path):
    write(tmp_path, CONTENTS)
    write(tmp_path, {"empty.json.gz": b""})
    ended = run(*TABLE_JOBS)
    assert ended.code == 0, ended.error
    lines = accounted(tmp_path / "out")
    assert lines["read"] == len(CONTENTS) * len(EVENTS)
    assert lines["rejected"] == {}
    assert lines["duplicates"]["app_loaded"] == (len(CONTENTS) - 1) * len(EVENTS)
    position = APP_LOADED.column_names.index("initiator_id")
    rows = published.rows(tmp_path / "out", APP_LOADED)
    assert sorted(int(row[position]) for row in rows) == list(range(60))


@pytest.mark.long_on_spark
def test_a_good_file_stands_beside_one_of_500_objects_on_one_line(run, tmp_path):
    many = [event.replace("2021-01-05", "2021-01-06") for event in EVENTS] * 9
    for layout in ("".join(many[:500]), f"[{', '.join(many[:500])}]"):
        write(tmp_path, {"day1.jsonl": LINES.encode(), "day2.json": layout.encode()})
        assert run(*TABLE_JOBS).code == 0
        lines = accounted(tmp_path / "out")
        assert (lines["read"], lines["rejected"]) == (560, {})


def test_what_is_no_event_is_rejected_as_it_stands_in_its_file(run, tmp_path):
    good = EVENTS[0]
    deep = '{"a": ' + "[" * 500 + "]" * 500 + "}"
    files = {
        "elements.json": f'[{good}, 7, "x",\n[{good}], {deep}, {good} ]',
        "broken.json": f"[{good},\n {{bad}}, {good}]\n\n",
        "no comma.json": f"[{good} {good}]",
        "cut off.json": f'[\n{good},\n{{"event":\n"app',
        "without its end.json": f"[{good},\n{good},",
        "half.jsonl": f"{good}{good[:20]}\n{good} {{}}x\n{good}",
        "text.jsonl": good.replace("}", ', "other": "} {"}'),
        "UTF-16.jsonl": None,
    }
    odd = good.encode("utf-16") + b"x"
    write(tmp_path, {n: c.encode() if c else odd for n, c in files.items()})
    ended = run(*TABLE_JOBS, max_rejected_ratio=1)
    assert ended.code == 0, ended.error
    assert {*published.rows(tmp_path / "out", REJECTED_EVENTS)} == {
        (raw, f"in/{name}", "malformed_json")
        for name, raw in [
            *(("elements.json", raw) for raw in ("7", '"x"', f"[{good}]", deep)),
            ("broken.json", f"{{bad}}, {good}]"),
            ("no comma.json", f"{good}]"),
            ("cut off.json", '{"event":\n"app'),
            ("half.jsonl", good[:20]),
            ("half.jsonl", f"{good} {{}}x"),
            ("UTF-16.jsonl", f"{good}\ufffd"),
        ]
    }
    lines = accounted(tmp_path / "out")
    assert lines["rejected"] == {"malformed_json": 10}
    assert lines["stored"]["app_loaded"] + lines["duplicates"]["app_loaded"] == 10
