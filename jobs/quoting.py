"""Quotes texts for SQL, a shell and a terminal, whatever characters they have."""

import shlex
from collections.abc import Sequence
from pathlib import Path

_LONGEST_NAME = 60


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


def short(name: str) -> str:
    """The name in few characters, with control characters escaped."""
    is_short = len(name) <= _LONGEST_NAME
    return printable(name if is_short else name[: _LONGEST_NAME - 1] + "…")


def counted(number: int, one: str, several: str = "") -> str:
    """A number of things: ``1 line``, ``2 lines``."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def some(names: Sequence[str], most: int) -> str:
    """The first names, and the number of the others."""
    more = f" and {len(names) - most:,} more" * (len(names) > most)
    return ", ".join(names[:most]) + more
