"""An event file as it was when it was listed, and its unpacked bytes.

Whatever happens to the file meanwhile, no byte beyond its listed size is read, and none
before it is missed: what cannot be read so is an error that names the file.
"""

import io
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.errors import InputError

_GZIP = 31  # what zlib calls a window with a gzip header
_PACKED_CHUNK = 1024 * 1024  # bytes


@dataclass(frozen=True, order=True)
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


def check_unchanged(file: EventFile) -> None:
    """Check that a file is just what was listed, and no byte longer.

    Raises:
        InputError: the file is gone, another one, or was written to.
    """
    try:
        now = file.path.stat()
    except OSError as error:
        raise InputError(f"{file.path}: {error.strerror}") from error
    _compare(file, now)
    if now.st_size > file.size:
        raise InputError(f"{file.path}: grew while it was read")


def open_unpacked(file: EventFile) -> io.RawIOBase:
    """The unpacked bytes of a file, up to the size that was listed.

    Its ``readinto`` raises InputError where the file is cut off, corrupt, or no longer
    what was listed.
    """
    try:
        listed_bytes = _Listed(file)
    except OSError as error:
        raise InputError(f"{file.path}: {error.strerror}") from error
    return _Gunzipped(listed_bytes) if file.path.suffix == ".gz" else listed_bytes


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
    """The bytes of a file on the disk, as many as were listed."""

    def __init__(self, file: EventFile) -> None:
        self.file = file
        self._left = file.size
        self._opened = io.FileIO(file.path)
        _compare(file, os.fstat(self._opened.fileno()))

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
