"""The exact reading of lines, in Python.

DuckDB's JSON reader is fast, but it reads only *plain* lines right: strict JSON with
values as jobs/fields.py writes them. It marks the lines that may need exact reading.
:func:`plain_line` reads these, and writes each as a plain line.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jobs.fields import FIELDS, Number, text_of

LONGEST_LINE = 128 * 1024 * 1024
"""Bytes. A longer line is an error, since no log of events has such a line."""

LONG_LINE = 1_000_000
"""Bytes. A longer line is read without a Python object for each of its values."""

DEEPEST_NESTING = 500
"""Levels of arrays and objects, with the line's own. A deeper line is rejected."""

NEVER_TOO_DEEP_LENGTH = 2 * DEEPEST_NESTING
"""Bytes. A line of JSON that is not longer has no room to nest deeper."""

KEY = "key"
"""The field of an object in an array of pairs by which its value is found."""

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?')
_NOT_BRACKETS = re.compile(r"[^\[\]{}]+")
_MAY_TRAIL = re.compile(r",[ \t\n\r]*+[\]}]")
# A comma that follows the beginning of an object or array is kept, and no JSON.
_TRAILING_COMMA = re.compile(
    r'(?P<kept>"(?:[^"\\]++|\\.)*+"?|[\[{,][ \t\n\r]*+,)|,(?=[ \t\n\r]*+[\]}])'
)
# Matches every escape, from left to right. Whole surrogate pairs match before halves,
# so a match of the group ``half`` is half a pair that stands alone.
_ESCAPE = (
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_ESCAPES = re.compile(_ESCAPE)
_ESCAPES_IN_BYTES = re.compile(_ESCAPE.encode())

# Parts of the grammar of RFC 8259, for reading long lines. No group is repeated without
# a limit, since a search keeps every place that it could go back to in memory. A
# possessive group keeps none, but ends at a wrong place on Python 3.11.2:
# https://github.com/python/cpython/issues/101955
_BLANKS = rb"[ \t\n\r]*+"
_CHARACTERS = rb'[^"\\\x00-\x1f]*+'
_ESCAPED = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_PART_OF_TEXT = rb"%s(?:%s%s){0,1000}" % (_CHARACTERS, _ESCAPED, _CHARACTERS)
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_NO_TEXT = rb"(?:%s|true|false|null|NaN|-?Infinity)" % _NUMBER
_SCALAR = rb'(?:"%s"|%s)' % (_PART_OF_TEXT, _NO_TEXT)
_PAIR = rb'"%s"%s:%s%s' % (_PART_OF_TEXT, _BLANKS, _BLANKS, _SCALAR)
_NEXT = rb"%s,%s" % (_BLANKS, _BLANKS)
_SOME_BLANKS, _MUCH_OF_TEXT, _NUMBER_OR_WORD, _COLON = map(
    re.compile, (_BLANKS, _PART_OF_TEXT, _NO_TEXT, rb"%s:%s" % (_BLANKS, _BLANKS))
)
_MANY_SCALARS = re.compile(rb"(?:%s%s){0,1000}" % (_SCALAR, _NEXT))
_MANY_PAIRS = re.compile(rb"(?:%s%s){0,1000}" % (_PAIR, _NEXT))
_QUOTE, _ARRAY, _OBJECT, _COMMA = b'"[{,'
_CLOSING = {_ARRAY: ord("]"), _OBJECT: ord("}")}


@dataclass(frozen=True)
class Wanted:
    """The part of a value that is read of a long line.

    Attributes:
        names: the parts of its fields, if it is an object.
        element: the part of each of its elements, if it is an array that is read.
        keys: the texts of the field ``key`` by which an element is kept.
    """

    names: Mapping[str, "Wanted"] = field(default_factory=dict)
    element: "Wanted | None" = None
    keys: frozenset[str] = frozenset()

    @cached_property
    def many_other_pairs(self) -> re.Pattern[bytes]:
        """Matches fields that are not wanted; a name may be written with escapes."""
        names = "|".join(map(re.escape, self.names)).encode()
        may_be_wanted = rb'"(?:(?:%s)"|[^"\\]*+\\)' % names
        return re.compile(rb"(?:(?!%s)%s%s){0,1000}" % (may_be_wanted, _PAIR, _NEXT))


_ALL_FIELDS = Wanted(dict.fromkeys(FIELDS, Wanted()))

ESCAPED_KEY = r'\\u[0-9a-fA-F]{4}[^"]*"\s*:'
"""Finds a key with escapes, which the patterns for field names do not match."""


def plain_line(line: str | None) -> str | None:
    """The event of a line as a plain line; None if the line is not one JSON object.

    These rules apply in addition to RFC 8259:

    - A comma may stand before the end of an object or array that is not empty.
    - NaN, Infinity and -Infinity are null.
    - If a key is repeated, its first value counts.
    - Each field's value is written as its kind says.
    - A line with half a surrogate pair is not JSON.
    - A line that nests deeper than DEEPEST_NESTING is not JSON.
    """
    if line is None:
        return None
    if len(line) > LONG_LINE:
        return plain_long_line(line.encode())
    fields = fields_of_line(line)
    return None if fields is None else plain_object(fields)


def fields_of_line(line: str) -> dict[str, Any] | None:
    """The fields of a line, with numbers as they are written; None if it is no object.

    The rules are those of :func:`plain_line`.
    """
    fields = value_of_text(line)
    return fields if isinstance(fields, dict) else None


def value_of_text(text: str) -> Any:
    """The JSON value of a text, by the rules of a line; None if it is no JSON."""
    if _nests_too_deep(text) or _has_half_a_pair(text):
        return None
    try:
        return json.loads(_without_trailing_commas(text), **_AS_WRITTEN)
    except ValueError:
        return None


def as_written(value: Any) -> str:
    """A value of :func:`fields_of_line` as JSON, with numbers as they are written."""
    if isinstance(value, Number):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(as_written, value))}]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)}: {as_written(value[key])}" for key in value)
        return f"{{{', '.join(pairs)}}}"
    return json.dumps(value, ensure_ascii=False)


