"""The embedded engine: the PySpark models, run by SQLFrame on DuckDB, without a JVM."""

import glob
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb
import sqlframe
import sqlglot
from duckdb.func import FunctionNullHandling
from sqlframe.duckdb import DuckDBSession

from jobs.engine.base import Engine, Rule, TextFunction
from jobs.engine.inputs import Inputs, check_gzip_files
from jobs.engine.json_lines import (
    DEEPEST_NESTING,
    ESCAPED_KEY,
    LONGEST_LINE,
    MISTYPED,
    SUSPICIOUS_LENGTH,
    plain_line,
)
from jobs.engine.odd_lines import DELIMITER, is_odd, write_lines
from jobs.engine.quick_plans import hasten_plans
from jobs.engine.store import Store
from jobs.errors import InputError
from jobs.settings import RunSettings, megabytes
from jobs.tables import EVENT_FIELDS, Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What a thread takes to read, judge and write; it cannot spill this.
_MEGABYTES_PER_THREAD = 128

# A row of CSV may hold a line whose every character is a quote, and so written twice.
_LONGEST_ROW = 2 * LONGEST_LINE + 1024 * 1024

_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}

# What few lines have, sought with little effort: a number with a fraction, something
# nested, what DuckDB's reader takes for a constant or for an ending. That a key's colon
# is one, and none of a time, shows in what follows the number.
_UNUSUAL_VALUE = r":\s*(?:-?(?:\d+[.eE][-+\deE]*[,}\s]|[iInN][aAnN])|[\[{])"
_UNUSUAL_END = r",\s*\}\s*$"
_USUAL_END = '"}'  # of most lines, which then need no search for the other

# DuckDB's reader takes these for JSON: NaN, Infinity in any case, and a trailing comma.
_BARE_CONSTANT = r":\s*-?[iInN][aAnN]"
_BARE_CONSTANT_IN_ARRAY = r"[\[,]\s*-?[iInN][aAnN]"
_TRAILING_COMMA = r",\s*[\]}]"

_NO_LINES = """
SELECT NULL::VARCHAR AS source_file, true AS is_text, NULL::VARCHAR AS line LIMIT 0
"""

_LINES = """
SELECT filename[{root_length} + 2:] AS source_file, true AS is_text,
    CASE WHEN rest IS NULL THEN line ELSE error('a line holds the delimiter') END
        AS line
FROM read_csv(
    {files}, columns = {{'line': 'VARCHAR', 'rest': 'VARCHAR'}}, filename = true,
    delim = {delimiter}, quote = '', escape = '', new_line = '\\n', nullstr = '\n',
    header = false, auto_detect = false, strict_mode = false, null_padding = true
)
"""

_ODD_LINES = """
SELECT source_file, is_text, line
FROM read_csv(
    {files},
    columns = {{'source_file': 'VARCHAR', 'is_text': 'BOOLEAN', 'line': 'VARCHAR'}},
    delim = ',', quote = '"', escape = '"', new_line = '\\n', nullstr = '\n',
    header = false, auto_detect = false, parallel = false,
    max_line_size = {longest}
)
"""

# A value keeps its JSON text, which tells a number from a string of digits.
_OBJECTS = """
SELECT raw, source_file, object IS NOT NULL AS is_object, {fields}
FROM (
    SELECT raw, source_file,
        CASE WHEN json_valid(plain) THEN json_transform(plain, {structure}) END
            AS object
    FROM (
        SELECT raw, source_file, CASE
            WHEN NOT is_text THEN NULL
            WHEN NOT starts_with(raw, '{{') OR ({is_unusual}) AND ({is_not_plain})
                THEN {plain_line}(raw)
            ELSE raw
        END AS plain
        FROM (
            SELECT source_file, is_text,
                CASE WHEN starts_with(line, '{{') THEN line
                    ELSE ltrim(line, chr(65279)) END AS raw
            FROM {lines}
            WHERE CASE WHEN starts_with(line, '{{') THEN true
                ELSE trim(ltrim(line, chr(65279)), ' \t') <> '' END
        )
    )
)
"""

# What the rules may take of a JSON value as text: a number, a string of digits, a text.
_TOKENS = {
    "user_id": """CASE WHEN starts_with(CAST(object.user_id AS VARCHAR), '"')
        THEN object.user_id->>'$' END""",
    "value": 'nullif(CAST(object."value" AS VARCHAR), \'""\')',
    "initiator_id": """CASE
        WHEN starts_with(CAST(object.initiator_id AS VARCHAR), '"-') THEN 'false'
        ELSE trim(CAST(object.initiator_id AS VARCHAR), '"') END""",
}


