"""Cuts files into chunks of whole lines.

Only this module counts bytes: a chunk begins where the chunk before it ended, so no
byte is lost between two chunks. A document is cut between its elements, which are its
lines, and a file of lines after line ends.
"""

import io
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.errors import InputError
from jobs.lines.elements import Document, Span, is_document, objects_of_line
from jobs.lines.exact import LONGEST_LINE
from jobs.lines.files import EventFile, LineRange, has_ranges, open_unpacked, whole

CHUNK_SIZE = 8_000_000
"""Unpacked bytes. A chunk is larger only if a single line is larger."""

SHORT_CHUNK = 1024 * 1024
"""Unpacked bytes, where only the first ones are wanted."""

_LF, _CR = ord("\n"), ord("\r")
_SPACE = b" \t\n\r"
_SHORT_SEARCH = 64 * 1024  # bytes at the end of a chunk, mostly with a line end

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Chunk:
    """A part of a file, unpacked and in UTF-8.

    Attributes:
        range: the range that it is a part of.
        at: the place of its first byte in the whole file.
        data: the bytes: whole lines.
        spans: the lines, if they are already known.
        goes_on: whether the first line is the rest of a longer one, of which only
            objects were taken.
    """

    range: LineRange
    at: int
    data: Bytes
    spans: Sequence[Span] | None = None
    goes_on: bool = False


class _Window:
    """A part of a range's bytes, unpacked and in UTF-8, that moves on to its end.

    Attributes:
        at: the place of the first byte in the whole file.
        data: the bytes.
        is_last: whether the range ends with them.
    """

    def __init__(self, lines: LineRange, source: io.RawIOBase, size: int) -> None:
        self.at = lines.start
        self.data = np.empty(0, np.uint8)
        self.is_last = False
        self._source = source
        self._size = size
        self._read = self.data
        self.move(0)

    @property
    def searched(self) -> memoryview:
        """The bytes, and a line feed after the last byte of the range."""
        return self._read.data

    def move(self, cut: int, least: int = 0) -> None:
        """Drop the bytes before ``cut``, and read more, at least this many."""
        rest = self.data[cut:]
        buffer = np.empty(len(rest) + max(self._size, least) + 1, np.uint8)
        buffer[: len(rest)] = rest
        filled = len(rest) + _fill(self._source, buffer[len(rest) : -1].data)
        self.is_last = filled < len(buffer) - 1
        buffer[filled] = _LF
        self.at += cut
        self.data = buffer[:filled]
        self._read = buffer[: filled + self.is_last]


def chunks_of(lines: LineRange, size: int = CHUNK_SIZE) -> Generator[Chunk]:
    """The chunks of a range, cut after line ends or elements of a document.

    Raises:
        InputError: the file cannot be read, or has a line that is too long.
    """
    with open_unpacked(lines) as source:
        window = _Window(lines, source, size)
        is_whole_document = lines.start == 0 and _is_document(window)
        cut = _chunks_of_document if is_whole_document else _chunks_of_lines
        yield from cut(lines, window)


def split(file: EventFile, size: int, number: int = 0) -> Iterator[LineRange]:
    """The lines of a file in ranges of about this size.

    A file that is packed, in UTF-16 or a document is one range.

    Raises:
        InputError: the file cannot be read as it was listed.
    """
    start = 0
    has_parts = file.size > size and has_ranges(file) and not _has_document(file)
    while has_parts and file.size - start > size:
        end = _after_line_feed(LineRange(file, number, start + size, file.size))
        yield LineRange(file, number, start, end)
        start = end
    if start < file.size or start == 0:
        yield LineRange(file, number, start, file.size)


def _after_line_feed(lines: LineRange) -> int:
    """The place after the first line feed; the end of the range if it has none."""
    position = lines.start
    with open_unpacked(lines) as source:
        while read := source.read(_SHORT_SEARCH):
            if found := read.find(b"\n") + 1:
                return position + found
            position += len(read)
    return lines.end


def _has_document(file: EventFile) -> bool:
    with open_unpacked(whole(file)) as source:
        return _is_document(_Window(whole(file), source, SHORT_CHUNK))


def _is_document(window: _Window) -> bool:
    while (found := is_document(window.searched, window.is_last)) is None:
        known = len(window.data)
        if known > LONGEST_LINE:
            return False
        window.move(0, least=min(known, LONGEST_LINE + 1 - known))
    return found


def _chunks_of_lines(lines: LineRange, window: _Window) -> Iterator[Chunk]:
    goes_on = False
    while True:
        data = window.data
        cut = len(data) if window.is_last else _after_last_line(data)
        if cut:
            yield Chunk(lines, window.at, data[:cut], goes_on=goes_on)
            goes_on = False
        if window.is_last:
            return
        if len(data) - cut > LONGEST_LINE:
            # The last object that was found may go on after these bytes.
            found = objects_of_line(data[cut:].data)
            if len(found) < 2:
                raise line_too_long(lines.file)
            end, _ = found.pop()
            taken = data[cut : cut + end]
            yield Chunk(lines, window.at + cut, taken, found)
            cut += end
            goes_on = True
        window.move(cut)


def _chunks_of_document(lines: LineRange, window: _Window) -> Iterator[Chunk]:
    document = Document()
    while True:
        elements, end = document.elements(window.searched)
        cut = min(end, len(window.data))
        yield Chunk(lines, window.at, window.data[:cut], elements)
        if document.is_broken or window.is_last:
            break
        rest = len(window.data) - cut
        if rest > LONGEST_LINE:
            raise line_too_long(lines.file)
        # An element is read anew each time, so it is read a few times only.
        window.move(cut, least=min(rest, LONGEST_LINE + 1 - rest))
    while not window.is_last:
        window.move(cut)
        cut = 0
        if len(window.data) > LONGEST_LINE:
            raise line_too_long(lines.file)
    data = window.data[cut:]
    end = len(data.tobytes().rstrip(_SPACE))
    yield Chunk(lines, window.at + cut, data, [(0, end)] if end else [])


def line_too_long(file: EventFile) -> InputError:
    """The error for a file with a line of more than LONGEST_LINE bytes."""
    return InputError(f"{file.path}: a line is longer than {LONGEST_LINE:,} bytes")


def _fill(source: io.RawIOBase, buffer: memoryview) -> int:
    """Read until the buffer is full or the file ends; returns the bytes read."""
    filled = 0
    while filled < len(buffer) and (got := source.readinto(buffer[filled:])):
        filled += got
    return filled


def _after_last_line(buffer: Bytes) -> int:
    """The end of the last line that certainly ends in these bytes."""
    # A carriage return at the very end may be the first half of CRLF.
    for end, searched in ((_LF, buffer), (_CR, buffer[:-1])):
        for part in (searched[-_SHORT_SEARCH:], searched):
            found = np.flatnonzero(part == end)
            if len(found):
                return len(searched) - len(part) + int(found[-1]) + 1
    return 0
