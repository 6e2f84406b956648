"""Names and texts as SQL has them, whatever is in them."""

from pathlib import Path


def identifier(name: str) -> str:
    """A name, such as that of a column."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str | Path) -> str:
    """A text."""
    return "'" + str(value).replace("'", "''") + "'"
