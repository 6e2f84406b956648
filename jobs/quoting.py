"""Quotes texts for SQL and for a terminal, whatever characters they have."""

from pathlib import Path


def identifier(name: str) -> str:
    """A name, such as that of a column, in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str | Path) -> str:
    """A text in single quotes."""
    return "'" + str(value).replace("'", "''") + "'"


def printable(name: str) -> str:
    """The name with control characters escaped, which a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
