"""The spellings of instants, ids and values that a line has, by their names."""

import re
from collections.abc import Iterator, Mapping

from tests.support.reference import (
    BASIC_TIMESTAMP,
    NO_ID,
    NUMBER,
    TIMESTAMP,
    ZERO_FRACTION,
    Number,
    Rejected,
    json_object,
)

IDS = ("initiator_id", "user_id", "session_id", "account_id", "video_id", "event_id")
# The units of a number by the size that it stays below; the last one has none.
UNITS = {11: "seconds", 14: "milliseconds", 17: "microseconds", None: "nanoseconds"}
ZONES = {
    "no zone": "",
    **{zone: zone for zone in ("Z", "z", "UTC", "GMT")},
    "±HH": "[+-]..",
    "±HHMM": "[+-]....",
    "±HH:MM": "[+-]..:..",
}
KINDS = ("number", "text")
FORMS = ("whole", "fraction", "exponent")
NO_TEXT = ("nothing", "no text or number")
SPELLINGS = {
    "instant": (
        *(f"{unit} as a {kind}" for unit in UNITS.values() for kind in KINDS),
        *("fraction of a number", "exponent", "before 1970"),
        *("extended", "basic", "T", "t", "blanks", "no seconds", "no fraction"),
        *("fraction after .", "fraction after ,", *ZONES, "blank before the zone"),
        *("blanks around it", "another text", *NO_TEXT),
    ),
    "id": (
        *("text", "digits", "number", "zero fraction", "another fraction"),
        *("exponent", "negative", "above 2^63", "blanks around it", "blank"),
        *NO_ID,
        *NO_TEXT,
    ),
    "value": (
        *(f"{form} as a {kind}" for form in FORMS for kind in KINDS),
        *("more than six digits", "leading zeros", "negative", "too large"),
        *("blanks around it", "blank", "another text", *NO_TEXT),
    ),
}


def spellings(line: str) -> Iterator[tuple[str, str]]:
    """What a line is written in, as kinds and names of ``SPELLINGS``."""
    try:
        fields = json_object(line)
    except Rejected:
        return
    kinds = {"timestamp": "instant", "value": "value"} | dict.fromkeys(IDS, "id")
    for field in fields.keys() & kinds.keys():
        value, kind = fields[field], kinds[field]
        written = value.token if isinstance(value, Number) else value
        if not isinstance(written, str):
            yield kind, "nothing" if value is None else "no text or number"
            continue
        text = written.strip(" \t")
        if text and text != written:
            yield kind, "blanks around it"
        form = "number" if isinstance(value, Number) else "text"
        spelled = {"instant": of_instant, "id": of_id, "value": of_value}[kind]
        yield from ((kind, name) for name in spelled(text, form))


def where(names: Mapping[str, object]) -> list[str]:
    """The names whose condition holds."""
    return [name for name, holds in names.items() if holds]


def of_instant(text: str, kind: str) -> list[str]:
    if number := NUMBER.fullmatch(text):
        names = {
            f"{unit_of(text)} as a {kind}": True,
            "fraction of a number": "." in text,
            "exponent": number["exponent"],
            "before 1970": text.startswith("-"),
        }
        return where(names)
    found = TIMESTAMP.fullmatch(text) or BASIC_TIMESTAMP.fullmatch(text)
    if not found:
        return ["another text"]
    between = text[found.end("date") : found.start("clock")]
    zone, fraction = found["zone"] or "", found["fraction"]
    names = {
        "extended" if "-" in found["date"] else "basic": True,
        between if between in ("T", "t") else "blanks": True,
        "no seconds": len(found["clock"]) in (4, 5),
        f"fraction after {text[found.start('fraction') - 1]}": fraction,
        "no fraction": not fraction,
        "blank before the zone": zone and text[found.start("zone") - 1] in " \t",
        **{name: re.fullmatch(form, zone) for name, form in ZONES.items()},
    }
    return where(names)


def unit_of(number: str) -> str:
    value = float(number)
    return next(u for size, u in UNITS.items() if size is None or value < 10**size)


def of_id(text: str, kind: str) -> list[str]:
    if text in NO_ID:
        return [text]
    if kind == "text":
        return [("digits" if text.isdigit() else "text") if text else "blank"]
    is_zero = ZERO_FRACTION.fullmatch(text)
    names = {
        "number": True,
        "zero fraction": is_zero,
        "another fraction": "." in text and not is_zero,
        "exponent": "e" in text.lower(),
        "negative": text.startswith("-"),
        "above 2^63": re.match("[0-9]{20}", text),
    }
    return where(names)


def of_value(text: str, kind: str) -> list[str]:
    number = NUMBER.fullmatch(text)
    if not number:
        return ["another text" if text else "blank"]
    form = "fraction" if "." in text else "whole"
    names = {
        f"{'exponent' if number['exponent'] else form} as a {kind}": True,
        "more than six digits": re.search(r"\.[0-9]{7}", text),
        "leading zeros": re.match("-?0[0-9]", text),
        "negative": text.startswith("-"),
        "too large": re.match("[1-9][0-9]{12}", text),
    }
    return where(names)
