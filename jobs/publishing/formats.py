"""The interface of a table format: it turns data files into a published table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobs.engine.base import DataFile, TableFiles
from jobs.publishing.state import TableRecord
from jobs.settings import DELTA, PARQUET
from jobs.tables import Table

FORMATS = (PARQUET, DELTA)


class NotPublishedError(Exception):
    """No table is published; the message names the table and the cause."""


class ConflictError(NotPublishedError):
    """The cause is that another program has changed a table."""


@dataclass(frozen=True)
class Change:
    """A table that a run publishes.

    Attributes:
        table: the table.
        added: the data files that the run wrote.
        made_from: the tables that this one was made from: the run of each, by its name.
        kept: the data files of the published table that stay.
    """

    table: Table
    added: tuple[DataFile, ...]
    made_from: Mapping[str, str]
    kept: tuple[DataFile, ...] = ()


class TableFormat(Protocol):
    """The tables of a prefix in one format."""

    def begin(self, tables: Iterable[Table]) -> None:
        """Note the tables as they are when the run that writes them begins."""
        ...

    def record(self, change: Change, run_id: str) -> TableRecord:
        """The record that a table has once the run has published it."""
        ...

    def prepare(self, changes: Sequence[Change], scratch: Path) -> list[Table]:
        """Take all steps of publishing that readers of the published folders miss.

        These are all steps that may run out of disk space.

        Returns: the tables whose files were copied, since there are no hard links.

        Raises:
            OSError: a table cannot be published.
        """
        ...

    def publish(self, records: Mapping[Table, TableRecord], scratch: Path) -> None:
        """Publish prepared tables; tables that are published already stay.

        Raises:
            OSError: some of the tables are published, and publishing can be repeated.
            NotPublishedError: none of the tables is published.
        """
        ...

    def discard(self, scratch: Path) -> None:
        """Undo :meth:`prepare`, for a run that does not publish."""
        ...

    def problem(self, table: Table, record: TableRecord) -> str | None:
        """A sentence, if other readers of the published table find other files."""
        ...


def published_folder(prefix: Path, table: Table, table_format: str) -> Path:
    """The folder of a published table."""
    return prefix / table.name / f"format={table_format}"


def staging_folder(scratch: Path, table: Table, table_format: str) -> Path:
    """The folder that a run writes a table to before it publishes the table."""
    return scratch / table.name / f"format={table_format}"


def missing(files: TableFiles) -> list[Path]:
    """The data files that are gone. No two data files have the same name."""
    return [path for path in files.paths if not path.exists()]
