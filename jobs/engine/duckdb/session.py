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
from jobs.engine.duckdb.plans import hasten_plans
from jobs.errors import RunError
from jobs.fields import Kind
from jobs.lines.arrow import ArrowLines
from jobs.lines.chunks import lines_of_ranges
from jobs.lines.exact import plain_line
from jobs.lines.files import LineRange
from jobs.quoting import text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@cache
def bind_models() -> None:
    """Make ``from pyspark.sql import functions`` mean SQLFrame's, in this process."""
    sqlframe.activate("duckdb")
    hasten_plans()


class Session:
    """A database in memory, and its tables and views as DataFrames.

    Attributes:
        connection: of DuckDB.
    """

    def __init__(self, config: Mapping[str, Any], time_zone: str) -> None:
        """Open it.

        Args:
            config: DuckDB's settings, on top of those that every session has.
            time_zone: in which days and local times are meant.
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
        """The session that PySpark's models run in."""
        return DuckDBSession(self.connection)

    def judge(
        self,
        ranges: Sequence[LineRange],
        fields: Mapping[str, Kind],
        rule: Rule,
        memory: int | None,
        into: Callable[[str], str],
    ) -> None:
        """Judge every line of these ranges once.

        Args:
            ranges: where the lines are.
            fields: the kind of each field, by its name.
            rule: as ``Engine.read_lines`` has it.
            memory: the bytes that a line may need; None: as many as there are.
            into: makes of the query for the verdicts a statement that stores them.

        Raises:
            InputError: a file cannot be read as it was listed, or has too long a line.
            RunError: a line needs more memory, or was not judged once.
        """
        [(threads,)] = self.connection.sql(
            "SELECT current_setting('threads')"
        ).fetchall()
        lines = ArrowLines(lines_of_ranges(ranges, threads, memory))
        name = self.new_name()
        self.connection.register(name, lines)
        objects = self.view(objects_query(name, self.register(plain_line), fields))
        # Or DuckDB joins the few rows of a chunk of long lines with those of the next
        # chunks, and holds them all.
        self.connection.execute("SET enable_caching_operators = false")
        try:
            statement = into(sql_of(rule(objects, self.rewrite)))
            [(judged,)] = self.connection.execute(statement).fetchall()
        except Exception as error:
            # DuckDB knows that the lines have ended in an error, but not in which.
            raise lines.error or error from error
        finally:
            self.connection.execute("RESET enable_caching_operators")
            self.connection.unregister(name)
            lines.close()
        if judged != lines.count:
            raise RunError(
                f"{ranges[0].file.path} and {len(ranges) - 1:,} more:"
                f" {lines.count:,} lines, of which DuckDB judged {judged:,}"
            )

    def rewrite(
        self, rows: "DataFrame", columns: Mapping[str, TextFunction]
    ) -> "DataFrame":
        """The rows, with these columns put as text through Python functions."""
        from pyspark.sql import functions as F

        # DuckDB calls a function for NULL as well, which takes longer than to ask.
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
        """The name by which SQL calls a Python function."""
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
        """A query's rows, computed when they are used."""
        view = self.new_name()
        self.connection.execute(f"CREATE VIEW {view} AS {query}")
        return self.table(view)

    def table(self, name: str) -> "DataFrame":
        """The rows of a table or view."""
        # Left to itself, SQLFrame asks for the columns in four queries of its own.
        described = self.connection.execute(f"DESCRIBE {name}").fetchall()
        columns = {column: _spark_type(type_) for column, type_, *_ in described}
        self.sqlframe.catalog.add_table(name, columns)
        # SQLFrame's DataFrame is no PySpark one to a type checker.
        return cast("DataFrame", self.sqlframe.table(name))

    def new_name(self) -> str:
        """A name that nothing has yet."""
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
