"""What an engine does: it computes rows, and reads and writes their files.

An engine knows no prefix, no lock, no ledger and no publishing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from jobs.errors import RunError
from jobs.fields import Kind
from jobs.lines.files import EventFile
from jobs.settings import RunSettings, megabytes
from jobs.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


TextFunction = Callable[[str | None], str | None]
Rewrite = Callable[["DataFrame", Mapping[str, TextFunction]], "DataFrame"]
"""What :meth:`Engine.rewrite` is, wherever lines are judged."""
Rule = Callable[["DataFrame", Rewrite], "DataFrame"]
Result = TypeVar("Result", bound=NamedTuple)


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table.

    Attributes:
        path: its path below the table's folder.
        rows: that it holds.
        size: its bytes.
        partition: the value of the partition column of all its rows, as text; None
            where the file itself holds that column, or the table has none.
    """

    path: str
    rows: int
    size: int
    partition: str | None


@dataclass(frozen=True)
class TableFiles:
    """Data files, and the folder that they lie in."""

    folder: Path
    files: tuple[DataFile, ...]

    @property
    def paths(self) -> list[Path]:
        return [self.folder / file.path for file in self.files]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class Engine(ABC):
    """One session of an engine.

    A model's ``from pyspark.sql import functions as F`` binds to the engine that is
    open at its first import: open one first, and one kind of engine in a process.
    """

    def __init__(self, settings: RunSettings, scratch: Path) -> None:
        """Open the session.

        Args:
            settings: those of the run.
            scratch: a folder for what the engine has to put somewhere meanwhile.
        """
        self.settings = settings
        self.scratch = scratch

    @property
    @abstractmethod
    def session(self) -> Any:
        """The ``SparkSession``, or what stands in for it: it makes DataFrames."""

    @abstractmethod
    def bind_models(self) -> None:
        """Let models that are imported from now on run on this engine.

        It changes what ``pyspark.sql`` means in the whole process, so that only a
        process of the project's own may call it.
        """

    @abstractmethod
    def read_lines(
        self, files: Sequence[EventFile], fields: Mapping[str, Kind], judge: Rule
    ) -> "DataFrame":
        """The rows that a rule makes of every line that is not blank.

        DuckDB reads the lines and runs the rule, whichever engine this is: on Spark in
        the tasks, to which the rule is sent. The rows are cached.

        Args:
            files: where the lines are.
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
    def read_csv(self, path: Path, columns: Sequence[str]) -> "DataFrame":
        """The rows of a file that ``tidy_csv`` wrote, each column as text."""

    @abstractmethod
    def read(self, table: Table, files: TableFiles) -> "DataFrame":
        """The rows of a table's data files, typed as the catalogue says."""

    @abstractmethod
    def write(self, table: Table, rows: "DataFrame", folder: Path) -> list[DataFile]:
        """Write a table's rows, typed as the catalogue says, into a new folder.

        Without rows it is one file that holds every column, the partition's too.
        """

    @abstractmethod
    def cache(self, rows: "DataFrame") -> "DataFrame":
        """The same rows, computed once however often they are used.

        They take memory until :meth:`uncache`.
        """

    @abstractmethod
    def uncache(self) -> None:
        """Drop every cached row; DataFrames made of them are of no use any more."""

    def collect(self, rows: "DataFrame", into: type[Result]) -> list[Result]:
        """A small result, by name.

        Args:
            rows: what to compute.
            into: the NamedTuple of a row. It has a field for each column, in any order.

        Raises:
            ValueError: the columns have other names than the fields.
        """
        columns = rows.columns
        if sorted(columns) != sorted(into._fields):
            raise ValueError(
                f"the columns are {', '.join(columns)}, and the fields of"
                f" {into.__name__} are {', '.join(into._fields)}"
            )
        places = [columns.index(field) for field in into._fields]
        return [
            into._make(row[place] for place in places) for row in self._collect(rows)
        ]

    @abstractmethod
    def rewrite(
        self, rows: "DataFrame", columns: Mapping[str, TextFunction]
    ) -> "DataFrame":
        """The rows, with these columns put as text through Python functions.

        Use it for what no column function does: each value makes a trip to Python.
        """

    @abstractmethod
    def query(
        self, sql: str, tables: Mapping[Table, TableFiles]
    ) -> list[tuple[Any, ...]]:
        """A small result of SQL that both engines speak, on tables by their names."""

    @abstractmethod
    def create_view(self, table: Table, files: TableFiles) -> None:
        """Let :meth:`sql` find a table under its layer and name."""

    @abstractmethod
    def sql(self, query: str) -> Any:
        """The pandas DataFrame of a query in Spark's SQL on the views."""

    @abstractmethod
    def to_run_error(self, error: Exception) -> BaseException:
        """The error that tells the user of one that a call to this engine raised."""

    @abstractmethod
    def close(self) -> None:
        """End the session; cached rows are gone."""

    @abstractmethod
    def _collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        """A small result, each row in the order of its columns."""

    def out_of_memory(self, least: str) -> RunError:
        """The error of an engine that cannot go on in the memory that it has.

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
        return RunError(f"no space left on the disk of {self.scratch}")
