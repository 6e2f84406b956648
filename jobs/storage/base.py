"""The interface of a storage, such as a file system."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class StoredFile:
    """A file as it was when it was listed.

    Attributes:
        path: its absolute path.
        size: its size in bytes, as it is stored.
        modified: when it was last changed, in nanoseconds since 1970.
        identity: device and inode; two names of one file have the same identity.
    """

    path: Path
    size: int
    modified: int
    identity: tuple[int, int]


class Storage(Protocol):
    """A place for files.

    A storage can be pickled, so that Spark's workers open files that the driver listed.
    """

    def list(self, folder: Path, enters: Callable[[Path], bool]) -> Iterator[Path]:
        """Every file in a folder, and in the folders below it.

        Args:
            folder: where to begin.
            enters: returns whether to search a folder below it. Links to folders are
                never followed.

        Raises:
            InputError: a folder cannot be listed.
        """
        ...

    def stat(self, path: Path) -> StoredFile:
        """A file as it is now.

        Raises:
            InputError: the path is no regular file that can be opened.
        """
        ...

    def open(self, file: StoredFile, start: int, end: int) -> io.RawIOBase:
        """The bytes of a file from ``start`` up to ``end``.

        The reader raises InputError if the file is no longer as it was listed.

        Raises:
            InputError: the file cannot be opened, or was replaced or cut.
        """
        ...

    def read(self, path: Path) -> bytes | None:
        """All bytes of a small file; None where there is no such file."""
        ...

    def put(self, path: Path, content: bytes) -> None:
        """Write a small file in one step, so that no reader ever sees half of it.

        Raises:
            OSError: the write failed, and the file is unchanged.
        """
        ...

    def put_if_absent(self, path: Path, content: bytes) -> bool:
        """Write a small file in one step; returns False if the file exists already.

        Raises:
            OSError: the write failed, and there is no such file.
        """
        ...

    def delete(self, path: Path) -> None:
        """Remove a file, if it exists."""
        ...
