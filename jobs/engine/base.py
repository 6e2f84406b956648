"""What a job asks of an engine. Nothing outside this package knows which one runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.engine.inputs import Inputs
from jobs.engine.store import Store
from jobs.errors import InputError
from jobs.settings import RunSettings
from jobs.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Engine(ABC):
    """One session of an engine, reading one input and writing one prefix.

    A model's ``from pyspark.sql import functions as F`` binds to the engine that is
    open at its first import: open one first, and one kind of engine in a process.
    """

    def __init__(self, settings: RunSettings, store: Store) -> None:
        self.settings = settings
        self.store = store

    @abstractmethod
    def read_events(self, inputs: Inputs) -> "DataFrame":
        """One row per line that is not blank.

        Columns: raw (the line), source_file (relative to the input's root), is_object
        (whether the line is one JSON object) and every one of EVENT_FIELDS as text.
        """

    @abstractmethod
    def read_attributes(self, table: Table, path: Path | None) -> "DataFrame":
        """The rows of a CSV file, each column of the table as text; none without one.

        Raises:
            InputError: the file has no column of the table's key.
        """

    @abstractmethod
    def hold(self, rows: "DataFrame") -> "DataFrame":
        """The same rows, computed once however often they are used."""

    @abstractmethod
    def collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        """A small result, as tuples."""

    @abstractmethod
    def close(self) -> None:
        """End the session; held rows are gone."""

    @abstractmethod
    def _read(self, table: Table, files: Sequence[Path]) -> "DataFrame": ...

    @abstractmethod
    def _write(self, table: Table, rows: "DataFrame", folder: Path) -> None:
        """Write the partitions that have rows, typed as the catalogue says."""

    @abstractmethod
    def _write_empty(self, table: Table, folder: Path) -> None:
        """Write one file without rows that holds every column, the partition's too."""

    @abstractmethod
    def _count(self, folder: Path) -> int:
        """The rows of the Parquet files in a folder, by what the files say."""

    def read(self, table: Table) -> "DataFrame":
        """The rows of a published table.

        Raises:
            InputError: the table is not there; the message says which job writes it.
        """
        live = self.store.live(table)
        files = sorted(live.rglob("*.parquet"))
        if not files:
            raise InputError(f"{live}: there is no table {table.name} yet")
        return self._read(table, files)

    def stage(self, table: Table, rows: "DataFrame") -> int:
        """Write a table aside, for the store to publish; returns its row count."""
        folder = self.store.aside(table)
        self._write(table, rows, folder)
        if not any(folder.rglob("*.parquet")):
            self._write_empty(table, folder)
        count = self._count(folder)
        self.store.staged[table] = count
        return count
