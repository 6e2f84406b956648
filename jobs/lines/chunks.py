"""Cuts chunks into lines, on several threads.

A line ends in LF, CRLF or a lone CR. Blank lines, and byte order marks before a line,
are left out. A line of several JSON objects is taken apart.
"""

import codecs
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from jobs.errors import RunError
from jobs.lines.cutting import (
    CHUNK_SIZE,
    SHORT_CHUNK,
    Bytes,
    Chunk,
    chunks_of,
    line_too_long,
)
from jobs.lines.elements import Span, objects_of_line
from jobs.lines.exact import LONG_LINE, LONGEST_LINE
from jobs.lines.files import EventFile, LineRange, whole
from jobs.lines.mapped import ExactReader

_LF, _CR, _MARK = ord("\n"), ord("\r"), codecs.BOM_UTF8
_LEAST_NOT_ASCII = 128
_BLANKS = b" \t"
_OPENING, _CLOSING = b"{}"
_BLOCK = 4096  # bytes that are searched at once
_MOST_BLANKS = 16  # between two objects that are looked for quickly
_MAY_BE_BLANK = np.isin(np.arange(256), list(_BLANKS + _MARK[:1]))  # by the first byte
_COPIES_AS_BYTES, _COPIES_AS_TEXT = 3, 3  # of a rejected line, all in memory
# The bytes that Python takes for a character, by its first byte in UTF-8.
_WIDTHS = ((4, 0xF0), (2, 0xC4), (1, 0))
_PIECE = 1024 * 1024  # bytes that are decoded at once
_OF_OUR_EVENTS = ExactReader()

Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class LineCount:
    """What was read of a file.

    Attributes:
        size: the bytes of the file, unpacked and in UTF-8.
        line_size: those of its lines, without line ends and all else between lines.
        lines: the number of lines that are not blank.
    """

    size: int = 0
    line_size: int = 0
    lines: int = 0

    def __add__(self, other: "LineCount") -> "LineCount":
        return LineCount(
            self.size + other.size,
            self.line_size + other.line_size,
            self.lines + other.lines,
        )


@dataclass(frozen=True)
class Lines:
    """The lines of a chunk that are not blank.

    Attributes:
        range: the range of the lines.
        data: the bytes of the chunk, UTF-8.
        starts: where each line starts in ``data``.
        ends: where each line ends, without its line end, before the next one starts.
        places: where each line starts in its file, unpacked and in UTF-8.
        sizes: the bytes of each line in its file, unpacked and in UTF-8.
        count: what was read.
        exact: the lines that were read exactly, by their place: each as a plain line,
            or as an empty text if it is not one JSON object.
    """

    range: LineRange
    data: Bytes
    starts: Positions
    ends: Positions
    places: Positions
    sizes: Positions
    count: LineCount
    exact: dict[int, str]

    def __len__(self) -> int:
        return len(self.starts)


def lines_of_ranges(
    ranges: Sequence[LineRange],
    threads: int,
    memory: int | None = None,
    size: int = CHUNK_SIZE,
    reader: ExactReader = _OF_OUR_EVENTS,
) -> Generator[Lines]:
    """The lines of these ranges, a chunk at a time, in no particular order.

    Args:
        threads: the number of threads that read and cut chunks ahead.
        memory: the bytes that a line may need; None sets no limit.
        size: the size of a chunk, in unpacked bytes.
        reader: reads long lines.

    Raises:
        InputError: a file cannot be read as it was listed, or has too long a line.
        RunError: a line needs more memory.
    """
    chunks = _Chunks(ranges, size)

    def next_lines() -> Lines | None:
        chunk = chunks.take()
        return lines_of(chunk, memory, reader) if chunk else None

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
    """The first lines of a file, each as :func:`lines_of_file` gives it.

    Raises:
        InputError: the file cannot be read as it was listed, or has too long a line.
    """
    with closing(lines_of_file(file)) as lines:
        return list(islice(lines, most))


