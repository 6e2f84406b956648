"""INPUT_DATA_PATH: which files hold events, and where the two CSV files are."""

import csv
import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InputError

_EVENT_FILE_ENDINGS = tuple(
    ending + packed
    for ending in (".json", ".jsonl", ".ndjson")
    for packed in ("", ".gz")
)


@dataclass(frozen=True)
class Inputs:
    """The files of one run.

    Attributes:
        root: the directory that source_file is relative to; users.csv and videos.csv
            lie in it.
        event_files: absolute paths, sorted.
    """

    root: Path
    event_files: tuple[Path, ...]

    def attributes(self, name: str) -> Path | None:
        """The CSV file ``{name}.csv``, or None if there is none."""
        path = self.root / f"{name}.csv"
        return path if path.is_file() else None

    @property
    def size(self) -> int:
        """Bytes of all event files, as they lie on the disk."""
        return sum(path.stat().st_size for path in self.event_files)


def find_inputs(input_data_path: str) -> Inputs:
    """The event files of a directory, a glob or a file.

    Raises:
        InputError: the path does not exist, is no event file, or cannot be read.
    """
    path = Path(os.path.abspath(input_data_path))  # noqa: PTH100 - follows no links
    if path.is_dir():
        root, found = path, _listed(path)
    elif path.exists():
        root, found = path.parent, [path]
        if not _is_event_file(path.name):
            raise InputError(
                f"{input_data_path}: an event file ends in .json, .jsonl or .ndjson,"
                " optionally .gz, and begins with neither . nor _"
            )
    elif glob.has_magic(input_data_path):
        root = next(p for p in path.parents if not glob.has_magic(str(p)))
        found = [Path(name) for name in glob.glob(str(path), recursive=True)]
        if not found:
            raise InputError(f"{input_data_path}: no file matches")
    else:
        raise InputError(f"{input_data_path}: no such file or directory")
    event_files = sorted(p for p in found if _is_event_file(p.name) and p.is_file())
    for event_file in event_files:
        if not os.access(event_file, os.R_OK):
            raise InputError(f"{event_file}: permission denied")
    return Inputs(root, tuple(event_files))


def csv_positions(path: Path, names: Sequence[str]) -> tuple[int, list[int | None]]:
    """How many columns a CSV file has, and where these names stand in its header.

    Engines take names that differ in case for one, so they read columns by position.

    Raises:
        InputError: the file cannot be read, or lacks the first name, the key.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if names[0] not in header:
        raise InputError(f"{path}: its header has no column {names[0]}")
    positions = [header.index(n) if n in header else None for n in names]
    return len(header), positions


def _is_event_file(name: str) -> bool:
    # Names that begin so are hidden, as they are to Spark and Hive.
    return name.endswith(_EVENT_FILE_ENDINGS) and not name.startswith((".", "_"))


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError as error:
        raise InputError(f"{directory}: {error.strerror}") from error
