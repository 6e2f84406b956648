"""Quotes names and texts for SQL, whatever characters they have."""

from pathlib import Path


def identifier(name: str) -> str:
    """A name, such as that of a column, in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str | Path) -> str:
    """A text in single quotes."""
    return "'" + str(value).replace("'", "''") + "'"
