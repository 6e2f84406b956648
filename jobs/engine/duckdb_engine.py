"""The embedded engine: the PySpark models, run by SQLFrame on DuckDB, without a JVM."""

import glob
import os
import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb
import sqlframe
import sqlglot
from duckdb.func import FunctionNullHandling
from sqlframe.duckdb import DuckDBSession

from jobs.engine.base import Engine, Rule, TextFunction
from jobs.engine.duckdb_lines import objects_query
from jobs.engine.quick_plans import hasten_plans
from jobs.engine.store import Store
from jobs.lines.arrow import ArrowLines
from jobs.lines.chunks import lines_of_files
from jobs.lines.exact import LONGEST_LINE, plain_line
from jobs.lines.inputs import Inputs
from jobs.settings import RunSettings, megabytes
from jobs.tables import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What a thread takes to read, judge and write; it cannot spill this.
_MEGABYTES_PER_THREAD = 128

# A row of CSV may hold a line whose every character is a quote, and so written twice.
_LONGEST_ROW = 2 * LONGEST_LINE + 1024 * 1024

_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}


@cache
def bind_models() -> None:
    """Make ``from pyspark.sql import functions`` mean SQLFrame's, in this process."""
    sqlframe.activate("duckdb")
    hasten_plans()


class DuckDBEngine(Engine):
    def __init__(self, settings: RunSettings, store: Store) -> None:
        super().__init__(settings, store)
        config: dict[str, Any] = {
            "preserve_insertion_order": False,
            "temp_directory": str(store.scratch / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if settings.memory_limit:
            config["memory_limit"] = settings.memory_limit
            affordable = megabytes(settings.memory_limit) // _MEGABYTES_PER_THREAD
            config["threads"] = min(max(1, affordable), len(os.sched_getaffinity(0)))
        self._connection = duckdb.connect(config=config)
        self._connection.execute(f"SET TimeZone = {_text(settings.reporting_timezone)}")
        bind_models()
        self._session = DuckDBSession(self._connection)
        self._names = 0
        self._held: list[str] = []

    def judged(self, inputs: Inputs, judge: Rule) -> "DataFrame":
        [(threads,)] = self._connection.sql(
            "SELECT current_setting('threads')"
        ).fetchall()
        limit = self.settings.memory_limit
        memory = megabytes(limit) * 10**6 if limit else None
        lines = ArrowLines(lines_of_files(inputs.event_files, threads, memory))
        name = self._new_name()
        self._connection.register(name, lines)
        objects = self._view(objects_query(name, self._registered(plain_line)))
        # Or DuckDB joins the few rows of a chunk of long lines with those of the next
        # chunks, and holds them all.
        self._connection.execute("SET enable_caching_operators = false")
        try:
            return self.hold(judge(objects))
        except Exception as error:
            # DuckDB knows that the lines have ended in an error, but not in which.
            raise lines.error or error from error
        finally:
            self._connection.execute("RESET enable_caching_operators")
            self._connection.unregister(name)
            lines.close()

    def check_unchanged(self, inputs: Inputs) -> None:
        """Nothing is left to check: each file was compared with its last byte."""

    def hold(self, rows: "DataFrame") -> "DataFrame":
        held = self._new_name()
        self._connection.execute(f"CREATE TABLE {held} AS {_sql(rows)}")
        self._held.append(held)
        return self._table(held)

    def release(self) -> None:
        while self._held:
            self._connection.execute(f"DROP TABLE {self._held.pop()}")

    def collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        return self._connection.execute(_sql(rows)).fetchall()

    def rewrite(
        self, rows: "DataFrame", columns: Mapping[str, TextFunction]
    ) -> "DataFrame":
        from pyspark.sql import functions as F

        return rows.withColumns(
            {
                name: F.expr(f"{self._registered(function)}(cast({name} as string))")
                for name, function in columns.items()
            }
        )

    def query(self, sql: str, tables: Iterable[Table]) -> list[tuple[Any, ...]]:
        for table in tables:
            read = self._read_sql(table, self.folder(table))
            self._connection.execute(
                f"CREATE OR REPLACE TEMP VIEW {_name(table.name)} AS {read}"
            )
        return self._connection.execute(sql).fetchall()

    def name(self, table: Table, folder: Path) -> None:
        read = self._read_sql(table, folder)
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        self._connection.execute(
            f"CREATE OR REPLACE VIEW {table.layer}.{_name(table.name)} AS {read}"
        )

    def ask(self, query: str) -> Any:
        [translated] = sqlglot.transpile(query, read="spark", write="duckdb")
        found = self._connection.sql(translated)
        # The sum of a BIGINT is one that pandas has no integer for.
        columns = (
            (
                f"CAST({_name(name)} AS BIGINT) AS {_name(name)}"
                if kind == duckdb.sqltypes.HUGEINT
                else _name(name)
            )
            for name, kind in zip(found.columns, found.types, strict=True)
        )
        return found.project(", ".join(columns)).df()

    def explain(self, error: Exception) -> BaseException:
        message = str(error)
        if isinstance(error, RuntimeError) and message == "Query interrupted":
            return KeyboardInterrupt()
        if isinstance(error, duckdb.OutOfMemoryException):
            return self.out_of_memory(f"{_MEGABYTES_PER_THREAD}MB")
        if "No space left on device" in message:
            return self.out_of_space()
        return error

    def close(self) -> None:
        self._session.stop()
        self._connection.close()

    def _read(self, table: Table, folder: Path) -> "DataFrame":
        return self._view(self._read_sql(table, folder))

    def _read_sql(self, table: Table, folder: Path) -> str:
        columns = [_cast(_name(c.name), c) for c in table.columns]
        files = list(folder.rglob("*.parquet"))
        if table.partition:
            value = _name(table.partition.name)
            if files[0].parent != folder:
                # Not DuckDB's own way: it takes every folder for a partition, those
                # above the table too, and its value for that of a column.
                start = len(str(folder / table.partition.name)) + 2
                value = f"split_part(filename[{start}:], '/', 1)"
            columns.append(_cast(value, table.partition))
        return (
            f"SELECT {', '.join(columns)} FROM read_parquet({_paths(files)},"
            " hive_partitioning = false, filename = true)"
        )

    def _read_tidy(self, table: Table, tidy: Path) -> "DataFrame":
        columns = ", ".join(f"'{name}': 'VARCHAR'" for name in table.column_names)
        return self._view(
            f"SELECT * FROM read_csv({_paths([tidy])}, columns = {{{columns}}},"
            """ delim = ',', quote = '"', escape = '"', new_line = '\\n',"""
            " header = false, auto_detect = false, parallel = false,"
            f" max_line_size = {_LONGEST_ROW})"
        )

    def _write(self, table: Table, rows: "DataFrame", folder: Path) -> int:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        if table.partition:
            target = folder
            options += f", PARTITION_BY ({_name(table.partition.name)})"
            options += ", FILENAME_PATTERN 'part-{uuid}'"
        else:
            target = folder / "part-0.parquet"
        typed = ", ".join(_cast(_name(column.name), column) for column in table.schema)
        [(count,)] = self._connection.execute(
            f"COPY (SELECT {typed} FROM ({_sql(rows)}))"
            f" TO {_text(target)} ({options})"
        ).fetchall()
        return int(count)

    def _write_empty(self, table: Table, folder: Path) -> None:
        columns = ", ".join(
            f"NULL::{_type(column.type)} AS {_name(column.name)}"
            for column in table.schema
        )
        target = _text(folder / "part-0.parquet")
        self._connection.execute(
            f"COPY (SELECT {columns} LIMIT 0) TO {target} (FORMAT parquet)"
        )

    def _registered(self, function: TextFunction) -> str:
        """The name by which SQL calls a Python function."""
        name = self._new_name()
        self._connection.create_function(
            name,
            function,
            ["VARCHAR"],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
        )
        return name

    def _view(self, query: str) -> "DataFrame":
        view = self._new_name()
        self._connection.execute(f"CREATE VIEW {view} AS {query}")
        return self._table(view)

    def _table(self, name: str) -> "DataFrame":
        # Left to itself, SQLFrame asks for the columns in four queries of its own.
        described = self._connection.execute(f"DESCRIBE {name}").fetchall()
        columns = {column: _spark_type(type_) for column, type_, *_ in described}
        self._session.catalog.add_table(name, columns)
        # SQLFrame's DataFrame is no PySpark one to a type checker.
        return cast("DataFrame", self._session.table(name))

    def _new_name(self) -> str:
        self._names += 1
        return f"product_events_{self._names}"


def _sql(rows: Any) -> str:
    # SQLFrame's own optimizer costs time on big plans, and DuckDB optimizes anyway.
    return str(rows.sql(dialect="duckdb", optimize=False, pretty=False))


def _cast(value: str, column: Column) -> str:
    return f"CAST({value} AS {_type(column.type)}) AS {_name(column.name)}"


def _type(spark_type: str) -> str:
    return _TYPES.get(spark_type, spark_type)


@cache
def _spark_type(type_: str) -> str:
    return str(sqlglot.exp.DataType.build(type_, dialect="duckdb").sql("spark"))


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str | Path) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _paths(paths: Iterable[Path]) -> str:
    """A list of files for DuckDB, which takes ``*``, ``?`` and ``[`` for a glob."""
    return "[" + ", ".join(_text(glob.escape(str(path))) for path in paths) + "]"
