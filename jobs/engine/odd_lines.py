"""Lines that DuckDB's reader does not take, brought into a file that it does take.

It refuses a file with a line that is no UTF-8 or is very long, and splits a line at
its delimiter. Such a file is read here instead, slowly, and written as CSV.
"""

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from jobs.engine.inputs import line_too_long
from jobs.engine.json_lines import LONGEST_LINE

DELIMITER = "\U0010ffff"
"""Any character may stand in a line; this one means nothing, by definition."""

LONGEST_ORDINARY_LINE = 2_000_000
"""Bytes; DuckDB refuses lines from 2 MiB on."""

_CHUNK = 16 * 1024 * 1024
_UNDECODED = re.compile(r"[\ud800-\udfff]")


def is_odd(path: Path) -> bool:
    """Whether the file has a line that DuckDB's reader does not take."""
    return any(_is_odd(chunk) for chunk in _chunks_of_whole_lines(path))


def write_lines(path: Path, source_file: str, target: Path) -> None:
    """Write a row for each line: source_file, whether it is UTF-8, and the line.

    What is no UTF-8 is replaced by U+FFFD.

    Raises:
        InputError: a line is longer than LONGEST_LINE.
    """
    with target.open("w", encoding="utf-8", newline="") as rows:
        writer = csv.writer(rows, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for line in _lines(path):
            is_text = not _UNDECODED.search(line)
            if not is_text:
                undecoded = line.encode(errors="surrogateescape")
                line = undecoded.decode(errors="replace")
            writer.writerow((source_file, is_text, line))


def _is_odd(chunk: bytes) -> bool:
    if DELIMITER.encode() in chunk:
        return True
    if any(len(line) > LONGEST_ORDINARY_LINE for line in chunk.splitlines()):
        return True
    try:
        chunk.decode()
    except UnicodeDecodeError:
        return True
    return False


def _chunks_of_whole_lines(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        rest = b""
        while read := file.read(_CHUNK):
            whole, end, rest = (rest + read).rpartition(b"\n")
            yield whole + end
            if len(rest) > LONGEST_ORDINARY_LINE:
                yield rest
        yield rest


def _lines(path: Path) -> Iterable[str]:
    with io.TextIOWrapper(
        _opened(path), encoding="utf-8", errors="surrogateescape"
    ) as file:
        while line := file.readline(LONGEST_LINE + 1):
            if len(line.encode(errors="surrogateescape")) > LONGEST_LINE:
                raise line_too_long(path)
            yield line.removesuffix("\n")


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, (gzip.open if path.suffix == ".gz" else open)(path, "rb"))
