"""The embedded engine: the PySpark models, run by SQLFrame on DuckDB, without a JVM."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import sqlglot

from jobs.engine.base import Engine, Rule, TextFunction
from jobs.engine.duckdb_session import Session, paths, sql_of
from jobs.engine.store import Store
from jobs.fields import Kind
from jobs.lines.exact import LONGEST_LINE
from jobs.lines.files import whole
from jobs.lines.inputs import Inputs
from jobs.quoting import identifier, text
from jobs.settings import RunSettings, megabytes
from jobs.tables import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What a thread takes to read, judge and write; it cannot spill this.
_MEGABYTES_PER_THREAD = 128

# A row of CSV may hold a line whose every character is a quote, and so written twice.
_LONGEST_ROW = 2 * LONGEST_LINE + 1024 * 1024

_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}


class DuckDBEngine(Engine):
    def __init__(self, settings: RunSettings, store: Store) -> None:
        super().__init__(settings, store)
        config: dict[str, Any] = {"temp_directory": str(store.scratch / "spill")}
        self._memory: int | None = None
        if limit := settings.memory_limit:
            config["memory_limit"] = limit
            affordable = megabytes(limit) // _MEGABYTES_PER_THREAD
            config["threads"] = min(max(1, affordable), len(os.sched_getaffinity(0)))
            self._memory = megabytes(limit) * 10**6
        self._session = Session(config, settings.reporting_timezone)
        self._connection = self._session.connection
        self._held: list[str] = []

    @property
    def session(self) -> Any:
        return self._session.sqlframe

    def judged(
        self, inputs: Inputs, fields: Mapping[str, Kind], judge: Rule
    ) -> "DataFrame":
        judged = self._session.new_name()
        self._session.judge(
            [whole(file) for file in inputs.event_files],
            fields,
            judge,
            self._memory,
            into=lambda query: f"CREATE TABLE {judged} AS {query}",
        )
        return self._held_table(judged)

    def hold(self, rows: "DataFrame") -> "DataFrame":
        held = self._session.new_name()
        self._connection.execute(f"CREATE TABLE {held} AS {sql_of(rows)}")
        return self._held_table(held)

    def _held_table(self, name: str) -> "DataFrame":
        self._held.append(name)
        return self._session.table(name)

    def release(self) -> None:
        while self._held:
            self._connection.execute(f"DROP TABLE {self._held.pop()}")

    def collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        return self._connection.execute(sql_of(rows)).fetchall()

    def rewrite(
        self, rows: "DataFrame", columns: Mapping[str, TextFunction]
    ) -> "DataFrame":
        return self._session.rewrite(rows, columns)

    def query(self, sql: str, tables: Iterable[Table]) -> list[tuple[Any, ...]]:
        for table in tables:
            read = self._read_sql(table, self.folder(table))
            self._connection.execute(
                f"CREATE OR REPLACE TEMP VIEW {identifier(table.name)} AS {read}"
            )
        return self._connection.execute(sql).fetchall()

    def name(self, table: Table, folder: Path) -> None:
        read = self._read_sql(table, folder)
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        self._connection.execute(
            f"CREATE OR REPLACE VIEW {table.layer}.{identifier(table.name)} AS {read}"
        )

    def ask(self, query: str) -> Any:
        [translated] = sqlglot.transpile(query, read="spark", write="duckdb")
        found = self._connection.sql(translated)
        # The sum of a BIGINT is one that pandas has no integer for.
        columns = (
            (
                f"CAST({identifier(name)} AS BIGINT) AS {identifier(name)}"
                if kind == duckdb.sqltypes.HUGEINT
                else identifier(name)
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
        self._session.close()

    def _read(self, table: Table, folder: Path) -> "DataFrame":
        return self._session.view(self._read_sql(table, folder))

    def _read_sql(self, table: Table, folder: Path) -> str:
        columns = [_cast(identifier(c.name), c) for c in table.columns]
        files = list(folder.rglob("*.parquet"))
        if table.partition:
            value = identifier(table.partition.name)
            if files[0].parent != folder:
                # Not DuckDB's own way: it takes every folder for a partition, those
                # above the table too, and its value for that of a column.
                start = len(str(folder / table.partition.name)) + 2
                value = f"split_part(filename[{start}:], '/', 1)"
            columns.append(_cast(value, table.partition))
        return (
            f"SELECT {', '.join(columns)} FROM read_parquet({paths(files)},"
            " hive_partitioning = false, filename = true)"
        )

    def _read_tidy(self, table: Table, tidy: Path) -> "DataFrame":
        columns = ", ".join(f"'{name}': 'VARCHAR'" for name in table.column_names)
        return self._session.view(
            f"SELECT * FROM read_csv({paths([tidy])}, columns = {{{columns}}},"
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
            options += f", PARTITION_BY ({identifier(table.partition.name)})"
            options += ", FILENAME_PATTERN 'part-{uuid}'"
        else:
            target = folder / "part-0.parquet"
        typed = ", ".join(
            _cast(identifier(column.name), column) for column in table.schema
        )
        [(count,)] = self._connection.execute(
            f"COPY (SELECT {typed} FROM ({sql_of(rows)}))"
            f" TO {text(target)} ({options})"
        ).fetchall()
        return int(count)

    def _write_empty(self, table: Table, folder: Path) -> None:
        columns = ", ".join(
            f"NULL::{_type(column.type)} AS {identifier(column.name)}"
            for column in table.schema
        )
        target = text(folder / "part-0.parquet")
        self._connection.execute(
            f"COPY (SELECT {columns} LIMIT 0) TO {target} (FORMAT parquet)"
        )


def _cast(value: str, column: Column) -> str:
    return f"CAST({value} AS {_type(column.type)}) AS {identifier(column.name)}"


def _type(spark_type: str) -> str:
    return _TYPES.get(spark_type, spark_type)
