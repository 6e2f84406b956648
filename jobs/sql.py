"""``python -m jobs.sql``: a query on the published tables, answered on the terminal."""

import csv
import signal
import sys
from collections.abc import Iterator, Sequence
from itertools import islice

from jobs.engine.warehouse import ask
from jobs.errors import RunError
from jobs.settings import Parser, RunSettings, load

MOST_ROWS = 1_000

SUMMARY = """\
Ask the tables of OUTPUT_DATA_PATH_PREFIX in SQL, as DuckDB speaks it:
staging, intermediate and mart are schemas, mart.fact_user_session is a table.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the answer to a query; returns the exit code of the contract."""
    # What reads the answer may have had enough of it, as head does.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = Parser(prog="python -m jobs.sql", description=SUMMARY)
    parser.add_argument("query", help="such as SELECT * FROM mart.weekly_summary")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--csv", action="store_true", help="all rows as CSV")
    shape.add_argument("--json", action="store_true", help="all rows as a JSON array")
    try:
        given = parser.parse_args(arguments)
        settings: RunSettings
        [settings] = load((RunSettings,), parser.prog, SUMMARY, [])
        columns, rows = ask(
            settings.output_data_path_prefix,
            given.query,
            settings.reporting_timezone,
            as_json=given.json,
        )
        if given.json:
            show_json(rows)
        elif given.csv:
            csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *rows])
        else:
            show(columns, rows)
    except RunError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return error.exit_code
    return 0


def show_json(rows: Iterator[list[str | None]]) -> None:
    """Print rows, each an object, as one array."""
    before = "["
    for row in rows:
        print(before, row[0], sep="", end="")
        before = ",\n "
    print("[]" if before == "[" else "]")


def show(columns: Sequence[str], rows: Iterator[list[str | None]]) -> None:
    """Print a table of the first rows; NULL is a dash."""
    from rich.console import Console
    from rich.table import Table

    from jobs.console import PLAIN, printable

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
