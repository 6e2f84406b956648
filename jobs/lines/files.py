"""An event file as it was when it was listed, and its unpacked bytes.

If the file changes meanwhile, a reader gets all bytes up to the listed size and no byte
beyond it, or else an error that names the file.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.errors import InputError
from jobs.storage.base import Storage, StoredFile
from jobs.storage.local import LocalStorage

_LOCAL = LocalStorage()
_GZIP = 31  # in zlib, the number of a window with a gzip header
_PACKED_CHUNK = 1024 * 1024  # bytes
_SEARCHED_CHUNK = 64 * 1024  # bytes


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
    stored = storage.stat(path)
    if path.suffix == ".gz" and stored.size == 0:
        raise InputError(f"{path}: empty, and so not a gzip file")
    return EventFile(stored, str(path.relative_to(root)), storage)


@dataclass(frozen=True)
class LineRange:
    """Whole lines of a file: its stored bytes from ``start`` up to ``end``."""

    file: EventFile
    start: int
    end: int


def whole(file: EventFile) -> LineRange:
    """All lines of a file."""
    return LineRange(file, 0, file.size)


def split(file: EventFile, size: int) -> Iterator[LineRange]:
    """The lines of a file in ranges of about this size; a packed file is one range.

    Raises:
        InputError: the file cannot be read as it was listed.
    """
    start = 0
    while not _is_packed(file) and file.size - start > size:
        end = _after_line_feed(LineRange(file, start + size, file.size))
        yield LineRange(file, start, end)
        start = end
    if start < file.size or start == 0:
        yield LineRange(file, start, file.size)


def _after_line_feed(lines: LineRange) -> int:
    """The place after the first line feed; the end of the range if it has none."""
    position = lines.start
    with open_unpacked(lines) as source:
        while read := source.read(_SEARCHED_CHUNK):
            if found := read.find(b"\n") + 1:
                return position + found
            position += len(read)
    return lines.end


def open_unpacked(lines: LineRange) -> io.RawIOBase:
    """The unpacked bytes of a range of a file.

    The reader raises InputError if the file is cut off or corrupt, or is no longer as
    it was listed.
    """
    file = lines.file
    stored = file.storage.open(file.stored, lines.start, lines.end)
    return _Gunzipped(stored, file.path) if _is_packed(file) else stored


def _is_packed(file: EventFile) -> bool:
    return file.path.suffix == ".gz"


class _Gunzipped(io.RawIOBase):
    """Unpacks gzip members one after the other, and compares their checksums."""

    def __init__(self, packed: io.RawIOBase, path: Path) -> None:
        self._packed = packed
        self._path = path
        self._rest = b""
        self._member = zlib.decompressobj(_GZIP)

    def readinto(self, buffer: Any) -> int:
        try:
            return self._unpack_into(memoryview(buffer))
        except zlib.error as error:
            raise InputError(f"{self._path}: {error}") from error

    def _unpack_into(self, buffer: memoryview) -> int:
        while len(buffer):
            packed = self._rest or self._packed.read(_PACKED_CHUNK)
            if not packed:
                if self._member.eof:
                    return 0
                # zlib may still have unpacked bytes for which there was no room.
                if not (unpacked := self._member.decompress(b"", len(buffer))):
                    raise InputError(f"{self._path}: cut off before its end")
            else:
                if self._member.eof:
                    self._member = zlib.decompressobj(_GZIP)
                unpacked = self._member.decompress(packed, len(buffer))
                self._rest = self._member.unconsumed_tail or self._member.unused_data
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
        return 0

    def close(self) -> None:
        self._packed.close()
        super().close()