@dataclass(frozen=True)
class _Lines:
    """The view of an input's lines, and which of its files have odd ones."""

    view: str
    inputs: Inputs
    odd: tuple[Path, ...]


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
        self._lines: _Lines | None = None

    def judged(self, inputs: Inputs, judge: Rule) -> "DataFrame":
        return self.hold(judge(self._objects(inputs)))

    def _objects(self, inputs: Inputs) -> "DataFrame":
        check_gzip_files(inputs.event_files)
        # A pattern of DuckDB's has no way to write a backslash.
        unwritable = tuple(path for path in inputs.event_files if "\\" in str(path))
        self._lines = _Lines(self._new_name(), inputs, odd=unwritable)
        self._make_view(self._lines)
        structure = ", ".join(
            f'"{field}": "{"JSON" if field in _TOKENS else "VARCHAR"}"'
            for field in EVENT_FIELDS
        )
        not_plain = (MISTYPED, _BARE_CONSTANT, _TRAILING_COMMA)
        return self._view(
            _OBJECTS.format(
                lines=self._lines.view,
                plain_line=self._registered(plain_line),
                fields=", ".join(
                    f"{_TOKENS.get(field, f'object.{_name(field)}')} AS {_name(field)}"
                    for field in EVENT_FIELDS
                ),
                structure=_text(f"{{{structure}}}"),
                is_unusual=f"{_matches(_UNUSUAL_VALUE)} OR (NOT"
                f" ends_with(raw, {_text(_USUAL_END)}) AND {_matches(_UNUSUAL_END)})",
                is_not_plain=" OR ".join(
                    [_matches(pattern) for pattern in not_plain]
                    + [
                        f"contains(raw, '[') AND {_matches(_BARE_CONSTANT_IN_ARRAY)}",
                        f"contains(raw, '\\u') AND {_matches(ESCAPED_KEY)}",
                        f"strlen(raw) > {SUSPICIOUS_LENGTH} AND strlen(raw)"
                        f" - strlen(translate(raw, '[{{', '')) > {DEEPEST_NESTING}",
                    ]
                ),
            )
        )

    def hold(self, rows: "DataFrame") -> "DataFrame":
        held = self._new_name()
        self._execute(f"CREATE TABLE {held} AS {_sql(rows)}")
        self._held.append(held)
        return self._table(held)

    def release(self) -> None:
        while self._held:
            self._connection.execute(f"DROP TABLE {self._held.pop()}")

    def collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        return self._execute(_sql(rows)).fetchall()

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
        if isinstance(error, duckdb.IOException) and self._lines:
            for path in self._lines.inputs.event_files:
                if str(path) in message:
                    return InputError(f"{path}: {message.splitlines()[0]}")
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
        [(count,)] = self._execute(
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

    def _execute(self, query: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(query)
        except (duckdb.InvalidInputException, duckdb.NotImplementedException) as error:
            if self._lines is None or not self._went_round_odd_lines(self._lines):
                raise error from None
            return self._connection.execute(query)

    def _went_round_odd_lines(self, lines: "_Lines") -> bool:
        """Whether there were files with odd lines, which are now read another way."""
        ordinary = (p for p in lines.inputs.event_files if p not in lines.odd)
        odd = tuple(path for path in ordinary if is_odd(path))
        if not odd:
            return False
        self._lines = replace(lines, odd=lines.odd + odd)
        self._make_view(self._lines)
        return True

    def _make_view(self, lines: "_Lines") -> None:
        root = lines.inputs.root
        ordinary = [p for p in lines.inputs.event_files if p not in lines.odd]
        parts = [_NO_LINES]
        if ordinary:
            parts.append(
                _LINES.format(
                    root_length=len(str(root)),
                    files=_paths(ordinary),
                    delimiter=_text(DELIMITER),
                )
            )
        if lines.odd:
            rewritten = []
            for number, path in enumerate(lines.odd):
                rewritten.append(self.store.scratch / f"lines-{number}.csv")
                write_lines(path, str(path.relative_to(root)), rewritten[-1])
            parts.append(
                _ODD_LINES.format(files=_paths(rewritten), longest=_LONGEST_ROW)
            )
        query = " UNION ALL ".join(f"({part})" for part in parts)
        self._connection.execute(f"CREATE OR REPLACE VIEW {lines.view} AS {query}")

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


def _matches(pattern: str) -> str:
    return f"regexp_matches(raw, {_text(pattern)})"


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
