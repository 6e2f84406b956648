"""INPUT_DATA_PATH: which files hold events, and where the two CSV files are."""

import csv
import glob
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from jobs.engine.json_lines import LONGEST_LINE
from jobs.errors import InputError

_CHUNK = 1024 * 1024
_GZIP = 31  # what zlib calls a window with a gzip header
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
        return path if os.path.lexists(path) else None

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
    else:
        raise InputError(f"{input_data_path}: no such file or directory")
    event_files = tuple(sorted(p for p in found if _is_event_file(p.name)))
    event_files = tuple(path for path in event_files if not path.is_dir())
    if not event_files and not path.is_dir():
        raise InputError(f"{input_data_path}: no event file matches")
    for event_file in event_files:
        _check_readable(event_file)
    return Inputs(root, event_files)


def check_gzip_files(paths: Sequence[Path]) -> None:
    """Read every file that is packed, since not every reader looks at its checksums.

    Raises:
        InputError: a file is cut off or corrupt.
    """
    packed = [path for path in paths if path.suffix == ".gz"]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(_check_gzip, packed))


def line_too_long(path: str | Path) -> InputError:
    """What to raise of a file with a line of more than LONGEST_LINE."""
    return InputError(f"{path}: a line is longer than {LONGEST_LINE:,} bytes")


def tidy_csv(path: Path, names: Sequence[str], tidy: Path) -> None:
    """Write these columns of a CSV file to a new one that can be read in one way only.

    It has no header, the columns in this order, and every field in quotes; a field that
    a row does not have, or a column that the file does not have, is empty.

    Raises:
        InputError: the file cannot be read, or lacks the first name, the key.
    """
    csv.field_size_limit(LONGEST_LINE)
    with tidy.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n")
        row_number = 1
        try:
            with path.open(encoding="utf-8-sig", newline="") as source:
                rows = csv.reader(source, strict=True)
                header = next(rows, [])
                if names[0] not in header:
                    raise InputError(f"{path}: its header has no column {names[0]}")
                positions = [header.index(n) if n in header else None for n in names]
                for row_number, row in enumerate(rows, start=2):  # noqa: B007
                    if row:
                        writer.writerow([_field(row, at) for at in positions])
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 after row {row_number}") from error
        except csv.Error as error:
            raise InputError(f"{path}: {error} after row {row_number}") from error


def _field(row: Sequence[str], position: int | None) -> str:
    return row[position] if position is not None and position < len(row) else ""


def _check_readable(path: Path) -> None:
    """Raise InputError unless this is a regular file that can be opened."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{str(path)!a}: a file's name must be UTF-8") from None
    if not path.exists():
        raise InputError(f"{path}: a link to nothing")
    if not path.is_file():
        raise InputError(f"{path}: no regular file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: permission denied")
    if path.suffix == ".gz" and path.stat().st_size == 0:
        raise InputError(f"{path}: empty, which no gzip file is")


def _check_gzip(path: Path) -> None:
    """Raise InputError unless the file is gzip streams from beginning to end."""
    stream = zlib.decompressobj(_GZIP)
    try:
        with path.open("rb") as file:
            while packed := file.read(_CHUNK):
                while packed:
                    if stream.eof:
                        stream = zlib.decompressobj(_GZIP)
                    stream.decompress(packed, _CHUNK)
                    packed = stream.unconsumed_tail or stream.unused_data
    except (OSError, zlib.error) as error:
        raise InputError(f"{path}: {error}") from error
    if not stream.eof:
        raise InputError(f"{path}: cut off before its end")


def _is_event_file(name: str) -> bool:
    # Names that begin so are hidden, as they are to Spark and Hive.
    return name.endswith(_EVENT_FILE_ENDINGS) and not name.startswith((".", "_"))


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError as error:
        raise InputError(f"{directory}: {error.strerror}") from error