def lines_of_file(file: EventFile) -> Generator[bytes]:
    """The lines of a file in UTF-8, with bytes that are no UTF-8 as they are.

    Raises:
        InputError: the file cannot be read as it was listed, or has too long a line.
    """
    with closing(chunks_of(whole(file), SHORT_CHUNK)) as chunks:
        for chunk in chunks:
            lines = lines_of(chunk)
            starts = lines.places - chunk.at
            for start, end in zip(starts, starts + lines.sizes, strict=True):
                yield chunk.data[start:end].tobytes()


class _Chunks:
    """The chunks of several ranges; each thread takes the next one.

    A thread continues a range that was begun, or begins the next range. So the threads
    unpack several packed files at the same time, and share the chunks of a single file.
    """

    def __init__(self, ranges: Sequence[LineRange], size: int) -> None:
        self._size = size
        self._waiting = iter(ranges)
        self._idle: list[Iterator[Chunk]] = []
        self._busy = 0
        self._is_stopped = False
        self._changed = threading.Condition()

    def take(self) -> Chunk | None:
        """The next chunk of some file; None if there are no more.

        Raises:
            InputError: a file cannot be read, or has a line that is too long.
        """
        while not self._is_stopped and (begun := self._begun()):
            chunk = None
            try:
                chunk = next(begun, None)
            finally:
                self._give_back(begun, is_over=chunk is None)
            if chunk is not None:
                return chunk
        return None

    def stop(self) -> None:
        """Give no further chunk to any thread."""
        self._is_stopped = True

    def _begun(self) -> Iterator[Chunk] | None:
        with self._changed:
            while True:
                if self._idle:
                    begun = self._idle.pop()
                elif lines := next(self._waiting, None):
                    begun = chunks_of(lines, self._size)
                elif self._busy:
                    self._changed.wait()
                    continue
                else:
                    return None
                self._busy += 1
                return begun

    def _give_back(self, begun: Iterator[Chunk], is_over: bool) -> None:
        with self._changed:
            self._busy -= 1
            if not is_over:
                self._idle.append(begun)
            self._changed.notify_all()


def lines_of(
    chunk: Chunk, memory: int | None = None, reader: ExactReader = _OF_OUR_EVENTS
) -> Lines:
    """The lines of a chunk that are not blank; long ones and bad UTF-8 read exactly.

    Raises:
        InputError: a line is too long.
        RunError: a line needs more memory than this.
    """
    data = chunk.data
    if chunk.spans is None:
        starts, ends = _apart(chunk, *_between_line_ends(data))
    else:
        starts, ends = _positions(chunk.spans)
    lengths = ends - starts
    if lengths.max(initial=0) > LONGEST_LINE:
        raise line_too_long(chunk.range.file)
    places: Iterable[int] = np.flatnonzero(lengths > LONG_LINE).tolist()
    if data.max(initial=0) >= _LEAST_NOT_ASCII and not _is_text(data):
        places = range(len(starts))
    count = LineCount(len(data), int(lengths.sum()), len(starts))
    lines = Lines(
        chunk.range, data, starts, ends, starts + chunk.at, lengths, count, {}
    )
    _check_memory(lines, memory)
    lines = _read_exactly(lines, places, reader)
    _check_memory(lines, memory)  # bad UTF-8 is longer once it is replaced
    return lines


def _between_line_ends(data: Bytes) -> tuple[Positions, Positions]:
    controls = np.flatnonzero(data <= _CR)
    found = data[controls]
    # Between the two bytes of CRLF there is a blank line, which is left out below.
    ends = controls[(found == _LF) | (found == _CR)]
    if len(data) and data[-1] not in (_LF, _CR):
        ends = np.append(ends, len(data))
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + 1
    return _without_blank_lines(data, starts, ends)


