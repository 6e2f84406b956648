"""warehouse.duckdb: the published tables under their names, for any tool that has SQL.

It holds views alone, in a schema for each layer, so it is small and never out of date.
A view finds its table's files beside the warehouse, wherever that folder is moved to.
DuckDB resolves a relative path against the process's directory, and has no function for
the database's own. But a database's ``temp_directory`` is by default its own path and
``.tmp``, and is known when a view is bound. Where somebody set another one, or attached
the warehouse to another database, the folder can be told: ``SET VARIABLE warehouse =
'/lake'``.
"""

import duckdb

from jobs.engine.duckdb.tables import cast
from jobs.publishing.run import Run
from jobs.quoting import identifier, text
from jobs.tables import TABLES, Table

NAME = "warehouse.duckdb"

# So that older versions of DuckDB, which other tools bring along, can open it.
_STORAGE_VERSION = "v1.2.0"

_FOLDER = r"""regexp_replace(
    coalesce(
        getvariable('warehouse') || '/',
        regexp_extract(current_setting('temp_directory'), '^(.*/)?', 0)
    ), '([*?[])', '[\1]', 'g'
)"""


def stage_warehouse(run: Run) -> str:
    """Write the warehouse, to be published; returns its name.

    A table that is not there yet has no view.
    """
    path = run.stage_file(NAME)
    with duckdb.connect() as connection:
        connection.execute(
            f"ATTACH {text(path)} AS made (STORAGE_VERSION {text(_STORAGE_VERSION)})"
        )
        for table in TABLES:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS made.{table.layer}")
            if run.has(table):
                # A view is bound when it is made: to where its table lies by then.
                lies_in = run.files(table).folder.parents[1]
                connection.execute(f"SET VARIABLE warehouse = {text(lies_in)}")
                connection.execute(
                    f"CREATE VIEW made.{table.layer}.{table.name} AS {_query(table)}"
                )
        connection.execute("DETACH made")
    return NAME


def _query(table: Table) -> str:
    columns = [cast(identifier(column.name), column) for column in table.columns]
    if table.partition:
        # Not DuckDB's own way: it takes every folder for a partition, those above the
        # table too, and its value for that of a column.
        name = table.partition.name
        value = f"regexp_extract(filename, '/{name}=([^/]*)/[^/]*$', 1)"
        columns.append(cast(value, table.partition))
    return (
        f"SELECT {', '.join(columns)} FROM read_parquet("
        f"{_FOLDER} || '{table.name}/format=parquet/**/*.parquet',"
        " hive_partitioning = false, filename = true)"
    )
