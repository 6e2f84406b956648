"""The interface of an engine: it computes rows, and reads and writes their files.

An engine knows no prefix, no lock, no ledger and no publishing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from jobs.errors import RunError
from jobs.fields import Kind
from jobs.lines.chunks import LineCount
from jobs.lines.files import EventFile
from jobs.mapping import EventMapping
from jobs.settings import RunSettings, megabytes
from jobs.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


TextFunction = Callable[[str | None], str | None]
Rewrite = Callable[["DataFrame", Mapping[str, TextFunction]], "DataFrame"]
""":meth:`Engine.rewrite`, on the driver or on a worker."""
Rule = Callable[["DataFrame", Rewrite], "DataFrame"]
Result = TypeVar("Result", bound=NamedTuple)


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table.

    Attributes:
        path: its path below the table's folder.
        rows: the number of its rows.
        size: its size in bytes.
        partition: the value of the partition column in all its rows, as text; None if
            the file itself has that column, or the table has no partition.
    """

    path: str
    rows: int
    size: int
    partition: str | None

    @classmethod
    def at(cls, path: str, rows: int, size: int) -> "DataFile":
        """A data file whose path tells the value of the partition."""
        folder, _, _ = path.rpartition("/")
        _, is_partitioned, value = folder.partition("=")
        return cls(path, rows, size, value if is_partitioned else None)


@dataclass(frozen=True)
class TableFiles:
    """The data files of a table, and the folder that has them."""

    folder: Path
    files: tuple[DataFile, ...]

    @property
    def paths(self) -> list[Path]:
        return [self.folder / file.path for file in self.files]

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class JudgedLines:
    """The result of :meth:`Engine.read_lines`.

    Attributes:
        rows: a row for each line, cached.
        counts: what was read of each file, in the order of the files.
    """

    rows: "DataFrame"
    counts: Sequence[LineCount]


class Engine(ABC):
    """One session of an engine.

    ``from pyspark.sql import functions as F`` binds a model to the engine that is open
    when the model is first imported. Open the engine first, and only one kind of engine
    in a process.
    """

    def __init__(
        self, settings: RunSettings, scratch: Path, time_zone: str = "UTC"
    ) -> None:
        """Open the session.

        Args:
            settings: the settings of the run.
            scratch: a folder for the engine's temporary files.
            time_zone: the time zone in which :meth:`sql` shows instants. No model needs
                it, since engines have different rules for time zones.
        """
        self.settings = settings
        self.scratch = scratch

    @property
    @abstractmethod
    def session(self) -> Any:
        """The ``SparkSession``, or SQLFrame's session: it makes DataFrames."""

    @abstractmethod
    def bind_models(self) -> None:
        """Bind the models that are imported from now on to this engine.

        This changes the meaning of ``pyspark.sql`` in the whole process. A process that
        runs other people's code, such as a notebook, must not call it.
        """

    @abstractmethod
    def read_lines(
        self,
        files: Sequence[EventFile],
        fields: Mapping[str, Kind],
        judge: Rule,
        mapping: EventMapping | None = None,
    ) -> JudgedLines:
        """Apply a rule to every line that is not blank; gives a row for each line.

        DuckDB reads the lines and runs the rule on both engines. On Spark it does so in
        the tasks, to which the rule is sent.

        Args:
            files: the files of the lines.
            fields: the kind of each field that is read, by its name.
            judge: the rule. Its first argument has a row per line with raw (the line),
                source_file (relative to the input's root), file (INT, its number in
                ``files``), at (BIGINT, the place of the line in the file's bytes,
                unpacked and in UTF-8), size (INT, its bytes there), is_object (whether
                the line is one JSON object),
                field_without_id (TINYINT, the number of the first field whose text
                means that there is no id) and every field as text. Its second argument
                is :meth:`rewrite`. It returns a row for each row.
            mapping: the mapping by which lines have these fields. Each row then also
                has rule (TINYINT, the number of the rule that takes the line, or NULL),
                type (the value by which a line is counted that no rule takes) and found
                (BIGINT, a bit for each path of the rule that the line has).

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
        """Write a table's rows, typed as the catalogue says, to a new folder.

        If there are no rows, this writes one file with every column, also the
        partition's.
        """

    @abstractmethod
    def cache(self, rows: "DataFrame") -> "DataFrame":
        """The same rows, computed once however often they are used.

        The cached rows take memory until :meth:`uncache`.
        """

    @abstractmethod
    def uncache(self) -> None:
        """Drop all cached rows; DataFrames that use them are invalid from then on."""

    def collect(self, rows: "DataFrame", into: type[Result]) -> list[Result]:
        """A small result, as NamedTuples.

        Args:
            rows: the rows to compute.
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
        """The rows, with these columns as the texts that Python functions return.

        Use this only where no column function suffices: it moves each value to Python
        and back.
        """

    @abstractmethod
    def query(
        self, sql: str, tables: Mapping[Table, TableFiles]
    ) -> list[tuple[Any, ...]]:
        """The small result of a query in SQL that both engines understand."""

    @abstractmethod
    def create_view(self, table: Table, files: TableFiles) -> None:
        """Create a view of a table, named by its layer and name, for :meth:`sql`."""

    @abstractmethod
    def sql(self, query: str) -> Any:
        """The result of a query in Spark's SQL on the views, as a pandas DataFrame."""

    @abstractmethod
    def to_run_error(self, error: Exception) -> BaseException:
        """The error to show to the user if a call to this engine raised this one."""

    @abstractmethod
    def close(self) -> None:
        """End the session and drop all cached rows."""

    @abstractmethod
    def _collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        """A small result, each row in the order of its columns."""

    def out_of_memory(self, least: str) -> RunError:
        """The error to raise when the engine has run out of memory.

        Args:
            least: the least MEMORY_LIMIT that the engine can work with.
        """
        limit = self.settings.memory_limit
        is_less = not limit or megabytes(limit) < megabytes(least)
        return RunError(
            f"out of memory at MEMORY_LIMIT={limit or 'unset'}: it needs more"
            + (f", at least {least}" if is_less else "")
        )

    def out_of_space(self) -> RunError:
        return RunError(f"no space left on the disk of {self.scratch}")
