"""What a job asks of an engine. Nothing outside this package knows which one runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.engine.store import Store, find_table
from jobs.errors import RunError
from jobs.fields import Kind
from jobs.lines.inputs import Inputs, tidy_csv
from jobs.settings import RunSettings, megabytes
from jobs.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


TextFunction = Callable[[str | None], str | None]
Rewrite = Callable[["DataFrame", Mapping[str, TextFunction]], "DataFrame"]
"""What :meth:`Engine.rewrite` is, wherever lines are judged."""
Rule = Callable[["DataFrame", Rewrite], "DataFrame"]


class Engine(ABC):
    """One session of an engine, reading one input and writing one prefix.

    A model's ``from pyspark.sql import functions as F`` binds to the engine that is
    open at its first import: open one first, and one kind of engine in a process.
    """

    def __init__(self, settings: RunSettings, store: Store) -> None:
        self.settings = settings
        self.store = store

    @property
    @abstractmethod
    def session(self) -> Any:
        """The ``SparkSession``, or what stands in for it: it makes DataFrames."""

    @abstractmethod
    def judged(
        self, inputs: Inputs, fields: Mapping[str, Kind], judge: Rule
    ) -> "DataFrame":
        """What a rule makes of every line that is not blank.

        DuckDB reads the lines and runs the rule, whichever engine this is: on Spark in
        the tasks, to which the rule is sent.

        Args:
            inputs: where the lines are.
            fields: the kind of each field that is read, by its name.
            judge: takes a row per line with raw (the line), source_file (relative to
                the input's root), is_object (whether the line is one JSON object) and
                every field as text, and a function as :meth:`rewrite`. It gives a row
                for each.

        Raises:
            InputError: a file cannot be read as it was listed, or has too long a line.
            RunError: a line needs more memory than there is.
        """

    @abstractmethod
    def hold(self, rows: "DataFrame") -> "DataFrame":
        """The same rows, computed once however often they are used.

        They take memory until :meth:`release`.
        """

    @abstractmethod
    def release(self) -> None:
        """Forget what is held; DataFrames made of it are of no use any more."""

    @abstractmethod
    def collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        """A small result, as tuples."""

    @abstractmethod
    def rewrite(
        self, rows: "DataFrame", columns: Mapping[str, TextFunction]
    ) -> "DataFrame":
        """The rows, with these columns put as text through Python functions.

        It is for what no column function does: each value makes a trip to Python.
        """

    @abstractmethod
    def query(self, sql: str, tables: Iterable[Table]) -> list[tuple[Any, ...]]:
        """A small result of SQL that both engines speak, on tables by their names.

        Raises:
            InputError: a table is not there.
        """

    @abstractmethod
    def name(self, table: Table, folder: Path) -> None:
        """Let :meth:`ask` know the table in a folder under its layer and name."""

    @abstractmethod
    def ask(self, query: str) -> Any:
        """The pandas DataFrame of a query in Spark's SQL on tables that were named."""

    @abstractmethod
    def explain(self, error: Exception) -> BaseException:
        """What to tell the user of an error that a call to this engine raised."""

    @abstractmethod
    def close(self) -> None:
        """End the session; held rows are gone."""

    @abstractmethod
    def _read(self, table: Table, folder: Path) -> "DataFrame": ...

    @abstractmethod
    def _read_tidy(self, table: Table, tidy: Path) -> "DataFrame":
        """The rows of what ``tidy_csv`` wrote, each column of the table as text."""

    @abstractmethod
    def _write(self, table: Table, rows: "DataFrame", folder: Path) -> int:
        """Write the partitions that have rows, typed as the catalogue says.

        Returns: the number of rows written.
        """

    @abstractmethod
    def _write_empty(self, table: Table, folder: Path) -> None:
        """Write one file without rows that holds every column, the partition's too."""

    def folder(self, table: Table) -> Path:
        """Where the table is: written aside by this run, or published.

        Raises:
            InputError: the table is not there.
        """
        if table in self.store.staged:
            return self.store.aside(table)
        return find_table(self.store.prefix, table)

    def read(self, table: Table) -> "DataFrame":
        """The rows of a table, as :meth:`folder` finds it."""
        return self._read(table, self.folder(table))

    def read_attributes(self, table: Table, path: Path | None) -> "DataFrame":
        """The rows of a CSV file, each column of the table as text; none without one.

        Raises:
            InputError: the file cannot be read, or has no column of the table's key.
        """
        tidy = self.store.scratch / f"{table.name}.csv"
        if path is None:
            tidy.touch()
        else:
            tidy_csv(path, table.column_names, tidy)
        return self._read_tidy(table, tidy)

    def stage(self, table: Table, rows: "DataFrame") -> int:
        """Write a table aside, for the store to publish; returns its row count."""
        folder = self.store.aside(table)
        count = self._write(table, rows, folder)
        if not any(folder.rglob("*.parquet")):
            self._write_empty(table, folder)
        self.store.staged[table] = count
        return count

    def stage_warehouse(self) -> str:
        """Write aside the views of all published tables; returns their file's name."""
        from jobs.engine.warehouse import stage_warehouse

        return stage_warehouse(self.store)

    def out_of_memory(self, least: str) -> RunError:
        """What to raise when the engine cannot go on in the memory that it has.

        Args:
            least: the least MEMORY_LIMIT that it can work with.
        """
        limit = self.settings.memory_limit
        is_less = not limit or megabytes(limit) < megabytes(least)
        return RunError(
            f"out of memory at MEMORY_LIMIT={limit or 'unset'}: it needs more"
            + (f", at least {least}" if is_less else "")
        )

    def out_of_space(self) -> RunError:
        prefix = self.settings.output_data_path_prefix
        return RunError(
            f"no space left on the disk of OUTPUT_DATA_PATH_PREFIX={prefix}"
        )
