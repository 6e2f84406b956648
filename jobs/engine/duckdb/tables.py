"""The SQL by which DuckDB reads and writes the data files of a table."""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from jobs.engine.base import DataFile, TableFiles
from jobs.quoting import identifier, text
from jobs.tables import Column, Table

_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, RETURN_STATS"


def read_query(table: Table, files: TableFiles) -> str:
    """SQL for the rows of a table's data files, typed as the catalogue says."""
    columns = [cast(identifier(column.name), column) for column in table.columns]
    if table.partition:
        value = identifier(table.partition.name)
        if files.files[0].partition is not None:
            # DuckDB's hive_partitioning takes every folder of a path for a partition,
            # also those above the table, and lets them replace columns of the file.
            start = len(str(files.folder / table.partition.name)) + 2
            value = f"split_part(filename[{start}:], '/', 1)"
        columns.append(cast(value, table.partition))
    return (
        f"SELECT {', '.join(columns)} FROM read_parquet({paths(files.paths)},"
        " hive_partitioning = false, filename = true)"
    )


def write_query(
    table: Table, rows: str, folder: Path, is_partitioned: bool = True
) -> str:
    """SQL that writes the rows of a query, and returns a row for each file.

    Each file gets a name that no other file ever has.
    """
    columns = ", ".join(cast(identifier(c.name), c) for c in table.schema)
    target = text(folder)
    if table.partition and is_partitioned:
        by = identifier(table.partition.name)
        options = f"{_OPTIONS}, PARTITION_BY ({by}), FILENAME_PATTERN 'part-{{uuid}}'"
    else:
        target = text(folder / f"part-{uuid4()}.parquet")
        options = _OPTIONS
    return f"COPY (SELECT {columns} FROM ({rows})) TO {target} ({options})"


def written(
    table: Table, returned: Iterable[Sequence[Any]], folder: Path
) -> list[DataFile]:
    """The data files that a statement of :func:`write_query` has written."""
    found = []
    for name, rows, size, _, _, keys, _ in returned:
        value = keys[table.partition.name] if table.partition and keys else None
        found.append(DataFile(str(Path(name).relative_to(folder)), rows, size, value))
    return found


def data_files(
    connection: duckdb.DuckDBPyConnection, table: Table, folder: Path
) -> list[DataFile]:
    """The data files in a folder that another engine has written."""
    found = connection.execute(
        "SELECT file_name, num_rows, file_size_bytes FROM parquet_file_metadata($1)",
        [[glob.escape(str(path)) for path in sorted(folder.rglob("*.parquet"))]],
    ).fetchall()
    files = []
    for name, rows, size in found:
        path = Path(name).relative_to(folder)
        _, is_value, value = path.parts[0].partition("=")
        files.append(DataFile(str(path), rows, size, value if is_value else None))
    return files


def no_rows_query(table: Table) -> str:
    """SQL that gives the columns of a table, and no rows."""
    columns = ", ".join(cast("NULL", column) for column in table.schema)
    return f"SELECT {columns} LIMIT 0"


def cast(value: str, column: Column) -> str:
    type_ = _TYPES.get(column.type, column.type)
    return f"CAST({value} AS {type_}) AS {identifier(column.name)}"


def paths(files: Iterable[Path]) -> str:
    """SQL for a list of files; DuckDB reads ``*``, ``?`` and ``[`` as a glob."""
    return "[" + ", ".join(text(glob.escape(str(path))) for path in files) + "]"


def is_unreadable(error: Exception) -> bool:
    """Whether an error of DuckDB means that a data file cannot be read."""
    message = str(error)
    return (
        "magic bytes" in message
        or "to be a Parquet file" in message
        or (isinstance(error, duckdb.IOException) and "No space left" not in message)
    )
