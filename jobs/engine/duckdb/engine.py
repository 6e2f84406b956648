"""The embedded engine: DuckDB computes rows, and reads and writes their files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import sqlglot

from jobs.engine.base import (
    DataFile,
    Engine,
    JudgedLines,
    Rule,
    TableFiles,
    TextFunction,
)
from jobs.engine.duckdb.session import Session, bind_models, sql_of
from jobs.engine.duckdb.tables import (
    is_unreadable,
    no_rows_query,
    paths,
    read_query,
    write_query,
    written,
)
from jobs.errors import InputError
from jobs.fields import Kind
from jobs.lines.chunks import LineCount
from jobs.lines.exact import LONGEST_LINE
from jobs.lines.files import EventFile, whole
from jobs.mapping import EventMapping
from jobs.quoting import identifier
from jobs.settings import RunSettings, megabytes
from jobs.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The memory that a thread needs to read, judge and write. DuckDB cannot spill it.
_MEGABYTES_PER_THREAD = 128

# A CSV field may consist of quotes alone, and tidy_csv() writes each quote twice.
_LONGEST_ROW = 2 * LONGEST_LINE + 1024 * 1024


class DuckDBEngine(Engine):
    def __init__(
        self, settings: RunSettings, scratch: Path, time_zone: str = "UTC"
    ) -> None:
        super().__init__(settings, scratch, time_zone)
        config: dict[str, Any] = {"temp_directory": str(scratch / "spill")}
        self._memory: int | None = None
        if limit := settings.memory_limit:
            config["memory_limit"] = limit
            affordable = megabytes(limit) // _MEGABYTES_PER_THREAD
            config["threads"] = min(max(1, affordable), len(os.sched_getaffinity(0)))
            self._memory = megabytes(limit) * 10**6
        self._session = Session(config, time_zone)
        self._connection = self._session.connection
        self._cached: list[str] = []

    @property
    def session(self) -> Any:
        return self._session.sqlframe

    def bind_models(self) -> None:
        bind_models()

    def read_lines(
        self,
        files: Sequence[EventFile],
        fields: Mapping[str, Kind],
        judge: Rule,
        mapping: EventMapping | None = None,
    ) -> JudgedLines:
        judged = self._session.new_name()
        counts = self._session.judge(
            [whole(file, number) for number, file in enumerate(files)],
            fields,
            judge,
            self._memory,
            into=lambda query: f"CREATE TABLE {judged} AS {query}",
            mapping=mapping,
        )
        of_files = [counts.get(number, LineCount()) for number in range(len(files))]
        return JudgedLines(self._cached_table(judged), of_files)

    def read_csv(self, path: Path, columns: Sequence[str]) -> "DataFrame":
        types = ", ".join(f"'{name}': 'VARCHAR'" for name in columns)
        return self._session.view(
            f"SELECT * FROM read_csv({paths([path])}, columns = {{{types}}},"
            """ delim = ',', quote = '"', escape = '"', new_line = '\\n',"""
            " header = false, auto_detect = false, hive_partitioning = false,"
            " parallel = false,"
            f" max_line_size = {_LONGEST_ROW})"
        )

    def read(self, table: Table, files: TableFiles) -> "DataFrame":
        return self._session.view(read_query(table, files))

    def write(self, table: Table, rows: "DataFrame", folder: Path) -> list[DataFile]:
        folder.mkdir(parents=True)
        query = write_query(table, sql_of(rows), folder)
        files = written(table, self._connection.execute(query).fetchall(), folder)
        if files:
            return files
        query = write_query(table, no_rows_query(table), folder, is_partitioned=False)
        return written(table, self._connection.execute(query).fetchall(), folder)

    def cache(self, rows: "DataFrame") -> "DataFrame":
        cached = self._session.new_name()
        self._connection.execute(f"CREATE TABLE {cached} AS {sql_of(rows)}")
        return self._cached_table(cached)

    def _cached_table(self, name: str) -> "DataFrame":
        self._cached.append(name)
        return self._session.table(name)

    def uncache(self) -> None:
        while self._cached:
            self._connection.execute(f"DROP TABLE {self._cached.pop()}")

    def _collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        return self._connection.execute(sql_of(rows)).fetchall()

    def rewrite(
        self, rows: "DataFrame", columns: Mapping[str, TextFunction]
    ) -> "DataFrame":
        return self._session.rewrite(rows, columns)

    def query(
        self, sql: str, tables: Mapping[Table, TableFiles]
    ) -> list[tuple[Any, ...]]:
        for table, files in tables.items():
            self._connection.execute(
                f"CREATE OR REPLACE TEMP VIEW {identifier(table.name)}"
                f" AS {read_query(table, files)}"
            )
        return self._connection.execute(sql).fetchall()

    def create_view(self, table: Table, files: TableFiles) -> None:
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        self._connection.execute(
            f"CREATE OR REPLACE VIEW {table.layer}.{identifier(table.name)}"
            f" AS {read_query(table, files)}"
        )

    def sql(self, query: str) -> Any:
        [translated] = sqlglot.transpile(query, read="spark", write="duckdb")
        found = self._connection.sql(translated)
        # DuckDB sums BIGINT as HUGEINT, for which pandas has no integer type.
        columns = (
            (
                f"CAST({identifier(name)} AS BIGINT) AS {identifier(name)}"
                if kind == duckdb.sqltypes.HUGEINT
                else identifier(name)
            )
            for name, kind in zip(found.columns, found.types, strict=True)
        )
        return found.project(", ".join(columns)).df()

    def to_run_error(self, error: Exception) -> BaseException:
        message = str(error)
        if isinstance(error, RuntimeError) and message == "Query interrupted":
            return KeyboardInterrupt()
        if isinstance(error, duckdb.OutOfMemoryException):
            return self.out_of_memory(f"{_MEGABYTES_PER_THREAD}MB")
        if "No space left on device" in message:
            return self.out_of_space()
        if is_unreadable(error):
            return InputError(message.splitlines()[0])
        return error

    def close(self) -> None:
        self._session.close()
