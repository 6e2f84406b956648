"""Makes docs/tables.md from the catalogue: ``scripts/task docs`` runs it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jobs.tables import TABLES, Column, Range, Table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tables.md"

HEAD = """\
# The tables, column by column

`scripts/task docs` makes this page from `jobs/tables.py`. A type is one of Spark
SQL. A TIMESTAMP is an instant in UTC with microseconds, and a DATE is a day of
`REPORTING_TIMEZONE`. The column of a partition stands last: the names of the folders
tell its value, and only the file of a table without rows has such a column. A table
without a key has no two rows that are equal in every column. `jobs/checks.py` holds
each row to the columns "NULL" and "values" before a table is published.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *map(section, TABLES)])


def section(table: Table) -> str:
    """A table's heading, the facts of the whole table, and its columns."""
    facts = [f"Layer: {table.layer}", f"written by: `{table.written_by}`"]
    if table.key:
        facts.append(f"key: {listed(table.key)}")
    if table.partition:
        facts.append(f"partitioned by: {listed([table.partition.name])}")
    return "\n".join(
        [
            f"## {table.name}\n",
            f"{'; '.join(facts)}.\n",
            "| column | type | NULL | values | meaning |",
            "|---|---|---|---|---|",
            *rows(table),
            "",
        ]
    )


def rows(table: Table) -> Iterator[str]:
    """A row of Markdown for each column."""
    for column in table.schema:
        null = "allowed" if column.nullable else "never"
        yield (
            f"| `{column.name}` | {column.type} | {null} |"
            f"{padded(allowed(column))}| {column.means} |"
        )


def allowed(column: Column) -> str:
    """The values that a column may have beside NULL."""
    match column.allowed:
        case None:
            return ""
        case Range(least, None):
            return f"at least {least}"
        case Range(least, most):
            return f"{least} to {most}"
        case values:
            return " or ".join(map(str, values))


def padded(cell: str) -> str:
    """A cell of a row, which is one blank if it is empty."""
    return f" {cell} " if cell else " "


def listed(names: Iterable[str]) -> str:
    """Names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
