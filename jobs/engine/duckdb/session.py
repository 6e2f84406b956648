"""A DuckDB database that PySpark models run on, through SQLFrame."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

import duckdb
import sqlframe
import sqlglot
from duckdb.func import FunctionNullHandling
from sqlframe.duckdb import DuckDBSession

from jobs.engine.base import Rule, TextFunction
from jobs.engine.duckdb.lines import objects_query
from jobs.engine.duckdb.mapped import mapped_objects_query
from jobs.engine.duckdb.plans import hasten_plans
from jobs.errors import RunError
from jobs.fields import Kind
from jobs.lines.arrow import ArrowLines
from jobs.lines.chunks import LineCount, lines_of_ranges
from jobs.lines.files import LineRange
from jobs.lines.mapped import ExactReader
from jobs.mapping import EventMapping
from jobs.quoting import text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@cache
def bind_models() -> None:
    """Make ``from pyspark.sql import functions`` import SQLFrame's in this process."""
    sqlframe.activate("duckdb")
    hasten_plans()


class Session:
    """A database in memory, and its tables and views as DataFrames.

    Attributes:
        connection: the connection to DuckDB.
    """

    def __init__(self, config: Mapping[str, Any], time_zone: str = "UTC") -> None:
        """Open the database.

        Args:
            config: DuckDB's settings, in addition to those of every session.
            time_zone: the time zone in which a query shows instants.
        """
        self.connection = duckdb.connect(
            config={
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                **config,
            }
        )
        self.connection.execute(f"SET TimeZone = {text(time_zone)}")
        self._names = 0

    @cached_property
    def sqlframe(self) -> Any:
        """SQLFrame's session, in which the models run."""
        return DuckDBSession(self.connection)

    def judge(
        self,
        ranges: Sequence[LineRange],
        fields: Mapping[str, Kind],
        rule: Rule,
        memory: int | None,
        into: Callable[[str], str],
        mapping: EventMapping | None = None,
    ) -> dict[int, LineCount]:
        """Apply a rule to every line of these ranges once.

        Args:
            ranges: the ranges of lines.
            fields: the kind of each field, by its name.
            rule: the rule, as in ``Engine.read_lines``.
            memory: the bytes that a line may need; None sets no limit.
            into: makes the statement that stores the result of the query for the rule.
            mapping: the mapping of the lines, as in ``Engine.read_lines``.

        Returns:
            What was read of each file, by the file's number.

        Raises:
            InputError: a file cannot be read as it was listed, or has too long a line.
            RunError: a line needs more memory, or DuckDB did not judge each line once.
        """
        [(threads,)] = self.connection.sql(
            "SELECT current_setting('threads')"
        ).fetchall()
        reader = ExactReader(mapping)
        lines = ArrowLines(lines_of_ranges(ranges, threads, memory, reader=reader))
        name = self.new_name()
        self.connection.register(name, lines)
        plain_line = self.register(reader.line)
        query = (
            mapped_objects_query(name, plain_line, fields, mapping)
            if mapping
            else objects_query(name, plain_line, fields)
        )
        objects = self.view(query)
        # Otherwise DuckDB collects the few rows of chunks of long lines until it has
        # many rows, and keeps all of these chunks in memory.
        self.connection.execute("SET enable_caching_operators = false")
        try:
            statement = into(sql_of(rule(objects, self.rewrite)))
            [(judged,)] = self.connection.execute(statement).fetchall()
        except Exception as error:
            # DuckDB's own error does not name the error that ended the lines.
            raise lines.error or error from error
        finally:
            self.connection.execute("RESET enable_caching_operators")
            self.connection.unregister(name)
            lines.close()
        read = sum(count.lines for count in lines.counts.values())
        if judged != read:
            raise RunError(
                f"{ranges[0].file.path} and {len(ranges) - 1:,} more:"
                f" {read:,} lines, of which DuckDB judged {judged:,}"
            )
        return lines.counts

    def rewrite(
        self, rows: "DataFrame", columns: Mapping[str, TextFunction]
    ) -> "DataFrame":
        """The rows, with these columns as the texts that Python functions return."""
        from pyspark.sql import functions as F

        # DuckDB would call the function for NULL, too; a test for NULL is faster.
        return rows.withColumns(
            {
                name: F.when(
                    F.col(name).isNotNull(),
                    F.expr(f"{self.register(function)}(cast({name} as string))"),
                )
                for name, function in columns.items()
            }
        )

    def register(self, function: TextFunction) -> str:
        """Make a Python function known to SQL; returns its name there."""
        name = self.new_name()
        self.connection.create_function(
            name,
            function,
            ["VARCHAR"],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
        )
        return name

    def view(self, query: str) -> "DataFrame":
        """The rows of a query, which is run whenever they are used."""
        view = self.new_name()
        self.connection.execute(f"CREATE VIEW {view} AS {query}")
        return self.table(view)

    def table(self, name: str) -> "DataFrame":
        """The rows of a table or view."""
        # Without this, SQLFrame runs four queries to find the columns.
        described = self.connection.execute(f"DESCRIBE {name}").fetchall()
        columns = {column: _spark_type(type_) for column, type_, *_ in described}
        self.sqlframe.catalog.add_table(name, columns)
        # To a type checker, SQLFrame's DataFrame is not PySpark's.
        return cast("DataFrame", self.sqlframe.table(name))

    def new_name(self) -> str:
        """A name that is not in use yet."""
        self._names += 1
        return f"product_events_{self._names}"

    def close(self) -> None:
        if "sqlframe" in vars(self):
            self.sqlframe.stop()
        self.connection.close()


def sql_of(rows: Any) -> str:
    """The SQL of a DataFrame."""
    # SQLFrame's own optimizer costs time on big plans, and DuckDB optimizes anyway.
    return str(rows.sql(dialect="duckdb", optimize=False, pretty=False))


@cache
def _spark_type(type_: str) -> str:
    return str(sqlglot.exp.DataType.build(type_, dialect="duckdb").sql("spark"))
