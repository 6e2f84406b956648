"""An event file as it was when it was listed, and its unpacked bytes.

If the file changes meanwhile, a reader gets all bytes up to the listed size and no byte
beyond it, or else an error that names the file.
"""

import io
from dataclasses import dataclass
from pathlib import Path

from jobs.lines.unpacking import is_stored_as_read, unpacked
from jobs.storage.base import Storage, StoredFile
from jobs.storage.local import LocalStorage

_LOCAL = LocalStorage()
_COUNTED_AT_ONCE = 1024 * 1024  # bytes


@dataclass(frozen=True)
class EventFile:
    """An event file.

    Attributes:
        stored: the file as it was when it was listed.
        name: its path below the input's root, which is the ``source_file`` of its rows.
        storage: the storage that has the file.
    """

    stored: StoredFile
    name: str
    storage: Storage

    @property
    def path(self) -> Path:
        return self.stored.path

    @property
    def size(self) -> int:
        """Its size in bytes, as it is stored."""
        return self.stored.size


def listed(path: Path, root: Path, storage: Storage = _LOCAL) -> EventFile:
    """The file as it is now.

    Raises:
        InputError: the path is no regular file that can be opened.
    """
    return EventFile(storage.stat(path), str(path.relative_to(root)), storage)


@dataclass(frozen=True)
class LineRange:
    """Whole lines of a file: its stored bytes from ``start`` up to ``end``.

    Attributes:
        file: the file.
        number: its number in the list of all event files.
    """

    file: EventFile
    number: int
    start: int
    end: int


def whole(file: EventFile, number: int = 0) -> LineRange:
    """All lines of a file."""
    return LineRange(file, number, 0, file.size)


def open_unpacked(lines: LineRange) -> io.RawIOBase:
    """The unpacked bytes of a range of a file, in UTF-8.

    The reader raises InputError if the file is cut off or corrupt, or is no longer as
    it was listed.
    """
    file = lines.file
    stored = file.storage.open(file.stored, lines.start, lines.end)
    # Only a file that is read as it is stored has a range that begins within it.
    return unpacked(stored, file.path) if lines.start == 0 else stored


def line_number(file: EventFile, at: int) -> int:
    """The number, from 1 on, of the line that has a place in a file.

    Args:
        file: the file.
        at: the place in its bytes, unpacked and in UTF-8.

    Raises:
        InputError: the file is no longer as it was listed.
    """
    ends, last = 0, b""
    with open_unpacked(whole(file)) as source:
        while at > 0 and (read := source.read(min(at, _COUNTED_AT_ONCE))):
            at -= len(read)
            # A carriage return ends a line alone, or together with a line feed.
            ends += read.count(b"\n") + read.count(b"\r") - read.count(b"\r\n")
            ends -= last == b"\r" and read.startswith(b"\n")
            last = read[-1:]
    return ends + 1


def has_ranges(file: EventFile) -> bool:
    """Whether a part of a file can be read alone: it is neither packed nor UTF-16."""
    with file.storage.open(file.stored, 0, file.size) as stored:
        return is_stored_as_read(stored)