def plain_long_line(line: bytes | memoryview) -> str | None:
    """The result of :func:`plain_line`; only the texts of fields take memory."""
    fields = part_of_long_text(line, _ALL_FIELDS)
    return plain_object(fields) if isinstance(fields, dict) else None


def part_of_long_text(text: bytes | memoryview, wanted: Wanted) -> Any:
    """A part of the JSON object or array of a text; None if it is neither.

    Values that are nested, but not wanted, are empty lists.
    """
    if any(escape["half"] for escape in _ESCAPES_IN_BYTES.finditer(text)):
        return None
    try:
        at = _after_blanks(text, 0)
        if text[at] not in _CLOSING:
            return None
        value, end = _part_of_value(text, at, wanted, 0)
        return value if _after_blanks(text, end) == len(text) else None
    except (ValueError, IndexError):
        return None


def plain_object(fields: Mapping[str, Any], more: Mapping[str, str | None] = {}) -> str:
    """A plain line of the values of our fields, and of further texts by name."""
    tokens = (
        *(f'"{name}":{kind.token(fields.get(name))}' for name, kind in FIELDS.items()),
        *(
            f'"{name}":{json.dumps(text, ensure_ascii=False)}'
            for name, text in more.items()
        ),
    )
    return "{" + ",".join(tokens) + "}"


def _without_trailing_commas(line: str) -> str:
    """JSON without the commas that stand before the end of an object or array."""
    if not _MAY_TRAIL.search(line):
        return line
    return _TRAILING_COMMA.sub(lambda found: found["kept"] or "", line)


def _first_of_each_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else dict(reversed(pairs))


_AS_WRITTEN: dict[str, Any] = {
    "parse_int": Number,
    "parse_float": Number,
    "parse_constant": {}.get,  # gives None
    "object_pairs_hook": _first_of_each_key,
}


