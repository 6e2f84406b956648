"""Cuts files into chunks of whole lines, and chunks into lines.

Only this module counts bytes: a line begins where the line before it ended, so no byte
is lost between two chunks. A line ends in LF, CRLF or a lone CR. Blank lines, and byte
order marks before a line, are left out.
"""

import codecs
import io
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jobs.errors import InputError, RunError
from jobs.lines.exact import LONG_LINE, LONGEST_LINE, plain_long_line
from jobs.lines.files import EventFile, LineRange, open_unpacked, whole

CHUNK_SIZE = 8_000_000
"""Unpacked bytes. A chunk is larger only if a single line is larger."""

_LF, _CR, _MARK = ord("\n"), ord("\r"), codecs.BOM_UTF8
_LEAST_NOT_ASCII = 128
_BLANKS = b" \t"
_MAY_BE_BLANK = np.isin(np.arange(256), list(_BLANKS + _MARK[:1]))  # by the first byte
_SHORT_SEARCH = 64 * 1024  # bytes at the end of a chunk, mostly with a line end
_COPIES_AS_BYTES, _COPIES_AS_TEXT = 3, 3  # of a rejected line, all in memory
# The bytes that Python takes for a character, by its first byte in UTF-8.
_WIDTHS = ((4, 0xF0), (2, 0xC4), (1, 0))
_PIECE = 1024 * 1024  # bytes that are decoded at once
_SHORT_CHUNK = 1024 * 1024

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Lines:
    """The lines of a chunk that are not blank.

    Attributes:
        file: the file of the lines.
        data: the bytes of the chunk, UTF-8.
        starts: where each line starts in ``data``.
        ends: where each line ends, without its line end, before the next one starts.
        exact: the lines that were read exactly, by their place: each as a plain line,
            or as an empty text if it is not one JSON object.
    """

    file: EventFile
    data: Bytes
    starts: Positions
    ends: Positions
    exact: dict[int, str]

    def __len__(self) -> int:
        return len(self.starts)


def lines_of_ranges(
    ranges: Sequence[LineRange],
    threads: int,
    memory: int | None = None,
    size: int = CHUNK_SIZE,
) -> Generator[Lines]:
    """The lines of these ranges, a chunk at a time, in no particular order.

    Args:
        threads: the number of threads that read and cut chunks ahead.
        memory: the bytes that a line may need; None sets no limit.
        size: the size of a chunk, in unpacked bytes.

    Raises:
        InputError: a file cannot be read as it was listed, or has too long a line.
        RunError: a line needs more memory.
    """
    chunks = _Chunks(ranges, size)

    def next_lines() -> Lines | None:
        taken = chunks.take()
        return lines_of(*taken, memory) if taken else None

    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(next_lines) for _ in range(threads))
        try:
            while ahead:
                lines = ahead.popleft().result()
                if lines is not None:
                    ahead.append(pool.submit(next_lines))
                    yield lines
        finally:
            chunks.stop()


def first_lines(file: EventFile, most: int = 100) -> list[bytes]:
    """The first lines of a file, each in UTF-8.

    Raises:
        InputError: the file cannot be read as it was listed, or has too long a line.
    """
    found: list[bytes] = []
    with closing(chunks_of(whole(file), _SHORT_CHUNK)) as chunks:
        for data in chunks:
            lines = lines_of(file, data)
            count = most - len(found)
            places = zip(lines.starts[:count], lines.ends[:count], strict=True)
            found += [lines.data[start:end].tobytes() for start, end in places]
            if len(found) == most:
                break
    return found


class _Chunks:
    """The chunks of several ranges; each thread takes the next one.

    A thread continues a range that was begun, or begins the next range. So the threads
    unpack several packed files at the same time, and share the chunks of a single file.
    """

    def __init__(self, ranges: Sequence[LineRange], size: int) -> None:
        self._size = size
        self._waiting = iter(ranges)
        self._idle: list[tuple[EventFile, Iterator[Bytes]]] = []
        self._busy = 0
        self._is_stopped = False
        self._changed = threading.Condition()

    def take(self) -> tuple[EventFile, Bytes] | None:
        """The next chunk of some file; None if there are no more.

        Raises:
            InputError: a file cannot be read, or has a line that is too long.
        """
        while not self._is_stopped and (begun := self._begun()):
            chunk = None
            try:
                chunk = next(begun[1], None)
            finally:
                self._give_back(begun, is_over=chunk is None)
            if chunk is not None:
                return begun[0], chunk
        return None

    def stop(self) -> None:
        """Give no further chunk to any thread."""
        self._is_stopped = True

    def _begun(self) -> tuple[EventFile, Iterator[Bytes]] | None:
        with self._changed:
            while True:
                if self._idle:
                    begun = self._idle.pop()
                elif lines := next(self._waiting, None):
                    begun = (lines.file, chunks_of(lines, self._size))
                elif self._busy:
                    self._changed.wait()
                    continue
                else:
                    return None
                self._busy += 1
                return begun

    def _give_back(
        self, begun: tuple[EventFile, Iterator[Bytes]], is_over: bool
    ) -> None:
        with self._changed:
            self._busy -= 1
            if not is_over:
                self._idle.append(begun)
            self._changed.notify_all()


