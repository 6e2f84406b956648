"""The fields that are read from a line. No other module defines what a field may be.

DuckDB's JSON reader reads the value of each field as text, and skips all other keys. It
is fast, but its text is wrong for some values: it writes the number 1.50 as 1.5, for
example. A field's kind defines which values *need exact reading*. The exact reading
writes such a value in another way, which DuckDB reads right. A line with only values
that DuckDB reads right is *plain*.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.quoting import text

BLANKS = " \t"

NO_ID = ("null", "undefined", "None", "NaN", "(null)")
"""Texts that programs write where they know no id."""

INVALID_ID = " "
"""In a plain line, the text of a value that is no id. No other id is blank there."""

_MOST_DIGITS, _FRACTION_DIGITS = 12, 6  # of an amount


class Number(str):
    """A JSON number as it is written."""


@dataclass(frozen=True)
class Kind:
    """A kind of field: its values, and how they are read.

    Attributes:
        needs_exact: a regular expression that finds the beginning of a JSON value that
            needs exact reading.
        token: gives the JSON token of a value in a plain line.
        text: DuckDB's SQL for the text of ``{value}`` in a line that may need exact
            reading; None if this is the value.
        missing: the reason to reject a line if the field is missing; None if the line
            does not need the field.
        invalid: the reason to reject a line if the value breaks the field's rule; None
            if the field has no rule.
        is_id: whether the field is an id, so that 101.0 means 101.
    """

    needs_exact: str
    token: Callable[[Any], str]
    text: str | None = None
    missing: str | None = None
    invalid: str | None = None
    is_id: bool = False


def text_of(value: Any) -> str | None:
    """A string, or a number or boolean as it is written; None for anything nested."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str) else None


def _text(value: Any) -> str:
    return json.dumps(text_of(value), ensure_ascii=False)


def _id(value: Any) -> str:
    """A string without blanks around it, or a number as it is written, else null."""
    if isinstance(value, Number):
        return _text(without_zero_fraction(value))
    return _text(value.strip(BLANKS)) if isinstance(value, str) else "null"


def _required_id(value: Any) -> str:
    """An id; anything that is neither text, number nor null is invalid."""
    is_id = value is None or isinstance(value, str)
    return _id(value) if is_id else _text(INVALID_ID)


def _instant(value: Any) -> str:
    """A string, or a number as it is written; anything else is no instant."""
    return _REFUSED if isinstance(value, list | dict) else _text(value)


def _amount(value: Any) -> str:
    """A number in digits, without the digits of its fraction that are not kept."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        return _REFUSED
    written = value.strip(BLANKS)
    found = _AMOUNT.fullmatch(written)
    if not found:
        return _REFUSED if written else "null"
    fraction = found["fraction"] or ""
    digits = (found["whole"] + fraction).lstrip("0")
    digits_before_point = len(digits) - len(fraction) + _exponent(found["exponent"])
    if digits and (found["minus"] or digits_before_point > _MOST_DIGITS):
        return _REFUSED
    if not digits or digits_before_point <= -_FRACTION_DIGITS:
        return '"0"'
    whole = digits[: max(digits_before_point, 0)].ljust(digits_before_point, "0")
    fraction = "0" * -digits_before_point + digits[max(digits_before_point, 0) :]
    return f'"{whole or 0}.{fraction[:_FRACTION_DIGITS] or 0}"'


def _exponent(written: str | None) -> int:
    """An exponent. One of more than nine digits is beyond every limit, and cut."""
    digits = (written or "").lstrip("+-").lstrip("0")[:9]
    return int(digits or 0) * (-1 if written and written.startswith("-") else 1)


def without_zero_fraction(number: str) -> str:
    """A number as it is written, but ``101`` for ``101.0``; any other text stays."""
    found = _WITH_ZERO_FRACTION.fullmatch(number)
    return found[1] if found else number


def means_no_id(value: str) -> str:
    """DuckDB's SQL for whether a text means that there is no id."""
    # DuckDB makes a join of IN, which costs time for every line.
    pattern = "|".join(map(re.escape, NO_ID))
    return f"regexp_full_match({value}, {text(pattern)})"


_REFUSED = '"[]"'  # the token of a value that is neither an instant nor an amount
_AMOUNT = re.compile(
    r"(?P<minus>-?)(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+))?"
)
_WITH_ZERO_FRACTION = re.compile(r"(-?[0-9]+)\.0+")

# DuckDB writes the text of a number as a double's, so not always as it is written.
_NUMBER_NEEDS_EXACT = r"-0|-?\d+[.eE]"
_DOUBLE_NEEDS_EXACT = (
    r"-?\d+(?:\.\d+)?[eE]|-?\d+\.\d{7}|-?(?:9\d{9}|\d{11,})\.|-?0\.0000"
)
NESTED = r"[\[{]"
_NO_TEXT_AT_FIRST = r'"(?:[ \t]+["\\]|\\)'
_ID_NEEDS_EXACT = rf"(?:{_NUMBER_NEEDS_EXACT}|{NESTED}|[tf]|{_NO_TEXT_AT_FIRST})"

_TRIMMED = "trim({value}, ' \t')"
_KNOWN = f"CASE WHEN NOT {means_no_id(_TRIMMED)} THEN {_TRIMMED} END"
_VALID = f"CASE WHEN {{value}} = {text(INVALID_ID)} THEN {{value}} ELSE {_KNOWN} END"

TEXT = Kind(rf"(?:{_NUMBER_NEEDS_EXACT}|{NESTED})", _text)
INSTANT = Kind(
    rf"(?:{_DOUBLE_NEEDS_EXACT})",
    _instant,
    missing="missing_timestamp",
    invalid="invalid_timestamp",
)
OPTIONAL_ID = Kind(_ID_NEEDS_EXACT, _id, _TRIMMED, is_id=True)
OPTIONAL_KNOWN_ID = Kind(_ID_NEEDS_EXACT, _id, _KNOWN, is_id=True)
INITIATOR_ID = Kind(
    _ID_NEEDS_EXACT,
    _required_id,
    _VALID,
    "missing_initiator_id",
    "invalid_initiator_id",
    is_id=True,
)
USER_ID = Kind(
    _ID_NEEDS_EXACT,
    _required_id,
    _VALID,
    "missing_user_id",
    "invalid_user_id",
    is_id=True,
)
AMOUNT = Kind(
    rf'(?:{_DOUBLE_NEEDS_EXACT}|"[ \t]*-?\d[\d.]*[eE])',
    _amount,
    invalid="invalid_value",
)

FIELDS: Mapping[str, Kind] = {
    "event": TEXT,
    "timestamp": INSTANT,
    "event_id": OPTIONAL_KNOWN_ID,
    "channel": TEXT,
    "device_type": TEXT,
    "account_id": OPTIONAL_ID,
    "video_id": OPTIONAL_ID,
    "session_id": OPTIONAL_KNOWN_ID,
    "event_name": TEXT,
    "device": TEXT,
    "device_os": TEXT,
    "app_version": TEXT,
    "country": TEXT,
    "initiator_id": INITIATOR_ID,
    "user_id": USER_ID,
    "value": AMOUNT,
}
