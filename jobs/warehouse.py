"""warehouse.duckdb: a view of each published table, for any tool that opens DuckDB.

The warehouse has only views, in a schema for each layer, so it is small and never out
of date. A view finds the files of its table beside the warehouse, so the whole folder
can be moved. DuckDB resolves a relative path against the directory of the process, and
has no function for the folder of the database. But the default of ``temp_directory`` is
the path of the database and ``.tmp``, which a view can read. If this setting has been
changed, or the warehouse is attached to another database, the user has to name the
folder: ``SET VARIABLE warehouse = '/lake'``.
"""

import duckdb

from jobs.engine.base import TableFiles
from jobs.engine.duckdb.tables import cast, no_rows_query
from jobs.publishing.run import Run
from jobs.quoting import identifier, text
from jobs.settings import PARQUET
from jobs.tables import TABLES, Table

NAME = "warehouse.duckdb"

# Older versions of DuckDB, which come with other tools, can open this format.
_STORAGE_VERSION = "v1.2.0"

_FOLDER = r"""regexp_replace(
    coalesce(
        getvariable('warehouse') || '/',
        regexp_extract(current_setting('temp_directory'), '^(.*/)?', 0)
    ), '([*?[])', '[\1]', 'g'
)"""


def stage_warehouse(run: Run) -> str:
    """Stage the warehouse; returns its name.

    A table that does not exist yet has no view.
    """
    path = run.stage_file(NAME)
    with duckdb.connect() as connection:
        connection.execute(
            f"ATTACH {text(path)} AS made (STORAGE_VERSION {text(_STORAGE_VERSION)})"
        )
        for table in TABLES:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS made.{table.layer}")
            if run.has(table):
                files = run.files(table)
                # DuckDB looks for the files of a view when it makes the view.
                prefix = files.folder.parents[1]
                connection.execute(f"SET VARIABLE warehouse = {text(prefix)}")
                connection.execute(
                    f"CREATE VIEW made.{table.layer}.{table.name}"
                    f" AS {_query(table, files)}"
                )
        connection.execute("DETACH made")
    return NAME


def _query(table: Table, files: TableFiles) -> str:
    is_folder = files.folder.name == f"format={PARQUET}"
    # A Delta table has no file without rows.
    listed = [file for file in files.files if file.rows]
    if not is_folder and not listed:
        return no_rows_query(table)
    columns = [cast(identifier(column.name), column) for column in table.columns]
    if table.partition:
        # DuckDB's hive_partitioning takes every folder of a path for a partition, also
        # those above the table, and lets them replace columns of the file.
        name = table.partition.name
        value = f"regexp_extract(filename, '/{name}=([^/]*)/[^/]*$', 1)"
        columns.append(cast(value, table.partition))
    below = f"{table.name}/{files.folder.name}"
    if is_folder:
        paths = f"{_FOLDER} || {text(f'{below}/**/*.parquet')}"
    else:
        # The folder of a Delta table also has files of earlier runs.
        paths = ", ".join(text(f"{below}/{file.path}") for file in listed)
        paths = f"list_transform([{paths}], lambda path: {_FOLDER} || path)"
    return (
        f"SELECT {', '.join(columns)} FROM read_parquet({paths},"
        " hive_partitioning = false, filename = true)"
    )
