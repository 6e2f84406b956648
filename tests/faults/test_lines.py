"""Files that made earlier readers lose lines or take too much memory."""

import gzip
import random
import re
from functools import partial
from itertools import starmap
from pathlib import Path

import pytest

from tests.faults.conftest import RATIO, finish, start
from tests.support import published

BOUNDARY = 32_000_000  # bytes in a buffer of DuckDB's CSV reader
EVENT = b'{"event": "app_loaded", "timestamp": "2021-01-01T00:00:00", "initiator_id": 1'
MEBIBYTE = 2**20
SPARE = 500 * 10**6  # bytes, in addition to MEMORY_LIMIT

# A process inherits ru_maxrss from its parent, so this reads VmHWM.
MEASURED = """
import re, runpy, sys
from pathlib import Path
try:
    runpy.run_module("jobs.events_split", run_name="__main__")
finally:
    [kilobytes] = re.findall(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
    print(int(kilobytes) * 1024, file=sys.stderr)
"""


def line(length: int, end: bytes = b"\n") -> bytes:
    """An event of this many bytes, including its line end."""
    event = EVENT + b', "x": "'
    return event + b"x" * (length - len(event) - 2 - len(end)) + b'"}' + end


# The lines of each file: the number of their bytes, and their line end.
LARGE = {
    "a last line without its end across a boundary": [
        *[(1000, b"\n")] * 31_999,
        *[(900, b"\n"), (200, b"")],
    ],
    "a last line of 32,000,000 bytes": [(1000, b"\n"), (BOUNDARY, b"\n")],
    "a last line of 32,000,000 bytes without its end": [(1000, b"\n"), (BOUNDARY, b"")],
    "a last line of 13 MB across a boundary": [
        *[(1000, b"\n")] * 25_000,
        (13_000_000, b""),
    ],
    "CR as byte 32,000,000 and LF as the next": [
        *[(1000, b"\r\n")] * 31_999,
        *[(1001, b"\r\n"), (1000, b"\r\n"), (1000, b"\r\n")],
    ],
    "a blank line at a boundary": [
        *[(1000, b"\n")] * 31_999,
        *[(1000, b"\n\n"), (1000, b"\n")],
    ],
}


def lines_read(path: Path, prefix: Path) -> int:
    """The number of lines that the first job reads, by its ledger."""
    process = start(path, prefix, python=("-m", "jobs.events_split"), **RATIO)
    code, error = finish(process)
    assert code == 0, error
    return int(published.ledger(prefix)["jobs"][0]["lines"]["read"])


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_every_line_of_large_files_is_read(tmp_path, ending):
    (tmp_path / "in").mkdir()
    for what, lines in LARGE.items():
        content = b"".join(starmap(line, lines))
        (tmp_path / "in" / f"{what}{ending}").write_bytes(
            gzip.compress(content, 1) if ending.endswith(".gz") else content
        )
    lines_read(tmp_path / "in", tmp_path / "out")
    files = published.ledger(tmp_path / "out")["jobs"][0]["event_files"]
    assert {file["name"]: file["lines"] for file in files} == {
        f"in/{what}{ending}": len(lines) for what, lines in LARGE.items()
    }


def write_packed(path: Path, *pieces: tuple[bytes, int]) -> None:
    """Write a packed file of pieces, each repeated this many times."""
    with gzip.open(path, "wb", 1) as file:
        for piece, times in pieces:
            file.write(piece * times)


def test_a_line_that_is_too_long_ends_the_run_even_if_it_is_packed_small(tmp_path):
    prefix = tmp_path / "out"
    path = tmp_path / "e.jsonl.gz"
    write_packed(path, (line(100), 1), (EVENT, 1), (b" " * MEBIBYTE, 300), (b"}", 1))
    assert path.stat().st_size < 2 * 10**6
    code, error = finish(start(tmp_path, prefix, **RATIO))
    assert (code, error) == (
        3,
        f"error: {path}: a line is longer than 134,217,728 bytes",
    )


