"""``python -m jobs.sql``: runs a query on the published tables, prints the result."""

import csv
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import duckdb

from jobs.engine.duckdb.tables import is_unreadable, read_query
from jobs.errors import InputError, RunError, in_one_line
from jobs.publishing.history import as_of
from jobs.publishing.prefix import Snapshot
from jobs.publishing.reading import read_snapshot
from jobs.quoting import identifier, printable, text
from jobs.settings import Parser, RunSettings, load
from jobs.tables import TABLES

MOST_ROWS = 1_000
_ROWS_AT_ONCE = 10_000

SUMMARY = """\
Query the tables of OUTPUT_DATA_PATH_PREFIX in DuckDB's SQL. The schemas are staging,
intermediate and mart: mart.fact_user_session is a table.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the result of a query; returns the exit code of the contract."""
    # A program that reads the output may end early, such as head: this is no error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = Parser(prog="python -m jobs.sql", description=SUMMARY)
    parser.add_argument("query", help="such as SELECT * FROM mart.weekly_summary")
    parser.add_argument(
        "--as-of",
        metavar="RUN",
        help="the Delta tables after that run, as _runs has it",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--csv", action="store_true", help="all rows as CSV")
    shape.add_argument("--json", action="store_true", help="all rows as a JSON array")
    try:
        given = parser.parse_args(arguments)
        settings: RunSettings
        [settings] = load((RunSettings,), parser.prog, SUMMARY, [])
        columns, rows = read_snapshot(
            settings.prefix,
            lambda tables: answer(
                tables if given.as_of is None else as_of(tables, given.as_of),
                given.query,
                settings.reporting_timezone,
                as_json=given.json,
            ),
        )
        if given.json:
            show_json(rows)
        elif given.csv:
            csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *rows])
        else:
            show(columns, rows)
    except (Exception, KeyboardInterrupt) as error:
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        return error.exit_code if isinstance(error, RunError) else 1
    return 0


def answer(
    tables: Snapshot, query: str, time_zone: str, as_json: bool
) -> tuple[list[str], Iterator[list[str | None]]]:
    """The columns and rows of a query, as texts.

    Args:
        tables: the tables that the query can name.
        query: a query in DuckDB's SQL.
        time_zone: the time zone in which instants are shown.
        as_json: whether a row is one text, a JSON object, or else one text a column.

    Raises:
        InputError: a table that the query names does not exist or cannot be read.
        RunError: the query is wrong.
    """
    # DuckDB makes this folder only if a query needs more memory than there is.
    spill = Path(tempfile.gettempdir(), f"product-events-{os.getpid()}")
    connection = duckdb.connect(config={"temp_directory": str(spill)})
    try:
        unreadable = _create_views(connection, tables)
        connection.execute(f"SET TimeZone = {text(time_zone)}")
        statements = duckdb.extract_statements(query)
        if not statements or not _gives_rows(statements[-1]):
            raise RunError("the query gives no rows: it takes a SELECT")
        try:
            found = connection.sql(query)
        except duckdb.CatalogException as error:
            for name, reason in unreadable.items():
                if re.search(rf"\b{name}\b", str(error)):
                    raise reason from error
            raise
        columns = list(found.columns)
        wanted = "to_json(answer)" if as_json else "COLUMNS(*)"
        texts = found.set_alias("answer").project(f"CAST({wanted} AS VARCHAR)")
        # A run that publishes while rows are printed takes their files away.
        connection.execute(f"CREATE TEMP TABLE answer_rows AS {texts.sql_query()}")
        connection.execute("FROM answer_rows")
    except duckdb.Error as error:
        connection.close()
        raise _to_run_error(error) from error
    except BaseException:
        connection.close()
        raise
    return columns, _rows(connection)


def _gives_rows(statement: duckdb.Statement) -> bool:
    return duckdb.ExpectedResultType.QUERY_RESULT in statement.expected_result_type


def _create_views(
    connection: duckdb.DuckDBPyConnection, tables: Snapshot
) -> dict[str, InputError]:
    """Create a view for each table; returns why there is none, by the table's name."""
    there = [table for table in TABLES if table.name in tables.state.tables]
    if not there:
        # A query of other files, such as those of rejected lines, needs no table.
        none = InputError(f"{tables.prefix}: there are no tables yet")
        return dict.fromkeys((table.name for table in TABLES), none)
    unreadable: dict[str, InputError] = {}
    for table in there:
        try:
            files = tables.files(table)
        except InputError as error:
            unreadable[table.name] = error
            continue
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        name = f"{table.layer}.{identifier(table.name)}"
        try:
            connection.execute(f"CREATE VIEW {name} AS {read_query(table, files)}")
        except duckdb.Error as error:
            unreadable[table.name] = InputError(_first_line(error))
    return unreadable


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[list[str | None]]:
    with closing(connection):
        while rows := connection.fetchmany(_ROWS_AT_ONCE):
            yield from map(list, rows)


def _to_run_error(error: duckdb.Error) -> RunError:
    kind = InputError if is_unreadable(error) else RunError
    return kind(_first_line(error))


def _first_line(error: duckdb.Error) -> str:
    return str(error).split("\n\n")[0]


def show_json(rows: Iterator[list[str | None]]) -> None:
    """Print rows, each a JSON object, as one array."""
    before = "["
    for row in rows:
        print(before, row[0], sep="", end="")
        before = ",\n "
    print("[]" if before == "[" else "]")


def show(columns: Sequence[str], rows: Iterator[list[str | None]]) -> None:
    """Print a table of the first rows; NULL is a dash."""
    from rich.console import Console
    from rich.table import Table

    from jobs.console import PLAIN

    table = Table()
    for column in columns:
        table.add_column(printable(column), overflow="fold")
    for row in islice(rows, MOST_ROWS):
        table.add_row(*("–" if text is None else printable(text) for text in row))
    console = Console(**PLAIN)
    console.print(table)
    if next(rows, None) is not None:
        console.print(f"… and more: these are {MOST_ROWS:,} rows; --csv gives all.")


if __name__ == "__main__":
    sys.exit(main())
