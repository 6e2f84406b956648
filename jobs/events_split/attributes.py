"""Reads users.csv and videos.csv, the attributes of users and videos, in one form.

A file is UTF-8, or UTF-16 with a BOM, with ``,`` ``;`` a tab or ``|`` between fields.
Blanks are spaces and tabs.
"""

import csv
import difflib
import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from jobs.engine import Engine
from jobs.errors import InputError
from jobs.fields import BLANKS
from jobs.lines.exact import LONGEST_LINE
from jobs.lines.unpacking import UTF_16_MARKS
from jobs.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class MissingColumn:
    """A column that a CSV file does not have.

    Attributes:
        name: the name of the column.
        near: the names in the file's header that resemble it, the nearest first.
    """

    name: str
    near: tuple[str, ...]


@dataclass(frozen=True)
class Attributes:
    """The attributes of users or videos.

    Attributes:
        path: the CSV file; None if there is none.
        rows: its rows, each column as text.
        missing: the columns that it does not have.
    """

    path: Path | None
    rows: "DataFrame"
    missing: Sequence[MissingColumn]


def read_attributes(engine: Engine, table: Table, path: Path | None) -> Attributes:
    """The rows of a CSV file; no rows if there is no file.

    Raises:
        InputError: the file cannot be read, or has no column of the table's key.
    """
    tidy = engine.scratch / f"{table.name}.csv"
    missing: Sequence[MissingColumn] = ()
    if path is None:
        tidy.touch()
    else:
        missing = tidy_csv(path, table.column_names, tidy)
    return Attributes(path, engine.read_csv(tidy, table.column_names), missing)


def tidy_csv(path: Path, names: Sequence[str], tidy: Path) -> list[MissingColumn]:
    """Write these columns of a CSV file to a new file that every reader reads alike.

    The new file has no header, the columns in this order, and quotes around every
    field. Its fields have no blanks around them. A field is empty if its row or its
    column is missing.

    Returns:
        the columns that the file does not have.

    Raises:
        InputError: the file cannot be read, or lacks the first column, the key.
    """
    csv.field_size_limit(LONGEST_LINE)
    row_number, encoding = 1, "UTF-8"
    try:
        encoding = _encoding(path)
        with (
            path.open(encoding=encoding, newline="") as source,
            tidy.open("w", encoding="utf-8", newline="") as target,
        ):
            delimiter = _delimiter(source, names)
            rows = _rows(source, delimiter)
            header = _header(rows)
            missing = _missing(names, header)
            if missing and missing[0].name == names[0]:
                near = "".join(f", but {name}" for name in missing[0].near[:1])
                raise InputError(f"{path}: its header has no column {names[0]}{near}")
            positions = [header.index(n) if n in header else None for n in names]
            writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n")
            for row_number, row in enumerate(rows, start=2):  # noqa: B007
                if row:
                    writer.writerow([_field(row, at) for at in positions])
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise  # of the new file
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-SIG")
        raise InputError(f"{path}: not {name} after row {row_number}") from error
    except csv.Error as error:
        raise InputError(f"{path}: {error} after row {row_number}") from error
    return missing


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in UTF_16_MARKS else "utf-8-sig"


def _delimiter(source: TextIO, names: Sequence[str]) -> str:
    """The delimiter that gives most of these columns; of several the first."""

    def columns(delimiter: str) -> int:
        try:
            header = _header(_rows(source, delimiter))
        except csv.Error:  # Quotes may only make sense with another delimiter.
            return 0
        return sum(name in header for name in names)

    return max(_DELIMITERS, key=columns)


def _rows(source: TextIO, delimiter: str) -> Iterator[list[str]]:
    source.seek(0)
    return csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=True)


def _header(rows: Iterator[list[str]]) -> list[str]:
    """The names in the first row that is not blank, in lower case."""
    names = ([field.strip(BLANKS).lower() for field in row] for row in rows)
    return next(filter(any, names), [])


def _missing(names: Sequence[str], header: Sequence[str]) -> list[MissingColumn]:
    others = [name for name in header if name not in names]
    return [
        MissingColumn(name, tuple(difflib.get_close_matches(name, others)))
        for name in names
        if name not in header
    ]


def _field(row: Sequence[str], position: int | None) -> str:
    if position is None or position >= len(row):
        return ""
    return row[position].strip(BLANKS)
