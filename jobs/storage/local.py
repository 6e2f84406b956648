"""The file system as a storage. Only here are calls that some systems lack."""

import ctypes
import errno
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.errors import InputError
from jobs.storage.base import StoredFile

_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
_NO_LINKS = (*_NOT_SUPPORTED, errno.EPERM, errno.EXDEV, errno.EMLINK)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
PART = ".part"  # the name of a file until it is whole


@dataclass(frozen=True)
class LocalStorage:
    """The files of this machine, by their paths."""

    def list(self, folder: Path, enters: Callable[[Path], bool]) -> Iterator[Path]:
        folders = [folder]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    found = list(entries)
            except OSError as error:
                raise InputError(f"{folder}: {error.strerror}") from error
            for entry in found:
                path = Path(entry.path)
                if not entry.is_dir():
                    yield path
                elif not entry.is_symlink() and enters(path):
                    folders.append(path)

    def stat(self, path: Path) -> StoredFile:
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
        return StoredFile(
            path, found.st_size, found.st_mtime_ns, (found.st_dev, found.st_ino)
        )

    def open(self, file: StoredFile, start: int, end: int) -> io.RawIOBase:
        try:
            return _Listed(file, start, end)
        except OSError as error:
            raise InputError(f"{file.path}: {error.strerror}") from error

    def read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put(self, path: Path, content: bytes) -> None:
        part = _written_beside(path, content)
        part.replace(path)
        flush(path.parent)

    def put_if_absent(self, path: Path, content: bytes) -> bool:
        part = _written_beside(path, content)
        try:
            hard_link(part, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if path.exists():
                return False
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
        flush(path.parent)
        return True

    def delete(self, path: Path) -> None:
        path.unlink(missing_ok=True)


class _Listed(io.RawIOBase):
    """Reads a range of a file, and no byte beyond the size that was listed."""

    def __init__(self, file: StoredFile, start: int, end: int) -> None:
        self._file = file
        self._left = end - start
        self._opened = io.FileIO(file.path)
        _compare(file, os.fstat(self._opened.fileno()))
        self._opened.seek(start)

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._left)
        try:
            got = self._opened.readinto(memoryview(buffer)[:wanted])
        except OSError as error:
            raise InputError(f"{self._file.path}: {error.strerror}") from error
        self._left -= got
        if got == 0:
            # Compare after the last byte, so that no change during the read is missed.
            _compare(self._file, os.fstat(self._opened.fileno()))
        if got == 0 < wanted:
            raise InputError(f"{self._file.path}: shrank while it was read")
        return got

    def close(self) -> None:
        self._opened.close()
        super().close()


def _compare(file: StoredFile, now: os.stat_result) -> None:
    if (now.st_dev, now.st_ino) != file.identity:
        raise InputError(f"{file.path}: replaced by another file while it was read")
    if now.st_size < file.size:
        raise InputError(
            f"{file.path}: shrank from {file.size:,} to {now.st_size:,} bytes while it"
            " was read"
        )
    if now.st_size == file.size and now.st_mtime_ns != file.modified:
        raise InputError(f"{file.path}: changed while it was read")


def flush(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk, if the system can."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    finally:
        os.close(opened)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one atomic step; False if the file system cannot."""
    # renameat2 is Linux's. macOS has renamex_np, which is not used here.
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(other))


def replace_folder(folder: Path, new: Path, old: Path) -> None:
    """Let a new folder take the place of a folder, if there is one.

    Args:
        folder: the path that the new folder gets.
        new: the new folder. The replaced folder is here afterwards, if the file system
            can exchange two folders.
        old: the path of the replaced folder otherwise. The folder does not exist for a
            moment then, between two renames.
    """
    if folder.exists():
        if exchange(new, folder):
            return
        folder.rename(old)
    new.rename(folder)


def hard_link(source: Path, target: Path) -> None:
    """Give a file a second name.

    Raises:
        OSError: the name is taken, or the file system has no hard links.
    """
    os.link(source, target)


def link(source: Path, target: Path) -> bool:
    """Give a file a second name; returns False if it had to be copied instead."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        hard_link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)
        flush(target)
        return False
    return True


def _written_beside(path: Path, content: bytes) -> Path:
    """Write a new file to the same folder, and force it to the disk."""
    part = path.with_name(path.name + PART)
    try:
        part.write_bytes(content)
        flush(part)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
    return part
