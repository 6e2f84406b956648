"""The files of INPUT_DATA_PATH: event files, users.csv and videos.csv."""

import fnmatch
import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InputError
from jobs.lines.files import EventFile, listed
from jobs.storage.local import LocalStorage
from jobs.tables import TABLES

_EVENT_FILE_ENDINGS = tuple(
    ending + packed
    for ending in (".json", ".jsonl", ".ndjson")
    for packed in ("", ".gz")
)
_HIDDEN = (".", "_")  # Spark and Hive skip such names, too
_FOLDERS_BESIDE_TABLES = ("_failed", "_runs", "_tables", "_tmp", "report")
_STORAGE = LocalStorage()


@dataclass(frozen=True)
class Inputs:
    """The files of one run, as they were when they were listed.

    Attributes:
        path: INPUT_DATA_PATH.
        root: the directory of users.csv and videos.csv; source_file is relative to it.
        event_files: in the order of their paths; a file with several names is listed
            once, under the first of them.
    """

    path: str
    root: Path
    event_files: tuple[EventFile, ...]

    def attributes(self, name: str) -> Path | None:
        """The CSV file ``{name}.csv``, or None if there is none."""
        path = self.root / f"{name}.csv"
        return path if os.path.lexists(path) else None

    @property
    def size(self) -> int:
        """The size of all event files on the disk, in bytes."""
        return sum(file.size for file in self.event_files)


def find_inputs(input_data_path: str, prefix: Path) -> Inputs:
    """The event files of a directory, a glob or a file.

    Links to folders are not followed.

    Args:
        input_data_path: INPUT_DATA_PATH.
        prefix: the folder of the tables; no file in it is input.

    Raises:
        InputError: the path does not exist, names no event file, or cannot be read.
    """
    path = Path(os.path.abspath(input_data_path))  # noqa: PTH100 - follows no links
    if path.is_dir():
        root, pattern = path, None
    elif path.exists():
        root, pattern = path.parent, None
        if not _is_event_file(path.name):
            raise InputError(
                f"{input_data_path}: an event file ends in .json, .jsonl or .ndjson,"
                " optionally .gz, and begins with neither . nor _"
            )
    elif glob.has_magic(input_data_path):
        root = next(p for p in path.parents if not glob.has_magic(str(p)))
        pattern = path.relative_to(root).parts
    else:
        raise InputError(f"{input_data_path}: no such file or directory")
    outputs = _outputs(root, prefix)

    def enters(folder: Path) -> bool:
        is_hidden = folder.name.startswith(_HIDDEN)
        return bool(pattern) and not is_hidden and not _is_within(folder, outputs)

    found = [path] if path.is_file() else _STORAGE.list(root, enters)
    event_files: dict[tuple[int, int], EventFile] = {}
    for name in sorted(found):
        if (
            _is_event_file(name.name)
            and (not pattern or _matches(name.relative_to(root).parts, pattern))
            and not _is_within(name, outputs)
        ):
            file = listed(name, root, _STORAGE)
            event_files.setdefault(file.stored.identity, file)
    if not event_files:
        raise InputError(
            f"{input_data_path}: no event file is there; one ends in .json, .jsonl or"
            " .ndjson, optionally .gz"
        )
    return Inputs(input_data_path, root, tuple(event_files.values()))


def _is_event_file(name: str) -> bool:
    return name.endswith(_EVENT_FILE_ENDINGS) and not name.startswith(_HIDDEN)


def _outputs(root: Path, prefix: Path) -> list[Path]:
    """The folders that are no input.

    This is the prefix. If the input lies within the prefix, only the folders that runs
    write there are no input.
    """
    if prefix.resolve() in root.resolve().parents:
        names = (*(table.name for table in TABLES), *_FOLDERS_BESIDE_TABLES)
        return [prefix.resolve() / name for name in names]
    return [prefix.resolve()]


def _is_within(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.resolve().is_relative_to(folder) for folder in folders)


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a glob matches a path. ``**`` matches folders, other parts one name."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        return any(_matches(names[n:], pattern[1:]) for n in range(len(names) + 1))
    return (
        names != ()
        and fnmatch.fnmatchcase(names[0], pattern[0])
        and _matches(names[1:], pattern[1:])
    )
