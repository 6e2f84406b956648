"""Where the keys of a TOML document stand, which tomllib does not tell."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

Place = tuple[str | int, ...]
"""The keys that lead to a value; the elements of an array of tables have numbers."""

_BASIC, _LITERAL = r'"(?:[^"\\\n]|\\.)*"', r"'[^'\n]*'"
_KEY = rf"(?:[A-Za-z0-9_-]+|{_BASIC}|{_LITERAL})"
_KEYS = re.compile(rf"[ \t]*({_KEY}(?:[ \t]*\.[ \t]*{_KEY})*)[ \t]*")
_ONE_KEY = re.compile(_KEY)
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PART_OF_VALUE = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" rf"|{_BASIC}|{_LITERAL}|#[^\n]*|.",
    re.DOTALL,
)


def lines_of_keys(document: str) -> Mapping[Place, int]:
    """The line of each key and table of a TOML document that tomllib accepts.

    The keys within an inline table have none.
    """
    lines: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    at = _end(_SPACE, document, 0)
    while at < len(document):
        line = document.count("\n", 0, at) + 1
        brackets = 2 if document.startswith("[[", at) else document[at] == "["
        found = _KEYS.match(document, at + brackets)
        if not found:
            break
        place = _place(_names(found[1]), counts, () if brackets else table)
        at = found.end()
        if brackets == 2:
            counts[place] = counts.get(place, -1) + 1
            place = (*place, counts[place])
        if brackets:
            table, at = place, at + brackets
        else:
            at = _end_of_value(document, at)
        lines.setdefault(place, line)
        at = _end(_SPACE, document, at)
    return lines


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line of a key, or of the nearest table around it that has a line."""
    for length in range(len(place), 0, -1):
        below = (line for key, line in lines.items() if key[:length] == place[:length])
        if (first := min(below, default=None)) is not None:
            return lines.get(place[:length], first)
    return 1


def _names(written: str) -> list[str]:
    def name(key: str) -> str:
        quoted: Any = tomllib.loads(f"key = {key}")["key"] if key[0] in "\"'" else key
        return str(quoted)

    return [name(key) for key in _ONE_KEY.findall(written)]


def _place(names: list[str], counts: Mapping[Place, int], start: Place) -> Place:
    """The place of a key; names of arrays of tables mean their last element."""
    place = start
    for number, name in enumerate(names):
        place = (*place, name)
        if place in counts and number < len(names) - 1:
            place = (*place, counts[place])
    return place


def _end_of_value(document: str, at: int) -> int:
    depth = 0
    while found := _PART_OF_VALUE.match(document, at):
        if found[0] == "\n" and depth == 0:
            break
        depth += (found[0] in ("[", "{")) - (found[0] in ("]", "}"))
        at = found.end()
    return at


def _end(pattern: re.Pattern[str], document: str, at: int) -> int:
    found = pattern.match(document, at)
    return found.end() if found else at
