"""An event file as it was when it was listed, and its unpacked bytes.

Whatever happens to the file meanwhile, no byte beyond its listed size is read, and none
before it is missed: what cannot be read so is an error that names the file.
"""

import io
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.errors import InputError

_GZIP = 31  # what zlib calls a window with a gzip header
_PACKED_CHUNK = 1024 * 1024  # bytes
_SEARCHED_CHUNK = 64 * 1024  # bytes


@dataclass(frozen=True)
class EventFile:
    """A file that was found.

    Attributes:
        path: its absolute path.
        name: its path below the input's root, as ``source_file`` has it.
        size: its bytes on the disk.
        modified: when it was changed last, in nanoseconds since 1970.
        identity: device and inode, which tell one file under two names.
    """

    path: Path
    name: str
    size: int
    modified: int
    identity: tuple[int, int]


def listed(path: Path, root: Path) -> EventFile:
    """The file as it is now.

    Raises:
        InputError: it is no regular file that can be opened.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{str(path)!a}: a file's name must be UTF-8") from None
    try:
        found = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: a link to nothing") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: no regular file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: permission denied")
    if path.suffix == ".gz" and found.st_size == 0:
        raise InputError(f"{path}: empty, which no gzip file is")
    return EventFile(
        path,
        str(path.relative_to(root)),
        found.st_size,
        found.st_mtime_ns,
        (found.st_dev, found.st_ino),
    )


@dataclass(frozen=True)
class LineRange:
    """Whole lines of a file, as bytes on the disk: from ``start`` up to ``end``."""

    file: EventFile
    start: int
    end: int


def whole(file: EventFile) -> LineRange:
    """All lines of a file."""
    return LineRange(file, 0, file.size)


def split(file: EventFile, size: int) -> Iterator[LineRange]:
    """The lines of a file in ranges of at least this size; a packed file in one.

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
    """Where the first line that ends with a line feed has ended; the end without."""
    position = lines.start
    with open_unpacked(lines) as source:
        while read := source.read(_SEARCHED_CHUNK):
            if found := read.find(b"\n") + 1:
                return position + found
            position += len(read)
    return lines.end


def open_unpacked(lines: LineRange) -> io.RawIOBase:
    """The unpacked bytes of a range of a file.

    Its ``readinto`` raises InputError where the file is cut off, corrupt, or no longer
    what was listed.
    """
    try:
        listed_bytes = _Listed(lines)
    except OSError as error:
        raise InputError(f"{lines.file.path}: {error.strerror}") from error
    return _Gunzipped(listed_bytes) if _is_packed(lines.file) else listed_bytes


def _is_packed(file: EventFile) -> bool:
    return file.path.suffix == ".gz"


def _compare(file: EventFile, now: os.stat_result) -> None:
    if (now.st_dev, now.st_ino) != file.identity:
        raise InputError(f"{file.path}: replaced by another file while it was read")
    if now.st_size < file.size:
        raise InputError(
            f"{file.path}: shrank from {file.size:,} to {now.st_size:,} bytes while it"
            " was read"
        )
    if now.st_size == file.size and now.st_mtime_ns != file.modified:
        raise InputError(f"{file.path}: changed while it was read")


class _Listed(io.RawIOBase):
    """The bytes of a range on the disk, no further than what was listed."""

    def __init__(self, lines: LineRange) -> None:
        self.file = lines.file
        self._left = lines.end - lines.start
        self._opened = io.FileIO(self.file.path)
        _compare(self.file, os.fstat(self._opened.fileno()))
        self._opened.seek(lines.start)

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._left)
        try:
            got = self._opened.readinto(memoryview(buffer)[:wanted])
        except OSError as error:
            raise InputError(f"{self.file.path}: {error.strerror}") from error
        self._left -= got
        if got == 0:
            # After the last byte, so that no change in between is missed.
            _compare(self.file, os.fstat(self._opened.fileno()))
        if got == 0 < wanted:
            raise InputError(f"{self.file.path}: shrank while it was read")
        return got

    def close(self) -> None:
        self._opened.close()
        super().close()


class _Gunzipped(io.RawIOBase):
    """The content of gzip members one after the other, each checksum compared."""

    def __init__(self, packed: _Listed) -> None:
        self._packed = packed
        self._rest = b""
        self._member = zlib.decompressobj(_GZIP)

    def readinto(self, buffer: Any) -> int:
        try:
            return self._unpack_into(memoryview(buffer))
        except zlib.error as error:
            raise InputError(f"{self._packed.file.path}: {error}") from error

    def _unpack_into(self, buffer: memoryview) -> int:
        while len(buffer):
            packed = self._rest or self._packed.read(_PACKED_CHUNK)
            if not packed:
                if self._member.eof:
                    return 0
                # Bytes that are unpacked already may still wait for room.
                if not (unpacked := self._member.decompress(b"", len(buffer))):
                    raise InputError(
                        f"{self._packed.file.path}: cut off before its end"
                    )
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
