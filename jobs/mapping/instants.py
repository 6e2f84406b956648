"""How the texts and numbers of a column are written, if they are instants."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, product

from jobs.mapping.times import text_pattern

_ISO = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})(?:[Tt]|[ \t]+)[0-9]{2}:?[0-9]{2}"
    r"(?::?[0-9]{2}(?:[.,][0-9]+)?)?"
    r"(?P<zone>[ \t]?(?:Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_NUMBER = re.compile(r"(?P<whole>[0-9]+)(?:\.[0-9]+)?")
# Seconds since 1970 have nine digits from 1973 on, and ten until 2286.
_UNITS = {
    **dict.fromkeys((9, 10), "seconds"),
    **dict.fromkeys((12, 13), "milliseconds"),
    **dict.fromkeys((15, 16), "microseconds"),
    **dict.fromkeys((18, 19), "nanoseconds"),
}
_DATES = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"),
    *("%d/%b/%Y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%Y-%m-%d"),
)
_BETWEEN = (" ", "T", ", ", ":")
_TIMES = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
_ZONES = ("", "%z", " %z")
_OTHER_ORDER = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y"}
_GREATEST = {"%m": 12, "%d": 31, "%H": 23, "%I": 12, "%M": 59, "%S": 59}
_VALUES_TRIED, _VALUES_LOOKED_AT = 200, 3


@dataclass(frozen=True)
class Spelling:
    """How instants are written.

    Attributes:
        why: how they are written, and what is taken for granted.
        format: the format that a mapping has to name; None if none is needed.
    """

    why: str
    format: str | None = None


def spelling(values: Iterable[str]) -> Spelling | None:
    """How most of these values are written, if most are instants."""
    written = [value.strip(" \t") for value in islice(values, _VALUES_TRIED)]
    for found in (_iso(written), _number(written), _format(written)):
        if found is not None:
            return found
    return None


def _most(found: Sequence[object], written: Sequence[str]) -> bool:
    return 2 * len(found) > len(written)


def _iso(written: Sequence[str]) -> Spelling | None:
    found = [match for value in written if (match := _ISO.fullmatch(value))]
    if not _most(found, written):
        return None
    local = sum(match["zone"] is None for match in found)
    if not local:
        return Spelling("ISO 8601 with an offset")
    share = "" if local == len(found) else "partly "
    return Spelling(
        f"ISO 8601, {share}without an offset: this is UTC, unless INPUT_TIMEZONE"
        " names another zone"
    )


def _number(written: Sequence[str]) -> Spelling | None:
    digits = [
        len(match["whole"]) for value in written if (match := _NUMBER.fullmatch(value))
    ]
    units = [_UNITS[each] for each in digits if each in _UNITS]
    if not _most(units, written):
        return None
    named = sorted(set(units), key=lambda unit: (-units.count(unit), unit))
    lengths = sorted({each for each in digits if _UNITS.get(each) == named[0]})
    return Spelling(
        f"numbers of {' or '.join(map(str, lengths))} digits, so"
        f" {' and '.join(named)} since 1970; a number's size tells its unit"
    )


def _format(written: Sequence[str]) -> Spelling | None:
    dates = [
        date
        for date in _DATES
        if any(_pattern(date).match(value) for value in written[:_VALUES_LOOKED_AT])
    ]
    formats = map("".join, product(dates, _BETWEEN, _TIMES, _ZONES))
    counts = {
        each: count
        for each in formats
        if 2 * (count := sum(_reads(each, value) for value in written)) > len(written)
    }
    usual = max(counts, key=lambda each: counts[each], default=None)
    if usual is None:
        return None
    for date, other in _OTHER_ORDER.items():
        if usual.startswith(date):
            if counts.get(usual.replace(date, other)) == counts[usual]:
                return Spelling(f"day first, as no value tells it from {other}", usual)
            return Spelling("day first, as the values tell", usual)
    if usual.startswith("%m"):
        return Spelling("month first, as the values tell", usual)
    return Spelling("no form of ISO 8601", usual)


def _reads(format_: str, written: str) -> bool:
    found = _pattern(format_).fullmatch(written)
    return found is not None and all(
        int(group) <= _GREATEST.get(directive, int(group))
        for directive, group in zip(_directives(format_), found.groups(), strict=True)
        if group.isdecimal()
    )


@cache
def _pattern(format_: str) -> re.Pattern[str]:
    pattern, _ = text_pattern(format_)
    return re.compile(pattern)


@cache
def _directives(format_: str) -> Sequence[str]:
    _, groups = text_pattern(format_)
    return groups
