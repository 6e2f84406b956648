"""Other programs open the bare folder of a Parquet table, and find every row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from jobs.tables import TABLES, Table
from tests.support import published
from tests.support.delta import write_input
from tests.support.engine import ENGINE
from tests.support.runs import TABLE_JOBS, run_jobs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prefix(tmp_path_factory, spark_for_all_tests) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    write_input(folder / "in")
    ended = run_jobs(folder, *TABLE_JOBS, max_rejected_ratio=1)
    assert ended.code == 0, ended.error
    return Path(folder / "out")


def of_pandas(folder: Path) -> pa.Table:
    rows = pd.read_parquet(folder, dtype_backend="pyarrow")
    return pa.Table.from_pandas(rows, preserve_index=False)


def of_duckdb(folder: Path) -> pa.Table:
    found = duckdb.sql(f"SELECT * FROM '{folder}/**/*.parquet'")
    assert found is not None
    return found.to_arrow_table()


def of_spark(folder: Path) -> pa.Table:
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session
    return session.read.parquet(str(folder)).toArrow()


READERS: dict[str, Callable[[Path], Any]] = {
    "polars": lambda folder: pl.read_parquet(folder).to_arrow(),
    "pandas": of_pandas,
    "pyarrow": lambda folder: ds.dataset(folder, partitioning="hive").to_table(),
    "duckdb": of_duckdb,
    **({"spark": of_spark} if ENGINE == "spark" else {}),
}


def rows_and_types(found: pa.Table, table: Table) -> Any:
    """The rows in the form of ``published.rows``, and the types by DuckDB's names."""
    instants = {column.name for column in table.columns if column.type == "TIMESTAMP"}
    columns = [
        f'epoch_us("{name}")' if name in instants else f'"{name}"'
        for name in (column.name for column in table.columns)
    ]
    if table.partition:
        columns.append(f'CAST("{table.partition.name}" AS VARCHAR)')
    with duckdb.connect() as connection:
        connection.register("found", found)
        query = f"SELECT {', '.join(columns)} FROM found"
        rows = sorted(connection.execute(query).fetchall(), key=repr)
        described = connection.execute("DESCRIBE found").fetchall()
    names = {column.name for column in table.columns}
    return rows, {name: type_ for name, type_, *_ in described if name in names}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_reader_opens_the_folder_of_a_table(prefix, table, reader):
    found = READERS[reader](prefix / table.name / "format=parquet")
    rows, types = rows_and_types(found, table)
    assert rows == published.rows(prefix, table) != []
    assert types == published.declared_types(table)
