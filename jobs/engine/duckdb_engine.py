"""The embedded engine: the PySpark models, run by SQLFrame on DuckDB, without a JVM."""

import glob
import shutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb
import sqlframe
from duckdb.func import FunctionNullHandling
from sqlframe.duckdb import DuckDBSession

from jobs.engine.base import Engine
from jobs.engine.inputs import Inputs, csv_positions
from jobs.engine.json_lines import ESCAPED_KEY, MISTYPED, plain_line
from jobs.engine.store import Store
from jobs.settings import RunSettings
from jobs.tables import EVENT_FIELDS, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}

# DuckDB's reader takes these for JSON: NaN, Infinity in any case, and a trailing comma.
_BARE_CONSTANT = r":\s*-?[iInN][aAnN]"
_BARE_CONSTANT_IN_ARRAY = r"[\[,]\s*-?[iInN][aAnN]"
_TRAILING_COMMA = r",\s*[\]}]"

# A delimiter that is no character of any text: a line is never split.
_NO_DELIMITER = "\U0010ffff"

_LINES = """
SELECT
    CASE WHEN starts_with(line, chr(65279)) THEN line[2:] ELSE line END AS raw,
    filename[{root_length} + 2:] AS source_file
FROM read_csv(
    {files}, columns = {{'line': 'VARCHAR'}}, filename = true,
    delim = {no_delimiter}, quote = '', escape = '', new_line = '\\n',
    header = false, auto_detect = false, strict_mode = false
)
WHERE line IS NOT NULL
"""

_OBJECTS = """
SELECT raw, source_file, object IS NOT NULL AS is_object, {fields}
FROM (
    SELECT raw, source_file,
        CASE WHEN json_valid(plain) THEN json_transform(plain, {structure}) END
            AS object
    FROM (
        SELECT raw, source_file, CASE
            WHEN NOT starts_with(raw, '{{') THEN plain_line(raw)
            WHEN regexp_matches(raw, {mistyped}) THEN plain_line(raw)
            WHEN regexp_matches(raw, {bare_constant}) THEN plain_line(raw)
            WHEN regexp_matches(raw, {trailing_comma}) THEN plain_line(raw)
            WHEN contains(raw, '[') AND regexp_matches(raw, {bare_constant_in_array})
                THEN plain_line(raw)
            WHEN contains(raw, '\\u') AND regexp_matches(raw, {escaped_key})
                THEN plain_line(raw)
            ELSE raw
        END AS plain
        FROM ({lines})
        WHERE starts_with(raw, '{{') OR trim(raw, ' \t') <> ''
    )
)
"""


