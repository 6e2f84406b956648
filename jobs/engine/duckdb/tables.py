"""The SQL by which DuckDB reads and writes the data files of a table."""

import glob
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from jobs.engine.base import DataFile, TableFiles
from jobs.errors import InputError
from jobs.quoting import identifier, text
from jobs.tables import Column, Table

_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}
_LONGEST_BOUND = 32  # letters of a text, as Delta Lake's own writer has it
_GREATEST_LETTER = "chr(1114111)"
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, RETURN_STATS"


def read_query(table: Table, files: TableFiles) -> str:
    """SQL for the rows of a table's data files, typed as the catalogue says."""
    if not files.files:
        return no_rows_query(table)
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
    return [
        DataFile.at(str(Path(name).relative_to(folder)), rows, size)
        for name, rows, size in found
    ]


def delta_statistics(
    tables: Mapping[Table, TableFiles],
) -> dict[Table, dict[str, str]]:
    """The statistics of data files, as the log of a Delta table has them.

    They come from the footers of the files. By the least and greatest value of a
    column, a reader knows which files have no row for its query.
    https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics

    Returns: for each table the statistics as JSON, by the path of the file.

    Raises:
        InputError: a file cannot be read.
    """
    found = {}
    with duckdb.connect() as connection:
        for table, files in tables.items():
            if not files.files:
                continue
            try:
                rows = connection.execute(_statistics_query(table, files)).fetchall()
            except duckdb.Error as error:
                message = str(error).splitlines()[0]
                raise InputError(f"{table.name}: {message}") from error
            found[table] = {
                str(Path(name).relative_to(files.folder)): json for name, json in rows
            }
    return found


def _statistics_query(table: Table, files: TableFiles) -> str:
    columns = ", ".join(f"({text(c.name)}, {text(c.type)})" for c in table.columns)
    kinds = dict.fromkeys(column.type for column in table.columns)
    bounds, least, greatest = [], [], []
    for number, kind in enumerate(kinds):
        low, high = f"low_{number}", f"high_{number}"
        cast_to = f"AS {_TYPES.get(kind, kind)})) FILTER (kind = {text(kind)})"
        bounds.append(f"min(TRY_CAST(stats_min_value {cast_to} AS {low}")
        bounds.append(f"max(TRY_CAST(stats_max_value {cast_to} AS {high}")
        least.append(f"WHEN {text(kind)} THEN to_json({_lower_bound(kind, low)})")
        greatest.append(f"WHEN {text(kind)} THEN to_json({_upper_bound(kind, high)})")
    return f"""
        WITH columns(name, kind) AS (VALUES {columns}),
        bounds AS (
            SELECT file_name, name, kind, sum(row_group_num_rows) AS rows,
                CASE WHEN bool_and(stats_null_count IS NOT NULL)
                    THEN to_json(sum(stats_null_count)) END AS nulls,
                bool_and(stats_null_count IS NOT DISTINCT FROM num_values) AS is_null,
                -- A row group of long texts has no bounds.
                bool_and(
                    stats_null_count IS NOT DISTINCT FROM num_values
                    OR stats_min_value IS NOT NULL AND stats_max_value IS NOT NULL
                ) AS is_known,
                {", ".join(bounds)}
            FROM parquet_metadata({paths(files.paths)})
            JOIN columns ON path_in_schema = name
            GROUP BY file_name, name, kind
        ),
        statistics AS (
            SELECT file_name, name, rows, nulls,
                CASE WHEN NOT is_null THEN CASE kind {" ".join(least)} END END
                    AS least,
                CASE WHEN NOT is_null THEN CASE kind {" ".join(greatest)} END END
                    AS greatest
            FROM bounds
        )
        SELECT file_name, json_object(
            'numRecords', max(rows),
            'minValues', {_known("least")},
            'maxValues', {_known("greatest")},
            'nullCount', {_known("nulls")}
        ) FROM statistics GROUP BY file_name"""


def _known(value: str) -> str:
    """SQL for the known values by column. Some readers take a NULL for a bound."""
    names, values = (
        f"coalesce(list({listed} ORDER BY name) FILTER ({value} IS NOT NULL), [])"
        for listed in ("name", value)
    )
    return f"map({names}, {values})"


def _lower_bound(kind: str, low: str) -> str:
    """SQL for a lower bound of values; a long text is cut."""
    if kind == "STRING":
        return f"CASE WHEN is_known THEN left({low}, {_LONGEST_BOUND}) ELSE '' END"
    return f"CASE WHEN is_known THEN {_in_json(kind, low, '-')} END"


def _upper_bound(kind: str, high: str) -> str:
    """SQL for an upper bound of values; a long text is cut, and gets greater."""
    if kind == "STRING":
        # A text that begins alike is not greater, unless it goes on with the greatest
        # letter.
        return (
            f"CASE WHEN NOT is_known THEN repeat({_GREATEST_LETTER}, {_LONGEST_BOUND})"
            f" WHEN length({high}) <= {_LONGEST_BOUND}"
            f" OR {high}[{_LONGEST_BOUND + 1}] = {_GREATEST_LETTER} THEN {high}"
            f" ELSE left({high}, {_LONGEST_BOUND}) || {_GREATEST_LETTER} END"
        )
    return f"CASE WHEN is_known THEN {_in_json(kind, high, '+')} END"


def _in_json(kind: str, bound: str, outwards: str) -> str:
    """SQL for a bound as it stands in the log; outwards is the sign that widens it."""
    if kind == "TIMESTAMP":
        return f"strftime({bound} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    if kind.startswith("DECIMAL"):
        # Some readers take a number in JSON for a double, which has 15 exact digits.
        precision, scale = (int(digits) for digits in re.findall("[0-9]+", kind))
        digits = scale - max(0, precision - 15)
        return (
            f"CASE WHEN abs({bound}) < {10 ** (15 - scale)} THEN {bound} ELSE"
            f" CAST({bound} AS DECIMAL({precision}, {digits}))"
            f" {outwards} {10**-digits:.{digits}f} END"
        )
    return bound


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