LONG = {
    "127 MiB of numbers": (EVENT + b', "x": [1', b",1", b"]}"),
    "127 MiB that are rejected": (b'{"event": "registered", "x": [1', b",1", b"]}"),
    "127 MiB of wide characters": (EVENT + b', "x": "\xf0\x9f\x98\x80', b"xy", b'"}'),
    "127 MiB of bad UTF-8": (EVENT + b', "x": "', b"\xff\xff", b'"}'),
    "127 MiB of addresses": (b"{", b'"ip":"192.0.2.1",', b"1"),
}


QUICK = [("127 MiB of numbers", 1000), ("127 MiB of wide characters", 1000)]
ALL = [pytest.mark.long]


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        pytest.param(what, limit, marks=[] if (what, limit) in QUICK else ALL)
        for what in LONG
        for limit in (150, 1000)
    ],
)
def test_a_long_line_fits_into_the_memory_limit_or_ends_the_run(tmp_path, what, limit):
    begin, middle, end = LONG[what]
    times = (127 * MEBIBYTE - len(begin) - len(end)) // len(middle)
    write_packed(
        tmp_path / "e.jsonl.gz", (begin, 1), (middle, times), (end, 1), (b"\n", 1)
    )
    code, errors, peak = measured_run(tmp_path, tmp_path / "out", limit)
    assert peak < limit * 10**6 + SPARE
    assert (code, len(errors)) in ((0, 0), (1, 1))
    if errors:
        assert re.match(
            rf"error: (out of memory at MEMORY_LIMIT={limit}MB: |{tmp_path}/e.jsonl.gz:"
            r" a line of [0-9,]+ bytes may need more memory than MEMORY_LIMIT gives)",
            errors[0],
        )


def measured_run(path: Path, prefix: Path, limit: int) -> tuple[int, list[str], int]:
    """The exit code of the first job, its errors, and its peak of resident bytes."""
    process = start(
        path,
        prefix,
        python=("-c", MEASURED),
        MEMORY_LIMIT=f"{limit}MB",
        MAX_REJECTED_RATIO="1",
        LOG_LEVEL="ERROR",
    )
    _, stderr = process.communicate()
    assert "Traceback" not in stderr
    *errors, peak = stderr.splitlines()
    return process.returncode, errors, int(peak)


def check_stray_byte(tmp_path: Path, megabytes: int, limit: int) -> None:
    with (tmp_path / "e.jsonl").open("wb") as file:
        file.write(line(1000, b"\xff\n"))
        for _ in range(megabytes):
            file.write(line(1000) * 1000)
    code, errors, peak = measured_run(tmp_path, tmp_path / "out", limit)
    assert (code, errors) == (0, [])
    assert peak < limit * 10**6 + SPARE
    lines = published.ledger(tmp_path / "out")["jobs"][0]["lines"]
    assert lines["read"] == 1000 * megabytes + 1
    assert lines["rejected"] == {"malformed_json": 1}


def test_a_stray_byte_in_a_large_file_costs_no_memory(tmp_path):
    check_stray_byte(tmp_path, 100, 512)


@pytest.mark.long
def test_a_stray_byte_in_a_file_of_1200_megabytes_costs_no_memory(tmp_path, tried):
    check_stray_byte(tmp_path, 1200, 512)
    tried("1.2 GB with one stray byte at MEMORY_LIMIT=512MB")


@pytest.mark.long
def test_no_line_is_lost_at_500_boundaries_of_32_million_bytes(tmp_path, tried):
    chance = random.Random(0)
    ends = partial(chance.choice, (b"\n", b"\n", b"\r\n", b"\r\n\r\n"))
    for number in range(500):
        before = line(997) * 32_090
        around = b"".join(line(chance.randrange(100, 3000), ends()) for _ in range(40))
        last = line(chance.randrange(100, 2_000_000), chance.choice((b"", b"\n")))
        # The boundary is anywhere in the lines around it, or in the last line.
        at = chance.choice((chance.randrange(len(around)), len(around) + 50))
        skipped = len(before) + at - BOUNDARY
        content = line(997 - skipped % 997 + 200) + before[997 * (skipped // 997) :]
        content += around + last
        (tmp_path / "e.jsonl").write_bytes(content)
        expected = sum(bool(each) for each in content.splitlines())
        assert lines_read(tmp_path, tmp_path / "out") == expected, number
    tried("500 files over 32,000,000 bytes, each line counted")