@cache
def bind_models() -> None:
    """Make ``from pyspark.sql import functions`` mean SQLFrame's, in this process."""
    sqlframe.activate("duckdb")


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
        self._connection = duckdb.connect(config=config)
        self._connection.execute(f"SET TimeZone = {_text(settings.reporting_timezone)}")
        bind_models()
        self._session = DuckDBSession(self._connection)
        self._views = 0

    def read_events(self, inputs: Inputs) -> "DataFrame":
        self._connection.create_function(
            "plain_line",
            plain_line,
            ["VARCHAR"],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
        )
        if not inputs.event_files:
            columns = ("raw", "source_file", "is_object", *EVENT_FIELDS)
            empty = ", ".join(f"NULL::VARCHAR AS {_name(c)}" for c in columns)
            return self._view(
                f"SELECT * REPLACE (false AS is_object) FROM (SELECT {empty}) LIMIT 0"
            )
        lines = _LINES.format(
            root_length=len(str(inputs.root)),
            files=_paths(inputs.event_files),
            no_delimiter=_text(_NO_DELIMITER),
        )
        structure = ", ".join(f'"{field}": "VARCHAR"' for field in EVENT_FIELDS)
        return self._view(
            _OBJECTS.format(
                lines=lines,
                fields=", ".join(f"object.{_name(field)}" for field in EVENT_FIELDS),
                structure=_text(f"{{{structure}}}"),
                mistyped=_text(MISTYPED),
                escaped_key=_text(ESCAPED_KEY),
                bare_constant=_text(_BARE_CONSTANT),
                bare_constant_in_array=_text(_BARE_CONSTANT_IN_ARRAY),
                trailing_comma=_text(_TRAILING_COMMA),
            )
        )

    def read_attributes(self, table: Table, path: Path | None) -> "DataFrame":
        names = [column.name for column in table.columns]
        if path is None:
            nulls = ", ".join(f"NULL::VARCHAR AS {_name(name)}" for name in names)
            return self._view(f"SELECT {nulls} LIMIT 0")
        width, positions = csv_positions(path, names)
        placed = ", ".join(f"'_{i}': 'VARCHAR'" for i in range(width))
        selected = ", ".join(
            f"{'NULL::VARCHAR' if i is None else f'_{i}'} AS {_name(name)}"
            for name, i in zip(names, positions, strict=True)
        )
        return self._view(
            f"SELECT {selected} FROM read_csv({_paths([path])},"
            f" columns = {{{placed}}}, header = true, auto_detect = false,"
            """ delim = ',', quote = '"', escape = '"',"""
            " null_padding = true, strict_mode = false, parallel = false)"
        )

    def hold(self, rows: "DataFrame") -> "DataFrame":
        held = self._new_name()
        self._connection.execute(f"CREATE TABLE {held} AS {_sql(rows)}")
        return self._table(held)

    def collect(self, rows: "DataFrame") -> list[tuple[Any, ...]]:
        return self._connection.execute(_sql(rows)).fetchall()

    def close(self) -> None:
        self._session.stop()
        self._connection.close()

    def _read(self, table: Table, files: Sequence[Path]) -> "DataFrame":
        return self._view(
            f"SELECT {_typed(table)} FROM read_parquet({_paths(files)},"
            " hive_partitioning = true, hive_types_autocast = false)"
        )

    def _write(self, table: Table, rows: "DataFrame", folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        if table.partition:
            target = folder
            options += f", PARTITION_BY ({_name(table.partition.name)})"
            options += ", FILENAME_PATTERN 'part-{uuid}'"
        else:
            target = folder / "part-0.parquet"
        self._connection.execute(
            f"COPY (SELECT {_typed(table)} FROM ({_sql(rows)}))"
            f" TO {_text(target)} ({options})"
        )

    def _write_empty(self, table: Table, folder: Path) -> None:
        columns = ", ".join(
            f"NULL::{_type(column.type)} AS {_name(column.name)}"
            for column in table.schema
        )
        target = _text(folder / "part-0.parquet")
        self._connection.execute(
            f"COPY (SELECT {columns} LIMIT 0) TO {target} (FORMAT parquet)"
        )

    def _count(self, folder: Path) -> int:
        files = _paths(folder.rglob("*.parquet"))
        [(count,)] = self._connection.execute(
            f"SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata({files})"
        ).fetchall()
        return int(count)

    def _view(self, query: str) -> "DataFrame":
        view = self._new_name()
        self._connection.execute(f"CREATE VIEW {view} AS {query}")
        return self._table(view)

    def _table(self, name: str) -> "DataFrame":
        # SQLFrame's DataFrame is no PySpark one to a type checker.
        return cast("DataFrame", self._session.table(name))

    def _new_name(self) -> str:
        self._views += 1
        return f"rows_{self._views}"


def _sql(rows: Any) -> str:
    # SQLFrame's own optimizer costs time on big plans, and DuckDB optimizes anyway.
    return str(rows.sql(dialect="duckdb", optimize=False, pretty=False))


def _typed(table: Table) -> str:
    return ", ".join(
        f"CAST({_name(column.name)} AS {_type(column.type)}) AS {_name(column.name)}"
        for column in table.schema
    )


def _type(spark_type: str) -> str:
    return _TYPES.get(spark_type, spark_type)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str | Path) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _paths(paths: Iterable[Path]) -> str:
    """A list of files for DuckDB, which takes ``*``, ``?`` and ``[`` for a glob."""
    return "[" + ", ".join(_text(glob.escape(str(path))) for path in paths) + "]"
