"""Delta Lake on Spark reads the Delta tables of both engines; this needs Java."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jobs.tables import FACT_USER_SESSION, TABLES, Table
from tests.support import published
from tests.support.delta import Predicate, log_of, predicates, write_input
from tests.support.processes import ROOT, paths, run

pytestmark = pytest.mark.slow

ENGINES = ("duckdb", "spark")


@pytest.fixture(scope="module")
def prefixes(tmp_path_factory) -> dict[str, Path]:
    """The same tables by each engine."""
    folder = tmp_path_factory.mktemp("delta-lake")
    write_input(folder / "in")
    for engine in ENGINES:
        ended = run(
            *("-m", "jobs"),
            ENGINE=engine,
            TABLE_FORMAT="delta",
            MAX_REJECTED_RATIO="1",
            **paths(folder / "in", folder / engine),
        )
        assert ended.returncode == 0, ended.stderr
    return {engine: folder / engine for engine in ENGINES}


def answers(queries: list[str], folder: Path) -> list[list[list[Any]]]:
    """The rows of each query, by Delta Lake."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.delta_on_spark", str(folder / "ivy")],
        cwd=ROOT,
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    found: list[list[list[Any]]] = json.loads(ended.stdout)
    return found


def all_rows(log: Path, table: Table) -> str:
    """A query for all rows in the form of ``published.rows``."""
    columns = [
        f"unix_micros(`{c.name}`)" if c.type == "TIMESTAMP" else f"`{c.name}`"
        for c in table.columns
    ]
    columns = [
        f"CAST({value} AS STRING)" if column.type == "DATE" else value
        for value, column in zip(columns, table.columns, strict=True)
    ]
    if table.partition:
        columns.append(f"CAST(`{table.partition.name}` AS STRING)")
    return f"SELECT {', '.join(columns)} FROM delta.`{log}`"


def counts(log: Path, found: list[Predicate]) -> str:
    """A query for the number of rows that each condition has."""
    return " UNION ALL ".join(
        f"SELECT {n} AS n, count(*) AS rows FROM delta.`{log}` WHERE {in_sql(each)}"
        for n, each in enumerate(found)
    )


def in_sql(predicate: Predicate) -> str:
    match predicate.value:
        case None:
            return f"`{predicate.column}` IS NULL"
        case bool() | int() | Decimal():
            value = str(predicate.value)
        case float():
            value = f"CAST('{predicate.value!r}' AS DOUBLE)"
        case datetime():
            value = f"TIMESTAMP '{predicate.value.astimezone(UTC).isoformat()}'"
        case date():
            value = f"DATE '{predicate.value}'"
        case _:
            value = f"decode(X'{predicate.value.encode().hex()}', 'UTF-8')"
    return f"`{predicate.column}` {predicate.operator} {value}"


def in_ci(table: Table, predicate: Predicate) -> bool:
    """Whether a condition is one of the few that a test in CI has time for."""
    columns = {"session_end_ts", "total_watch_time_s", "signup_date", "device"}
    return (
        table == FACT_USER_SESSION
        and predicate.column in columns
        and predicate.operator == "="
    )


IN_CI_AND_ALL = [in_ci, pytest.param(lambda *_: True, marks=pytest.mark.long)]


@pytest.mark.parametrize("is_tested", IN_CI_AND_ALL, ids=["some", "all"])
def test_delta_lake_finds_every_row_of_both_engines(prefixes, tmp_path, is_tested):
    """All rows of each table, and those at the bounds of columns.

    A JVM answers all queries, since its start takes half a minute.
    """
    logs = [(prefix, table) for prefix in prefixes.values() for table in TABLES]
    queries = [all_rows(log_of(prefix, table), table) for prefix, table in logs]
    filters = []
    for prefix, table in logs:
        pairs = [p for p in predicates(prefix, table) if is_tested(table, p[0])]
        for column in table.column_names:
            if of_column := [pair for pair in pairs if pair[0].column == column]:
                queries.append(counts(log_of(prefix, table), [p for p, _ in of_column]))
                filters.append(of_column)
    found = answers(queries, tmp_path)
    for (prefix, table), rows in zip(logs, found, strict=False):
        expected = published.rows(prefix, table)
        assert sorted(map(comparable, rows), key=repr) == [*map(comparable, expected)]
    assert filters
    for of_column, rows in zip(filters, found[len(logs) :], strict=True):
        by_number = dict(map(tuple, rows))
        for number, (predicate, count) in enumerate(of_column):
            assert by_number[number] == count, predicate


def comparable(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        str(value) if isinstance(value, date | Decimal) else value for value in row
    )
