"""The exact reading of a line that an engine's own JSON reader may read otherwise.

The engines' readers are fast, and agree on a *plain* line: strict JSON in which the
field types say no more than their text does. Lines that may not be plain are sent
through :func:`plain_line` first. This module is plain Python, so that its verdict is
the same under both engines.
"""

import json
import re
from typing import Any

from jobs.tables import EVENT_FIELDS, TEXT_FIELDS

LONGEST_LINE = 128 * 1024 * 1024
"""Bytes. A longer line is no event log's, and no engine is asked to hold it."""

DEEPEST_NESTING = 500
"""Levels of arrays and objects, the line's own included; deeper ones are no event."""

SUSPICIOUS_LENGTH = 2 * DEEPEST_NESTING
"""Bytes. A line of fewer cannot open and close so many levels that one is too deep."""

_TEXT_KEYS = "|".join(TEXT_FIELDS)

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?')
_NOT_BRACKETS = re.compile(r"[^\[\]{}]+")
# Escapes in the order they are read: whole pairs are skipped, as is what a backslash
# quotes, and so a half that is found stands alone.
_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)

MISTYPED = (
    rf'"(?:(?:{_TEXT_KEYS})"\s*:\s*(?:-?\d+[.eE]|[\[{{])|user_id"\s*:\s*[^"n\s]'
    r'|value"\s*:\s*"[^"]|initiator_id"\s*:\s*"-)'
)
"""Finds a field whose JSON type matters: its text alone would be judged otherwise."""

ESCAPED_KEY = r'\\u[0-9a-fA-F]{4}[^"]*"\s*:'
"""Finds a key that other expressions cannot see for its escapes."""


def plain_line(line: str | None) -> str | None:
    """The same event as a plain line, or None if the line is not one JSON object.

    The rules, on top of RFC 8259:

    - Of a repeated key the first counts.
    - A text field's string is its text, a number or boolean its JSON text as written,
      an array or object null. ``user_id`` is a string or null.
    - ``initiator_id`` and ``value`` keep what their rules may accept. Anything else
      becomes ``false``, which they refuse as well.
    - Half a surrogate pair is no text, so a line with one is no JSON.
    - Nor is a line that nests deeper than DEEPEST_NESTING.
    """
    if line is None or _nests_too_deep(line) or _has_half_a_pair(line):
        return None
    try:
        fields = json.loads(
            line,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
            object_pairs_hook=_first_of_each_key,
        )
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    tokens = (f'"{name}":{_token(name, fields.get(name))}' for name in EVENT_FIELDS)
    return "{" + ",".join(tokens) + "}"


class _Number(str):
    """A JSON number as it is written."""


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _first_of_each_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


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


def _token(name: str, value: Any) -> str:
    if value is None:
        return "null"
    if name in TEXT_FIELDS:
        return _text_token(value)
    if name == "user_id":
        is_text = isinstance(value, str) and not isinstance(value, _Number)
        return _text_token(value) if is_text else "null"
    if isinstance(value, _Number):
        return value
    if value == "" or (name == "initiator_id" and _is_digits(value)):
        return json.dumps(value)
    return "false"


def _text_token(value: Any) -> str:
    if isinstance(value, bool):
        return f'"{json.dumps(value)}"'
    if isinstance(value, _Number):
        return f'"{"0" if value == "-0" else value}"'
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else "null"


def _is_digits(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()
