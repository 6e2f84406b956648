"""Quotes texts for SQL, a shell and a terminal, whatever characters they have."""

import shlex
from pathlib import Path


def identifier(name: str) -> str:
    """A name, such as that of a column, in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str | Path) -> str:
    """A text in single quotes."""
    return "'" + str(value).replace("'", "''") + "'"


def shell_word(value: str) -> str:
    """A text as one word of a shell, in double quotes if nothing in it needs more."""
    return shlex.quote(value) if set(value) & set('"$`\\!') else f'"{value}"'


def printable(name: str) -> str:
    """The name with control characters escaped, which a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
