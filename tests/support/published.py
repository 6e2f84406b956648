"""Published tables and ledgers as any reader of Parquet and JSON finds them."""

import glob
import json
from pathlib import Path
from typing import Any

import duckdb

from jobs.tables import TABLES, Table

_TYPES = {
    "STRING": "VARCHAR",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "INT": "INTEGER",
}


def rows(prefix: Path, table: Table) -> list[tuple[Any, ...]]:
    """Every row, sorted; an instant in microseconds since 1970, a partition as text."""
    columns = (
        (
            f'epoch_us("{column.name}")'
            if column.type == "TIMESTAMP"
            else f'"{column.name}"'
        )
        for column in table.schema
    )
    return sorted(_query(prefix, table, ", ".join(columns)), key=repr)


def types(prefix: Path, table: Table) -> dict[str, str]:
    """The type of each column that the files themselves hold, by DuckDB's names."""
    described = _query(prefix, table, "*", before="DESCRIBE ", hive="false")
    return {row[0]: row[1] for row in described}


def declared_types(table: Table) -> dict[str, str]:
    return {c.name: _TYPES.get(c.type, c.type) for c in table.columns}


def everything(prefix: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {table.name: rows(prefix, table) for table in TABLES}


def ledger(prefix: Path) -> dict[str, Any]:
    """The ledger of the newest run."""
    newest = max((prefix / "_runs").glob("*.json"))
    return dict(json.loads(newest.read_text()))


def files(prefix: Path, table: Table) -> list[Path]:
    return sorted((prefix / table.name / "format=parquet").rglob("*.parquet"))


def _query(
    prefix: Path, table: Table, columns: str, before: str = "", hive: str = "true"
) -> list[tuple[Any, ...]]:
    names = [glob.escape(str(path)) for path in files(prefix, table)]
    with duckdb.connect() as connection:
        return connection.execute(
            f"{before}SELECT {columns} FROM read_parquet($names,"
            f" hive_partitioning = {hive}, hive_types_autocast = false)",
            {"names": names},
        ).fetchall()
