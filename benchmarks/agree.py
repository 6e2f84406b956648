"""``python -m benchmarks.agree OURS THEIRS``: whether two prefixes have the same rows.

It compares all rows of every table, how often each occurs, and the names and types of
columns. It prints each table that differs, with the first rows that only one prefix
has, and exits 1.
"""

import glob
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from jobs.tables import REJECTED_EVENTS, TABLES, Table

# The peers drop rejected lines, which the pipeline keeps.
COMPARED = tuple(table for table in TABLES if table is not REJECTED_EVENTS)
_ROWS_SHOWN = 3


def differences(ours: Path, theirs: Path) -> Iterator[str]:
    """A paragraph for each table that differs."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for table in COMPARED:
            one, other = _select(ours, table), _select(theirs, table)
            types = [
                database.sql(f"DESCRIBE {rows}").fetchall() for rows in (one, other)
            ]
            if types[0] != types[1]:
                yield f"{table.name}: other types: {types[0]} and {types[1]}"
                continue
            for left, right, side in ((one, other, "ours"), (other, one, "theirs")):
                more = database.sql(f"{left} EXCEPT ALL {right}").limit(_ROWS_SHOWN)
                if rows := more.fetchall():
                    yield "\n  ".join(
                        (f"{table.name}: only in {side}, such as:", *map(str, rows))
                    )


def _select(prefix: Path, table: Table) -> str:
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    folder = glob.escape(str(prefix / table.name / "format=parquet"))
    files = f"{folder}/**/*.parquet".replace("'", "''")
    return (
        f"SELECT {columns} FROM read_parquet('{files}',"
        " hive_partitioning = true, hive_types_autocast = false)"
    )


def main() -> int:
    """Compare the two prefixes that the command line names."""
    found = list(differences(Path(sys.argv[1]), Path(sys.argv[2])))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
