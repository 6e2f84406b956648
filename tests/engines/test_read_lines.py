"""The rows and counts that an engine gives for the lines of files."""

import gzip
import json

import pytest

from jobs.fields import FIELDS
from jobs.lines.chunks import LineCount
from jobs.lines.files import listed

EVENT = json.dumps({"event": "a", "timestamp": "2021-01-01T00:00:00Z", "device": "ü"})
BAD = b"\xff" * 3

# The stored bytes of a file, and these bytes unpacked and in UTF-8.
FILES = {
    "lines.json": (plain := f"\ufeff{EVENT}\r\n\n{EVENT}\n".encode(), plain),
    "empty.json": (b"", b""),
    "bad.json": (bad := BAD + b"\n" + EVENT.encode() + b"\n" + BAD, bad),
    "glued.json": (glued := f"{EVENT} {EVENT}{{}}\n".encode(), glued),
    "document.json": (document := f"[ {EVENT},\n {EVENT} ]\n".encode(), document),
    "packed.json": (gzip.compress(plain), plain),
    "UTF-16.json": (f"{EVENT}\n{EVENT}".encode("utf-16"), f"{EVENT}\n{EVENT}".encode()),
}


def as_read(lines, rewrite):
    return lines.select("file", "at", "source_file", "raw")


@pytest.fixture
def files(tmp_path):
    for name, (stored, _) in FILES.items():
        (tmp_path / name).write_bytes(stored)
    return [listed(tmp_path / name, tmp_path) for name in FILES]


def test_each_line_knows_its_file_and_its_place_there(engine, files, rows_of):
    read = engine.read_lines(files, FIELDS, as_read)
    contents = list(FILES.items())
    rows = rows_of(read.rows)
    for number, at, source_file, raw in rows:
        name, (_, content) = contents[number]
        assert source_file == name
        assert content[at:].decode(errors="replace").startswith(raw)
    places = [(number, at) for number, at, _, _ in rows]
    assert len({*places}) == len(places) == 14


def test_what_was_read_is_counted_for_each_file(engine, files):
    size = len(EVENT.encode())
    assert list(engine.read_lines(files, FIELDS, as_read).counts) == [
        LineCount(3 + 2 * size + 4, 2 * size, 2),
        LineCount(0, 0, 0),
        LineCount(size + 8, size + 6, 3),
        LineCount(2 * size + 4, 2 * size + 2, 3),
        LineCount(2 * size + 8, 2 * size, 2),
        LineCount(3 + 2 * size + 4, 2 * size, 2),
        LineCount(2 * size + 1, 2 * size, 2),
    ]
