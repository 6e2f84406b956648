"""Published tables and ledgers, read without the code of the jobs."""

import glob
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from jobs.tables import TABLES, Table

_TYPES = {
    "STRING": "VARCHAR",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "INT": "INTEGER",
}


def rows(
    prefix: Path, table: Table, paths: list[Path] | None = None
) -> list[tuple[Any, ...]]:
    """Every row, sorted; an instant in microseconds since 1970, a partition as text.

    Args:
        prefix: the folder of the tables.
        table: the table.
        paths: its data files; None reads all files in its folder.
    """
    columns = (
        (
            f'epoch_us("{column.name}")'
            if column.type == "TIMESTAMP"
            else f'"{column.name}"'
        )
        for column in table.schema
    )
    paths = files(prefix, table) if paths is None else paths
    return sorted(_query(paths, ", ".join(columns)), key=repr)


def typed_rows(prefix: Path, table: Table) -> list[dict[str, Any]]:
    """Every row by its columns, with the values of Python's own types."""
    columns = ", ".join(
        f'CAST("{c.name}" AS {_TYPES.get(c.type, c.type)}) AS "{c.name}"'
        for c in table.schema
    )
    found = _query(files(prefix, table), columns)
    return [dict(zip(table.column_names, row, strict=True)) for row in found]


def types(prefix: Path, table: Table) -> dict[str, str]:
    """The type of each column in the files themselves, by DuckDB's names."""
    paths = files(prefix, table)
    described = _query(paths, "*", before="DESCRIBE ", hive="false")
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
    """The data files of a table, as readers of Parquet or of Delta tables find them."""
    log = prefix / table.name / "format=delta"
    if log.exists():
        return sorted(map(Path, DeltaTable(log).file_uris()))
    return sorted((prefix / table.name / "format=parquet").rglob("*.parquet"))


@dataclass(frozen=True)
class Record:
    """The record of a table: its run and its data files."""

    run_id: str
    files: list[Path]


def recorded(prefix: Path) -> dict[str, Record]:
    """The record of each table, by its name."""
    content = json.loads((prefix / "_tables" / "current.json").read_text())
    return {
        name: Record(
            table["run_id"],
            [
                prefix / name / f"format={table['table_format']}" / file["path"]
                for file in table["files"]
            ],
        )
        for name, table in content["tables"].items()
    }


def run_id(prefix: Path) -> str:
    """The run that wrote all tables; fails if there is more than one."""
    [found] = {record.run_id for record in recorded(prefix).values()}
    return found


def _query(
    paths: list[Path], columns: str, before: str = "", hive: str = "true"
) -> list[tuple[Any, ...]]:
    if not paths:
        return []  # a Delta table without rows has no file
    names = [glob.escape(str(path)) for path in paths]
    with duckdb.connect() as connection:
        return connection.execute(
            f"{before}SELECT {columns} FROM read_parquet($names,"
            f" hive_partitioning = {hive}, hive_types_autocast = false)",
            {"names": names},
        ).fetchall()
