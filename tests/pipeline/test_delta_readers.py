"""Other programs read the Delta tables, and find every row."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from jobs.engine import DataFile
from jobs.pipeline import JOBS
from jobs.publishing.delta import DeltaFormat
from jobs.publishing.formats import Change, staging_folder
from jobs.tables import TABLES, Column, Table
from tests.support import published
from tests.support.delta import Predicate, log_of, predicates, write_input
from tests.support.runs import TABLE_JOBS, run_jobs

pytestmark = pytest.mark.slow

OF_DELTA = {"table_format": "delta", "max_rejected_ratio": 1}


@pytest.fixture(scope="module")
def prefixes(tmp_path_factory, spark_for_all_tests) -> dict[str, Path]:
    """The same tables in both formats, as the second of two runs left them."""
    folder = tmp_path_factory.mktemp("readers")
    write_input(folder / "in")
    found = {}
    for table_format in ("parquet", "delta"):
        prefix = folder / table_format
        for _ in range(2):
            ended = run_jobs(
                folder,
                *TABLE_JOBS,
                output_data_path_prefix=prefix,
                **OF_DELTA | {"table_format": table_format},
            )
            assert ended.code == 0, ended.error
        found[table_format] = prefix
    return found


def of_deltalake(log: Path, condition: str) -> pa.Table:
    tables = QueryBuilder().register("t", DeltaTable(log))
    found = tables.execute(f"SELECT * FROM t WHERE {condition}")
    return pa.RecordBatchReader.from_stream(found).read_all()


def of_polars(log: Path, condition: pl.Expr) -> pa.Table:
    # Polars takes "format=delta" in the path for a partition, but PyArrow does not.
    return (
        pl.scan_delta(str(log), use_pyarrow=True).filter(condition).collect().to_arrow()
    )


def in_sql(predicate: Predicate) -> str:
    match predicate.value:
        case None:
            return f'"{predicate.column}" IS NULL'
        case bool() | int():
            value = str(predicate.value)
        case Decimal():
            value = f"CAST('{predicate.value}' AS DECIMAL(18,6))"
        case float():
            value = f"CAST('{predicate.value!r}' AS DOUBLE)"
        case datetime():
            at = predicate.value.astimezone(UTC).isoformat()
            value = f"arrow_cast('{at}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
        case date():
            value = f"CAST('{predicate.value}' AS DATE)"
        case _:
            value = "'" + predicate.value.replace("'", "''") + "'"
    return f'"{predicate.column}" {predicate.operator} {value}'


def in_polars(predicate: Predicate) -> pl.Expr:
    column, value = pl.col(predicate.column), predicate.value
    if value is None:
        return column.is_null()
    if isinstance(value, datetime):
        value = pl.lit(value.astimezone(UTC), pl.Datetime("us", "UTC"))
    if isinstance(value, Decimal):
        value = pl.lit(value, pl.Decimal(18, 6))
    holds: dict[str, pl.Expr] = {
        "=": column == value,
        "<": column < value,
        "<=": column <= value,
        ">": column > value,
        ">=": column >= value,
    }
    return holds[predicate.operator]


def comparable(found: pa.Table, table: Any) -> list[tuple[Any, ...]]:
    """The rows in the form of ``published.rows``."""
    columns = (
        f'epoch_us("{c.name}")' if c.type == "TIMESTAMP" else f'"{c.name}"'
        for c in table.columns
    )
    by = [f'CAST("{table.partition.name}" AS VARCHAR)'] if table.partition else []
    with duckdb.connect() as connection:
        connection.register("found", found)
        query = f"SELECT {', '.join([*columns, *by])} FROM found"
        return sorted(connection.execute(query).fetchall(), key=repr)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_reader_finds_the_rows_of_the_parquet_table(prefixes, table):
    expected = published.rows(prefixes["parquet"], table)
    log = log_of(prefixes["delta"], table)
    assert expected
    # DuckDB reads the files that the log names.
    assert published.rows(prefixes["delta"], table) == expected
    assert comparable(of_deltalake(log, "true"), table) == expected
    assert comparable(of_polars(log, pl.lit(value=True)), table) == expected


@pytest.mark.long_on_spark
def test_the_warehouse_has_the_rows_of_the_newest_run(prefixes):
    folder, delta = prefixes["parquet"].parent, prefixes["delta"]
    ended = run_jobs(folder, *JOBS, output_data_path_prefix=delta, **OF_DELTA)
    assert ended.code == 0, ended.error
    with duckdb.connect(delta / "warehouse.duckdb", read_only=True) as warehouse:
        for table in TABLES:
            number = len(published.rows(prefixes["parquet"], table))
            assert len(warehouse.table(f"{table.layer}.{table.name}")) == number


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_filter_at_the_bounds_of_each_column_misses_no_row(prefixes, table):
    log = log_of(prefixes["delta"], table)
    for predicate, number in predicates(prefixes["delta"], table):
        found = of_deltalake(log, in_sql(predicate)), of_polars(
            log, in_polars(predicate)
        )
        assert [each.num_rows for each in found] == [number] * 2, predicate


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_file_has_statistics_of_every_column(prefixes, table):
    actions = DeltaTable(log_of(prefixes["delta"], table)).get_add_actions()
    rows = pa.table(actions).to_pylist()
    assert sum(row["num_records"] for row in rows) > 0
    for row in rows:
        assert {*row["null_count"]} == {column.name for column in table.columns}
        assert None not in row["null_count"].values()
        for name, nulls in row["null_count"].items():
            has_values = nulls < row["num_records"]
            # The greatest text may go on with the greatest letter, and has no bound.
            assert (row["min"].get(name) is not None) == has_values, name


NUMBERS = Table(
    "numbers",
    "staging",
    "nobody",
    (
        Column("exact", "DECIMAL(18,6)", nullable=True),
        Column("about", "DOUBLE", nullable=True),
        Column("whole", "BIGINT", nullable=True),
    ),
)
ROWS = {
    "decimals": "123456789012.345678, 1.5, 9007199254740993",
    "just above": "123456789012.345679, 1.5000000000000002, 9007199254740994",
    "just below": "-123456789012.345679, -1.5, -9007199254740993",
    "nothing": "NULL, NULL, NULL",
}


def test_numbers_have_exact_bounds(tmp_path):
    """Each file has one of the rows, and the last one has all, in two row groups."""
    tables = DeltaFormat(tmp_path)
    tables.begin([NUMBERS])
    folder = staging_folder(tmp_path / "_tmp", NUMBERS, "delta")
    folder.mkdir(parents=True)
    values = [f"({row})" for row in ROWS.values()]
    files = []
    for n, chosen in enumerate([*([value] for value in values), values]):
        path = folder / f"{n}.parquet"
        number = 2500 * len(chosen)
        duckdb.sql(
            "COPY (SELECT exact::DECIMAL(18,6) AS exact, about::DOUBLE AS about,"
            f" whole::BIGINT AS whole FROM (VALUES {', '.join(chosen)})"
            f" AS t(exact, about, whole), range(2500) ORDER BY whole) TO '{path}'"
            " (FORMAT parquet, ROW_GROUP_SIZE 2048)"
        )
        files.append(DataFile.at(path.name, number, path.stat().st_size))
    change = Change(NUMBERS, tuple(files), {})
    tables.prepare([change], tmp_path / "_tmp")
    tables.publish({NUMBERS: tables.record(change, "r")}, tmp_path / "_tmp")
    log = log_of(tmp_path, NUMBERS)
    for predicate, number in predicates(tmp_path, NUMBERS):
        found = of_deltalake(log, in_sql(predicate)), of_polars(
            log, in_polars(predicate)
        )
        assert [each.num_rows for each in found] == [number] * 2, predicate