def _positions(spans: Sequence[Span]) -> tuple[Positions, Positions]:
    pairs = np.array(spans, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _apart(
    chunk: Chunk, starts: Positions, ends: Positions
) -> tuple[Positions, Positions]:
    """The lines of a chunk, with a line of several objects as several lines."""
    several: dict[int, list[Span]] = {}
    for place in _may_have_several_objects(chunk, starts):
        line = chunk.data[starts[place] : ends[place]]
        objects = objects_of_line(line.data)
        if chunk.goes_on and place == 0 and not objects:
            raise line_too_long(chunk.range.file)
        if len(objects) > 1:
            several[place] = objects
    if not several:
        return starts, ends
    pieces, done = [], 0
    for place, objects in several.items():
        object_starts, object_ends = _positions(objects)
        pieces.append((starts[done:place], ends[done:place]))
        pieces.append((starts[place] + object_starts, starts[place] + object_ends))
        done = place + 1
    pieces.append((starts[done:], ends[done:]))
    all_starts, all_ends = zip(*pieces, strict=True)
    return np.concatenate(all_starts), np.concatenate(all_ends)


def _may_have_several_objects(chunk: Chunk, starts: Positions) -> list[int]:
    """The lines with a closing and an opening brace, and at most blanks between."""
    data = chunk.data
    at = _other_openings(data, starts)
    before = at - 1
    found = [starts[: chunk.goes_on]]
    for _ in range(_MOST_BLANKS):
        at, before = at[before >= 0], before[before >= 0]
        signs = data[before]
        found.append(at[signs == _CLOSING])
        is_blank = (signs == _BLANKS[0]) | (signs == _BLANKS[1])
        at, before = at[is_blank], before[is_blank] - 1
        if not len(at):
            break
    found.append(at)
    places = np.searchsorted(starts, np.concatenate(found), side="right") - 1
    found_places: list[int] = np.unique(places).tolist()
    return found_places


def _other_openings(data: Bytes, starts: Positions) -> Positions:
    """The places of opening braces that are not the first byte of a line."""
    blocks = np.empty((len(data) // _BLOCK + 1, _BLOCK), bool)
    is_opening = blocks.reshape(-1)
    np.equal(data, _OPENING, out=is_opening[: len(data)])
    is_opening[len(data) :] = False
    is_opening[starts] = False
    # Most blocks have none, and eight bytes at once are compared faster.
    numbers = np.flatnonzero(blocks.view(np.uint64).max(axis=1))
    rows, columns = np.divmod(np.flatnonzero(blocks[numbers]), _BLOCK)
    places: Positions = numbers[rows] * _BLOCK + columns
    return places


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


def _read_exactly(lines: Lines, places: Iterable[int], reader: ExactReader) -> Lines:
    """The lines, with those at these places read exactly, and bad UTF-8 replaced."""
    exact: dict[int, str] = {}
    replaced: dict[int, bytes] = {}
    for place in places:
        line = lines.data[lines.starts[place] : lines.ends[place]]
        if not _is_text(line):
            exact[place] = ""
            replaced[place] = line.tobytes().decode(errors="replace").encode()
        elif len(line) > LONG_LINE:
            exact[place] = reader.long_line(line.data) or ""
    if not replaced:
        return replace(lines, exact=exact)
    pieces = [
        replaced.get(place, lines.data[start:end].data)
        for place, (start, end) in enumerate(zip(lines.starts, lines.ends, strict=True))
    ]
    ends = np.cumsum([len(piece) for piece in pieces])
    starts = ends - [len(piece) for piece in pieces]
    data = np.frombuffer(b"".join(pieces), np.uint8)
    return replace(lines, data=data, starts=starts, ends=ends, exact=exact)


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
            f"{lines.range.file.path}: a line of {longest:,} bytes may need more memory"
            f" than MEMORY_LIMIT gives; set it to at least {needed // 10**6 + 1}MB"
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