def _nests_too_deep(line: str) -> bool:
    if line.count("[") + line.count("{") <= DEEPEST_NESTING:
        return False
    depth = 0
    for bracket in _NOT_BRACKETS.sub("", _STRING.sub("", line)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST_NESTING:
            return True
    return False


def _has_half_a_pair(line: str) -> bool:
    return any(escape["half"] for escape in _ESCAPES.finditer(line))


def _part_of_value(
    line: bytes | memoryview, at: int, wanted: Wanted, depth: int
) -> tuple[Any, int]:
    """The wanted part of the value that begins here, and the value's end.

    Raises:
        ValueError, IndexError: it is not JSON, or nests too deep.
    """
    if line[at] == _OBJECT and wanted.names:
        return _part_of_object(line, at, wanted, depth + 1)
    if line[at] == _ARRAY and wanted.element:
        return _part_of_array(line, at, wanted.element, depth + 1)
    end = _end_of_value(line, at, depth)
    token = b"[]" if line[at] in _CLOSING else bytes(line[at:end])
    return json.loads(token, **_AS_WRITTEN), end


def _part_of_object(
    line: bytes | memoryview, at: int, wanted: Wanted, depth: int
) -> tuple[dict[str, Any], int]:
    fields: dict[str, Any] = {}
    at = _after_blanks(line, at + 1)
    while line[at] != _CLOSING[_OBJECT]:
        at = _after_all(wanted.many_other_pairs, line, at)
        if line[at] == _CLOSING[_OBJECT]:
            break  # after a comma
        key_end = _end_of_text(line, at)
        name = json.loads(bytes(line[at:key_end]))
        start = _end(_COLON, line, key_end)
        if name in wanted.names:
            value, end = _part_of_value(line, start, wanted.names[name], depth)
            fields.setdefault(name, value)
        else:
            end = _end_of_value(line, start, depth)
        at = _after_item(line, end, _OBJECT)
    return fields, at + 1


def _part_of_array(
    line: bytes | memoryview, at: int, wanted: Wanted, depth: int
) -> tuple[list[Any], int]:
    """The objects of an array that have the wanted keys, the first one of each."""
    values: dict[str, Any] = {}
    at = _after_blanks(line, at + 1)
    while line[at] != _CLOSING[_ARRAY]:
        value, end = _part_of_value(line, at, wanted, depth)
        key = text_of(value.get(KEY)) if isinstance(value, dict) else None
        if key in wanted.keys:
            values.setdefault(key, value)
        at = _after_item(line, end, _ARRAY)
    return [*values.values()], at + 1


def _after_item(line: bytes | memoryview, at: int, inside: int) -> int:
    """The start of the next item of an object or array, or the closing bracket."""
    at = _after_blanks(line, at)
    if line[at] == _COMMA:
        return _after_blanks(line, at + 1)
    if line[at] != _CLOSING[inside]:
        raise ValueError("no comma")
    return at


def _end_of_value(line: bytes | memoryview, at: int, depth: int) -> int:
    """The end of the JSON value that begins here, in so many objects and arrays.

    Raises:
        ValueError, IndexError: it is not JSON, or nests too deep.
    """
    inside = bytearray()  # the brackets that are open
    while True:
        if line[at] in _CLOSING:
            inside.append(line[at])
            if depth + len(inside) > DEEPEST_NESTING:
                raise ValueError("nests too deep")
            at = _after_blanks(line, at + 1)
            if line[at] != _CLOSING[inside[-1]]:
                at = _next_value(line, at, inside[-1])
        else:
            at = _end_of_scalar(line, at)
            if not inside:
                return at
            at = _after_comma(line, at, inside[-1])
        while line[at] == _CLOSING[inside[-1]]:
            inside.pop()
            at += 1
            if not inside:
                return at
            at = _after_comma(line, at, inside[-1])


def _after_comma(line: bytes | memoryview, at: int, inside: int) -> int:
    """The end of this object or array, or the start of a further value in it."""
    at = _after_blanks(line, at)
    if line[at] == _COMMA:
        at = _after_blanks(line, at + 1)
        return at if line[at] == _CLOSING[inside] else _next_value(line, at, inside)
    if line[at] != _CLOSING[inside]:
        raise ValueError("no comma")
    return at


def _next_value(line: bytes | memoryview, at: int, inside: int) -> int:
    """The start of the first nested value from here on, or of the last scalar.

    If a comma follows the last scalar, this is the end of the object or array.
    """
    if inside == _ARRAY:
        return _after_all(_MANY_SCALARS, line, at)
    at = _after_all(_MANY_PAIRS, line, at)
    if line[at] == _CLOSING[_OBJECT]:
        return at
    return _end(_COLON, line, _end_of_text(line, at))


def _end_of_scalar(line: bytes | memoryview, at: int) -> int:
    if line[at] == _QUOTE:
        return _end_of_text(line, at)
    return _end(_NUMBER_OR_WORD, line, at)


def _end_of_text(line: bytes | memoryview, at: int) -> int:
    end = _after_all(_MUCH_OF_TEXT, line, at + 1)
    if line[at] != _QUOTE or line[end] != _QUOTE:
        raise ValueError("no text")
    return end + 1


def _after_blanks(line: bytes | memoryview, at: int) -> int:
    return _end(_SOME_BLANKS, line, at)


def _after_all(pattern: re.Pattern[bytes], line: bytes | memoryview, at: int) -> int:
    """The end of as many matches of a pattern as follow each other."""
    while (end := _end(pattern, line, at)) > at:
        at = end
    return at


def _end(pattern: re.Pattern[bytes], line: bytes | memoryview, at: int) -> int:
    found = pattern.match(line, at)
    if not found:
        raise ValueError("no JSON")
    return found.end()