def chunks_of(lines: LineRange, size: int = CHUNK_SIZE) -> Generator[Bytes]:
    """The unpacked bytes of a range, cut after line ends; only the last may lack one.

    Raises:
        InputError: the file cannot be read, or has a line that is too long.
    """
    with open_unpacked(lines) as source:
        rest = np.empty(0, np.uint8)
        while True:
            buffer = np.empty(len(rest) + size, np.uint8)
            buffer[: len(rest)] = rest
            filled = len(rest) + _fill(source, buffer[len(rest) :].data)
            if filled < len(buffer):
                if filled:
                    yield buffer[:filled]
                return
            cut = _after_last_line(buffer)
            if cut:
                yield buffer[:cut]
            rest = buffer[cut:].copy()
            if len(rest) > LONGEST_LINE:
                raise _line_too_long(lines.file)


def lines_of(file: EventFile, data: Bytes, memory: int | None = None) -> Lines:
    """The lines of a chunk that are not blank; long ones and bad UTF-8 read exactly.

    Raises:
        InputError: a line is too long.
        RunError: a line needs more memory than this.
    """
    controls = np.flatnonzero(data <= _CR)
    found = data[controls]
    # Between the two bytes of CRLF there is a blank line, which is left out below.
    ends = controls[(found == _LF) | (found == _CR)]
    if len(data) and data[-1] not in (_LF, _CR):
        ends = np.append(ends, len(data))
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + 1
    starts, ends = _without_blank_lines(data, starts, ends)
    lengths = ends - starts
    if lengths.max(initial=0) > LONGEST_LINE:
        raise _line_too_long(file)
    places: Iterable[int] = np.flatnonzero(lengths > LONG_LINE).tolist()
    if data.max(initial=0) >= _LEAST_NOT_ASCII and not _is_text(data):
        places = range(len(starts))
    lines = Lines(file, data, starts, ends, {})
    _check_memory(lines, memory)
    lines = _read_exactly(lines, places)
    _check_memory(lines, memory)  # bad UTF-8 is longer once it is replaced
    return lines


def _line_too_long(file: EventFile) -> InputError:
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


def _without_blank_lines(
    data: Bytes, starts: Positions, ends: Positions
) -> tuple[Positions, Positions]:
    """The lines that are not blank, without byte order marks before them."""
    is_kept = ends > starts
    starts, ends = starts[is_kept], ends[is_kept]
    is_kept = np.ones(len(starts), bool)
    for place in np.flatnonzero(_MAY_BE_BLANK[data[starts]]).tolist():
        line = data[starts[place] : ends[place]].tobytes()
        while line.startswith(_MARK):
            line = line.removeprefix(_MARK)
        starts[place] = ends[place] - len(line)
        is_kept[place] = bool(line.strip(_BLANKS))
    return starts[is_kept], ends[is_kept]


def _read_exactly(lines: Lines, places: Iterable[int]) -> Lines:
    """The lines, with those at these places read exactly, and bad UTF-8 replaced."""
    exact: dict[int, str] = {}
    replaced: dict[int, bytes] = {}
    for place in places:
        line = lines.data[lines.starts[place] : lines.ends[place]]
        if not _is_text(line):
            exact[place] = ""
            replaced[place] = line.tobytes().decode(errors="replace").encode()
        elif len(line) > LONG_LINE:
            exact[place] = plain_long_line(line.data) or ""
    if not replaced:
        return replace(lines, exact=exact)
    pieces = [
        replaced.get(place, lines.data[start:end].data)
        for place, (start, end) in enumerate(zip(lines.starts, lines.ends, strict=True))
    ]
    ends = np.cumsum([len(piece) for piece in pieces])
    starts = ends - [len(piece) for piece in pieces]
    data = np.frombuffer(b"".join(pieces), np.uint8)
    return Lines(lines.file, data, starts, ends, exact)


def _check_memory(lines: Lines, memory: int | None) -> None:
    """Check that the longest line fits into memory, even if it is rejected.

    Raises:
        RunError: the line may need more memory.
    """
    longest = int((lines.ends - lines.starts).max(initial=0))
    if memory is None or longest <= LONG_LINE:
        return
    widest = int(lines.data.max(initial=0))
    width = next(width for width, above in _WIDTHS if widest >= above)
    needed = longest * (_COPIES_AS_BYTES + _COPIES_AS_TEXT * width)
    if needed > memory:
        raise RunError(
            f"{lines.file.path}: a line of {longest:,} bytes may need more memory than"
            f" MEMORY_LIMIT gives; set it to at least {needed // 10**6 + 1}MB"
        )


def _is_text(data: Bytes) -> bool:
    """Whether the bytes are UTF-8; decodes a piece at a time to save memory."""
    view, at = data.data, 0
    try:
        while at < len(view):
            is_last = at + _PIECE >= len(view)
            at += codecs.utf_8_decode(view[at : at + _PIECE], "strict", is_last)[1]
    except UnicodeDecodeError:
        return False
    return True
