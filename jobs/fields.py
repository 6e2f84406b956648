"""The fields that are read from a line. No other module defines what a field may be.

DuckDB's JSON reader reads the value of each field as text, and skips all other keys. It
is fast, but its text is wrong for some values: it writes the number 1.50 as 1.5, for
example. A field's kind defines which values *need exact reading*. The exact reading
writes such a value in another way, which DuckDB reads right. A line with only values
that DuckDB reads right is *plain*.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class Number(str):
    """A JSON number as it is written."""


@dataclass(frozen=True)
class Kind:
    """A kind of field: its values, and how they are read.

    Attributes:
        needs_exact: a regular expression that finds the beginning of a JSON value that
            needs exact reading.
        keeps_json: whether ``text`` takes a value with its JSON quotes, which make a
            string of digits different from a number.
        text: DuckDB's SQL for the text of ``{value}``; NULL if there is no text.
        token: gives the JSON token of a value in a plain line.
        reason: the reason to reject a line if the value breaks the field's rule; None
            if the field has no rule.
    """

    needs_exact: str
    keeps_json: bool
    text: str
    token: Callable[[Any], str]
    reason: str | None = None


def _text(value: Any) -> str:
    """A string, or a number or boolean as it is written; null for anything nested."""
    if isinstance(value, bool):
        return f'"{json.dumps(value)}"'
    if isinstance(value, Number):
        return f'"{"0" if value == "-0" else value}"'
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else "null"


def _only_text(value: Any) -> str:
    """A string; null for anything else."""
    is_text = isinstance(value, str) and not isinstance(value, Number)
    return _text(value) if is_text else "null"


def _number(value: Any) -> str:
    """A number as it is written; an empty string stays one, and means null."""
    if value is None or isinstance(value, Number):
        return value or "null"
    return '""' if value == "" else _REFUSED


def _number_or_digits(value: Any) -> str:
    """A number as it is written, or a string of digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return value if isinstance(value, Number) else json.dumps(value)
    return _number(value)


def _instant(value: Any) -> str:
    """A string, or a number as it is written; anything else is no instant."""
    return _NESTED if isinstance(value, list | dict) else _text(value)


_NESTED = '"[]"'
_REFUSED = "false"  # a token that no rule of a number accepts

_TEXT_NEEDS_EXACT = r"(?:-?\d+[.eE]|[\[{])"

TEXT = Kind(_TEXT_NEEDS_EXACT, False, "{value}", _text)
INSTANT = Kind(_TEXT_NEEDS_EXACT, False, "{value}", _instant, "invalid_timestamp")
USER_ID = Kind(
    r'[^"n\s]',
    True,
    """CASE WHEN starts_with(CAST({value} AS VARCHAR), '"')
        THEN {value}->>'$' END""",
    _only_text,
    "missing_user_id",
)
INITIATOR_ID = Kind(
    r'"-',
    True,
    """CASE WHEN starts_with(CAST({value} AS VARCHAR), '"-') THEN 'false'
        ELSE trim(CAST({value} AS VARCHAR), '"') END""",
    _number_or_digits,
    "invalid_initiator_id",
)
SECONDS = Kind(
    r'"[^"]',
    True,
    """nullif(CAST({value} AS VARCHAR), '""')""",
    _number,
    "invalid_value",
)

FIELDS: Mapping[str, Kind] = {
    "event": TEXT,
    "timestamp": INSTANT,
    "channel": TEXT,
    "device_type": TEXT,
    "account_id": TEXT,
    "video_id": TEXT,
    "session_id": TEXT,
    "event_name": TEXT,
    "device": TEXT,
    "device_os": TEXT,
    "app_version": TEXT,
    "country": TEXT,
    "initiator_id": INITIATOR_ID,
    "user_id": USER_ID,
    "value": SECONDS,
}
