"""warehouse.duckdb: the published tables under their names, for any tool that has SQL.

It holds views alone, in a schema for each layer, so it is small and never out of date.
A view finds its table's files beside the warehouse, wherever that folder is moved to.
DuckDB resolves a relative path against the process's directory, and has no function for
the database's own. But a database's ``temp_directory`` is by default its own path and
``.tmp``, and is known when a view is bound. Where somebody set another one, or attached
the warehouse to another database, the folder can be told: ``SET VARIABLE warehouse =
'/lake'``.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from jobs.engine.store import Store
from jobs.errors import InputError, RunError
from jobs.quoting import text
from jobs.tables import TABLES, Column, Table

NAME = "warehouse.duckdb"

# So that older versions of DuckDB, which other tools bring along, can open it.
_STORAGE_VERSION = "v1.2.0"

_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}

_FOLDER = r"""regexp_replace(
    coalesce(
        getvariable('warehouse') || '/',
        regexp_extract(current_setting('temp_directory'), '^(.*/)?', 0)
    ), '([*?[])', '[\1]', 'g'
)"""

_ROWS_AT_ONCE = 10_000


def stage_warehouse(store: Store) -> str:
    """Write the warehouse aside, to be published; returns its name.

    A table that is not published yet has no view.
    """
    path = store.file_aside(NAME)
    # Views are bound when they are made: as if the warehouse lay in its place.
    beside = f"{store.prefix / NAME}.tmp"
    with duckdb.connect(config={"temp_directory": beside}) as connection:
        connection.execute(
            f"ATTACH {text(path)} AS made (STORAGE_VERSION {text(_STORAGE_VERSION)})"
        )
        for table in TABLES:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS made.{table.layer}")
            if any(store.live(table).rglob("*.parquet")):
                connection.execute(
                    f"CREATE VIEW made.{table.layer}.{table.name} AS {_query(table)}"
                )
        connection.execute("DETACH made")
    return NAME


def ask(
    prefix: str, query: str, time_zone: str, as_json: bool
) -> tuple[list[str], Iterator[list[str | None]]]:
    """The columns and rows of a query, as texts; it neither takes nor awaits a lock.

    Args:
        prefix: where the tables and their warehouse are.
        query: SQL, as DuckDB speaks it.
        time_zone: in which instants are shown.
        as_json: whether a row is one text, a JSON object, rather than one a column.

    Raises:
        InputError: there is no warehouse, or a table's files cannot be read.
        RunError: the query is wrong, or the warehouse cannot be opened.
    """
    path = Path(prefix).absolute() / NAME
    if not path.exists():
        raise InputError(f"{path}: there is no warehouse yet; the report job makes it")
    try:
        connection = duckdb.connect(path, read_only=True)
        connection.execute(f"SET TimeZone = {text(time_zone)}")
        answer = connection.sql(query)
        if answer is None:
            raise RunError("the query gives no rows: it takes a SELECT")
        columns = list(answer.columns)
        wanted = "to_json(answer)" if as_json else "COLUMNS(*)"
        texts = answer.set_alias("answer").project(f"CAST({wanted} AS VARCHAR)")
        # What is wrong with the query shows with its first rows.
        first = connection.execute(texts.sql_query()).fetchmany(_ROWS_AT_ONCE)
    except duckdb.Error as error:
        raise _explained(error) from error
    return columns, _rows(connection, first)


def _rows(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[str | None, ...]]
) -> Iterator[list[str | None]]:
    with closing(connection):
        while rows:
            yield from map(list, rows)
            try:
                rows = connection.fetchmany(_ROWS_AT_ONCE)
            except duckdb.Error as error:
                raise _explained(error) from error


def _explained(error: duckdb.Error) -> RunError:
    kind = InputError if isinstance(error, duckdb.IOException) else RunError
    return kind(str(error).split("\n\n")[0])


def _query(table: Table) -> str:
    columns = [_cast(f'"{column.name}"', column) for column in table.columns]
    if table.partition:
        # Not DuckDB's own way: it takes every folder for a partition, those above the
        # table too, and its value for that of a column.
        name = table.partition.name
        value = f"regexp_extract(filename, '/{name}=([^/]*)/[^/]*$', 1)"
        columns.append(_cast(value, table.partition))
    return (
        f"SELECT {', '.join(columns)} FROM read_parquet("
        f"{_FOLDER} || '{table.name}/format=parquet/**/*.parquet',"
        " hive_partitioning = false, filename = true)"
    )


def _cast(value: str, column: Column) -> str:
    return f'CAST({value} AS {_TYPES.get(column.type, column.type)}) AS "{column.name}"'
