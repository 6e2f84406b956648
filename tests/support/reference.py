"""The data contract in plain Python: slow, short and meant to be obviously right.

It computes every table from the raw bytes of the input files with only the standard
library. Tests compare the engines with it, so it shares no code with them: an error
goes unnoticed only if it is made twice. The one exception is the function that hides
addresses in a rejected line, which has tests of its own.
"""

import bz2
import codecs
import csv
import gzip
import io
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from importlib.resources import files as resources
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

from backports import zstd

from jobs.events_split.privacy import concealing

Row = dict[str, Any]

PACKED = r"\.(gz|gzip|zst|bz2)"
EVENT_FILE = re.compile(rf"(?is).*\.(json|jsonl|ndjson)({PACKED})?")
MAY_BE_EVENT_FILE = re.compile(rf"(?is).*\.(log|txt)|part-[^.]*|.*{PACKED}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIMESTAMP = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(T|t|[ \t]+)"
    r"(?P<clock>[0-9]{2}:[0-9]{2}(:[0-9]{2})?)([.,](?P<fraction>[0-9]+))?"
    r"([ \t]?(?P<zone>Z|z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?))?"
)
BASIC_TIMESTAMP = re.compile(
    r"(?P<date>[0-9]{8})(T|t|[ \t]+)"
    r"(?P<clock>[0-9]{4}([0-9]{2})?)([.,](?P<fraction>[0-9]+))?"
    r"([ \t]?(?P<zone>Z|z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?))?"
)
NUMBER = re.compile(
    r"(?P<mantissa>-?[0-9]+(\.[0-9]+)?)([eE](?P<exponent>[+-]?[0-9]+))?"
)
ZERO_FRACTION = re.compile(r"(-?[0-9]+)\.0+")
NO_ID = ("null", "undefined", "None", "NaN", "(null)")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EAST_0 = timedelta()
THREE_DAYS = timedelta(hours=72)

# The instant of a row, and the column of its day.
PARTITION_DAYS = {
    "user_registration": ("time", "derived_tstamp_day"),
    "app_loaded": ("time", "derived_tstamp_day"),
    "playback_events": ("timestamp", "derived_tstamp_day"),
    "user_sessions": ("session_start_ts", "session_start_day"),
    "fact_user_session": ("session_start_ts", "session_start_day"),
}
PLAYBACK: tuple[str, ...]
PLAYBACK = ("timestamp", "event_id", "account_id", "user_id", "video_id", "session_id")
PLAYBACK += ("event_name", "value", "device", "device_os", "app_version", "country")
SESSION_TEXTS = ("account_id", "device", "device_os", "app_version", "country")
EVENT_TABLES = ("user_registration", "app_loaded", "playback_events")


@dataclass(frozen=True)
class ReferenceSettings:
    """The settings that change rows, with their defaults."""

    reporting_timezone: str = "UTC"
    input_timezone: str = "UTC"
    session_timeout_minutes: int = 30
    conversion_mode: str = "first"
    conversion_week_offset: int = 1
    event_id: str = "use"
    retention_weeks: int = 12
    data_from: str = "1970-01-01"
    data_until: str = "2100-01-01"


@dataclass(frozen=True)
class MappingRule:
    """A rule of a mapping, with all of its defaults."""

    family: str
    fields: dict[str, list[tuple[str, ...]]]
    when: dict[tuple[str, ...], list[str]] = field(default_factory=dict)
    pairs: tuple[tuple[str, ...], ...] = ()
    json: tuple[tuple[str, ...], ...] = ()
    rename: dict[str, str] = field(default_factory=dict)
    unit: str | None = None
    format: str | None = None


class Counts(TypedDict):
    """The ledger: `read` lines are the sum of all the others."""

    read: int
    stored: Counter[str]
    duplicates: Counter[str]
    ignored: Counter[str]
    rejected: Counter[str]


@dataclass(frozen=True)
class Reference:
    """The tables by name, the ledger, and the conversion rate over all weeks."""

    tables: dict[str, list[dict[str, object]]]
    counts: Counts
    metric: Fraction | None


class Ignored(Exception):
    """An app event that no table keeps; its text is the name."""


class Rejected(Exception):
    """A line that breaks a rule; its text is the reason."""


def reference_tables(
    files: Mapping[str, bytes],
    settings: ReferenceSettings = ReferenceSettings(),
    folder: str = "in",
    mapping: Sequence[MappingRule] = (),
) -> Reference:
    """Every table, the ledger and the metric of `files`, which are bytes by name.

    `folder` is the last part of the input's path, with which each source_file begins.
    The rows have no particular order. The partition column is the last column.
    """
    zone = zone_of(settings.reporting_timezone)
    events: dict[str, list[Row]] = {table: [] for table in EVENT_TABLES}
    rejected_events: list[Row] = []
    ignored: Counter[str] = Counter()
    read = 0
    for name, content in files.items():
        for raw in event_lines(name, content):
            read += 1
            try:
                table, event = judge(raw, settings, mapping)
                events[table].append(event)
            except Ignored as event_name:
                ignored[str(event_name)] += 1
            except Rejected as reason:
                rejected = {"raw": shown(raw), "source_file": f"{folder}/{name}"}
                rejected_events.append(rejected | {"reason": str(reason)})

    stored = {table: without_duplicates(rows) for table, rows in events.items()}
    if settings.event_id == "use":
        stored = {table: one_of_each_id(rows, zone) for table, rows in stored.items()}
    registrations, loads, playback = (stored[table] for table in EVENT_TABLES)
    users = csv_table(files.get("users.csv"), USERS)
    videos = csv_table(files.get("videos.csv"), VIDEOS)
    timeout = timedelta(minutes=settings.session_timeout_minutes)
    sessions = user_sessions(playback, users, videos, timeout)
    loaded, registered = weeks_by_user(loads, zone), weeks_by_user(registrations, zone)
    app_times = [event["time"] for event in (*registrations, *loads)]
    newest_day = local_day(max(app_times), zone) if app_times else date.min
    cohorts: dict[date, list[str]] = defaultdict(list)
    for initiator, weeks in registered.items():
        cohorts[weeks[0]].append(initiator)
    summary = weekly_summary(cohorts, loaded, newest_day, settings)
    retention = weekly_retention(cohorts, loaded, newest_day, settings)
    tables = {
        **stored,
        "users": users,
        "videos": videos,
        "rejected_events": without_duplicates(rejected_events),
        "user_sessions": sessions,
        "fact_user_session": fact_user_session(sessions, playback),
        "weekly_summary": summary,
        "weekly_retention": retention,
    }
    for table, (instant_column, day_column) in PARTITION_DAYS.items():
        for row in tables[table]:
            row[day_column] = local_day(row[instant_column], zone)

    counts = Counts(
        read=read,
        stored=Counter({table: len(rows) for table, rows in stored.items()}),
        duplicates=Counter(
            {table: len(events[table]) - len(stored[table]) for table in EVENT_TABLES}
        ),
        ignored=ignored,
        rejected=Counter(row["reason"] for row in rejected_events),
    )
    converted = sum(row["total_converted"] for row in summary)
    metric = Fraction(converted, len(registered)) if registered else None
    return Reference(tables, counts, metric)


def without_duplicates(rows: list[Row]) -> list[Row]:
    """The distinct rows: rows with the same values in all columns are one row."""
    return list({tuple(row.items()): row for row in rows}.values())


def one_of_each_id(rows: list[Row], zone: ZoneInfo) -> list[Row]:
    """The smallest row of each day, user, event name and event_id."""
    kept: dict[object, Row] = {}
    for number, row in enumerate(rows):
        instant = row.get("time") or row["timestamp"]
        user = row.get("initiator_id") or row["user_id"]
        name = row.get("event") or row["event_name"]
        key: object = (local_day(instant, zone), user, name, row["event_id"])
        if row["event_id"] is None:
            key = number
        kept[key] = min(row, kept.get(key, row), key=nulls_lowest)
    return list(kept.values())


@cache
def zone_of(name: str) -> ZoneInfo:
    """A time zone by the package tzdata; the system may have other rules."""
    file = resources("tzdata").joinpath("zoneinfo", *name.split("/"))
    with file.open("rb") as content:
        return ZoneInfo.from_file(content, key=name)


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The day of an instant in the reporting time zone."""
    return at.astimezone(zone).date()


# Lines and their verdicts


def event_lines(path: str, content: bytes) -> list[str]:
    """The lines of a file; none if it is no event file."""
    name = path.rpartition("/")[2]
    if EVENT_FILE.fullmatch(name):
        return lines_of(content)
    lines = lines_of(content) if MAY_BE_EVENT_FILE.fullmatch(name) else []
    return lines if any(map(is_object, lines[:100])) else []


def is_object(line: str) -> bool:
    with suppress(Rejected):
        json_object(line)
        return True
    return False


def is_latin_1(path: str, content: bytes) -> bool:
    """Whether a file has no JSON object in UTF-8, but one in Latin-1: exit 3."""
    lines = event_lines(path, content)
    encoded = (line.encode(errors="surrogateescape") for line in lines)
    in_latin_1 = [line.decode("latin-1") for line in encoded]
    return any(map(is_object, in_latin_1)) and not any(map(is_object, lines))


def lines_of(content: bytes) -> list[str]:
    """The lines of a file that are not blank, without line end and BOM.

    A byte that is not UTF-8 becomes a surrogate.
    """
    content = unpacked(content)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
    else:
        text = content.decode("utf-8", errors="surrogateescape")
    if is_document(text):
        return elements(text)
    lines = [line.lstrip("\ufeff") for line in re.split("\r\n|\n|\r", text)]
    return [part for line in lines if line.strip(" \t") for part in parts(line)]


def unpacked(content: bytes) -> bytes:
    """The bytes that a file's first bytes say are packed in it."""
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    if re.match(rb"BZh[1-9]", content):
        return bz2.decompress(content)
    if re.match(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", content):
        return zstd.decompress(content)
    return content


def parts(line: str) -> list[str]:
    """The objects of a line that has several of them, else the line."""
    found = []
    at = after(" \t", line, 0)
    while at < len(line):
        if line[at] != "{":
            return [line]
        try:
            end = end_of_value(line, at)
        except (NotJson, CutOff):
            end = len(line)
        found.append(line[at:end])
        at = after(" \t", line, end)
    return found if len(found) > 1 else [line]


def is_document(text: str) -> bool:
    """Whether arrays, or objects over several lines, are in a file."""
    text = text[after(SPACE + "\ufeff", text, 0) :]
    if text.startswith("["):
        return text[after(SPACE, text, 1) :].startswith(("{", "]"))
    first, *others = re.split("\r\n|\n|\r", text)
    following = "".join(others).lstrip(" \t\ufeff")
    return stops_inside_object(first) and following[:1] not in ("", "{")


def stops_inside_object(line: str) -> bool:
    """Whether a line of objects ends within one, where a line end may stand."""
    at = 0
    while line[at:].startswith("{"):
        try:
            at = after(" \t", line, end_of_value(line, at))
        except CutOff:
            return True
        except NotJson:
            return False
    return False


def elements(text: str) -> list[str]:
    """The elements of arrays, and what stands beside arrays, as far as it is JSON."""
    found: list[str] = []
    is_in_array = needs_comma = False
    at = 0
    while True:
        at = after(SPACE if is_in_array else SPACE + "\ufeff", text, at)
        if at == len(text):
            return found
        if is_in_array and text[at] == "]":
            is_in_array, needs_comma, at = False, False, at + 1
        elif needs_comma and text[at] == ",":
            needs_comma, at = False, at + 1
        elif not is_in_array and text[at] == "[":
            is_in_array, at = True, at + 1
        else:
            try:
                end = at if needs_comma else end_of_value(text, at)
            except (NotJson, CutOff):
                end = at
            if end == at:
                return [*found, text[at:].rstrip(SPACE)]
            found.append(text[at:end])
            needs_comma, at = is_in_array, end


SPACE = " \t\n\r"
TOKEN = re.compile(
    r'[\[\]{}:,]|"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    r"|true|false|null|NaN|-?Infinity"
)


class NotJson(Exception):
    """A text that is not JSON."""


class CutOff(Exception):
    """A text that ends where JSON goes on."""


def after(characters: str, text: str, at: int) -> int:
    """The place after all of these characters that stand here."""
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def end_of_value(text: str, at: int) -> int:
    """The end of the JSON value that begins here, or NotJson or CutOff.

    It may have a comma before a closing bracket, and may nest as deep as it likes.
    """
    value = ("[", "{", '"', "word")
    closing = {"[": "]", "{": "}"}
    inside: list[str] = []
    allowed: tuple[str, ...] = value
    while True:
        at = after(SPACE, text, at)
        if at == len(text):
            raise CutOff
        token = TOKEN.match(text, at)
        if not token:
            raise NotJson
        at = token.end()
        kind = token[0][0] if token[0][0] in '[]{}:,"' else "word"
        if kind not in allowed:
            raise NotJson
        if kind in closing:
            inside.append(kind)
        if kind in closing or kind == ",":
            items = value if inside[-1] == "[" else ('"',)
            allowed = (*items, closing[inside[-1]])
        elif kind == ":":
            allowed = value
        elif kind == '"' and allowed != value and inside[-1] == "{":
            allowed = (":",)
        else:
            if kind in closing.values():
                inside.pop()
            if not inside:
                return at
            allowed = (",", closing[inside[-1]])


def shown(line: str) -> str:
    """A rejected line as it is stored."""
    text = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return concealing(None)(text) or ""


def judge(
    line: str,
    settings: ReferenceSettings = ReferenceSettings(),
    mapping: Sequence[MappingRule] = (),
) -> tuple[str, Row]:
    """The table of a line and its row; raises Ignored or Rejected."""
    fields = json_object(line)
    if mapping:
        fields = mapped(fields, mapping)
    event = text(fields, "event")
    if text(fields, "event_name") is not None:
        row: Row = {name: text(fields, name) for name in PLAYBACK}
        row |= optional_ids(fields, "account_id", "video_id")
        row |= known_ids(fields, "event_id", "session_id")
        row["timestamp"] = instant(fields, settings)
        row["user_id"] = required_id(fields, "user_id")
        row["value"] = amount(fields)
        return "playback_events", row
    if event is None:
        raise Rejected("missing_event")
    if event not in ("registered", "app_loaded"):
        raise Ignored(event)
    if event == "app_loaded" and is_missing_id(fields, "initiator_id"):
        raise Ignored("app_loaded (anonymous)")
    row = {"event": event, "time": instant(fields, settings)}
    row["initiator_id"] = required_id(fields, "initiator_id")
    row |= known_ids(fields, "event_id")
    if event == "registered":
        return "user_registration", row | {"channel": text(fields, "channel")}
    return "app_loaded", row | {"device_type": text(fields, "device_type")}


# Lines of others, by a mapping


def mapped(fields: Row, mapping: Sequence[MappingRule]) -> Row:
    """Our fields of a line; the field `written as` reads its time, if a rule says it.

    Raises Ignored if no rule takes the line.
    """
    for rule in mapping:
        if all(
            text({"it": value_at(fields, path, rule)}, "it", empty="") in texts
            for path, texts in rule.when.items()
        ):
            break
    else:
        path = next(iter(rule.when))
        name = text({"it": value_at(fields, path, rule)}, "it")
        raise Ignored(name or f"(no {path[-1]})")
    found: Row = {}
    for ours, paths in rule.fields.items():
        for path in reversed(paths):
            value = value_at(fields, path, rule)
            if value is not None and value != "":
                found[ours] = value
    for ours in {"event", "event_name"} & {*found}:
        name = text(found, ours)
        found[ours] = rule.rename.get(name, found[ours]) if name else found[ours]
    if rule.unit:
        found["written as"] = partial(micros_of_unit, rule.unit)
    if rule.format:
        found["written as"] = partial(micros_of_format, rule.format)
    return found


def value_at(fields: Row, path: Sequence[str], rule: MappingRule) -> object:
    """The value at a path, through arrays of pairs and JSON in texts."""
    here: object = Pairs(fields.items())
    for at, name in enumerate(path):
        if path[:at] in rule.pairs:
            items = here if isinstance(here, list) else []
            pairs = [dict(reversed(item)) for item in items if isinstance(item, Pairs)]
            values = [p.get("value") for p in pairs if text(p, "key", empty="") == name]
            here = values[0] if values else None
            if isinstance(here, Pairs) and (
                path[: at + 1] in rule.json or at + 1 == len(path)
            ):
                typed = dict(reversed(here))
                names = ("string_value", "int_value", "float_value", "double_value")
                known = [typed[n] for n in names if typed.get(n) is not None]
                here = known[0] if known else None
        else:
            here = dict(reversed(here)).get(name) if isinstance(here, Pairs) else None
        is_json = path[: at + 1] in rule.json and at + 1 < len(path)
        if is_json and isinstance(here, str):
            try:
                here = json_value(here)
            except Rejected:
                here = None
    return here


def micros_of_unit(unit: str, written: str, zone: ZoneInfo) -> int | None:
    """Microseconds since 1970 of a number of this unit, or of another text."""
    number = NUMBER.fullmatch(written)
    if not number:
        return micros_of(written, zone)
    exponent = small_exponent(number["exponent"])
    exact = Fraction(Decimal(f"{number['mantissa']}e{exponent}"))
    digits = {"seconds": 0, "milliseconds": 3, "microseconds": 6, "nanoseconds": 9}
    micros = math.floor(exact * Fraction(10) ** (6 - digits[unit]))
    # No limit of the data lies beyond these.
    return max(min(micros, 10**17), -(10**17))


FORMAT_PARTS = {
    "%Y": "(?P<Y>[0-9]{4})",
    "%b": "(?P<b>[A-Za-z]{3})",
    "%z": "(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
    "%p": "(?P<p>[AaPp][Mm])",
    "%f": "(?P<f>[0-9]{1,6})",
    "%%": "%",
    **{f"%{letter}": f"(?P<{letter}>[0-9]{{1,2}})" for letter in "mdHIMS"},
}
MONTHS: tuple[str, ...]
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun")
MONTHS += ("jul", "aug", "sep", "oct", "nov", "dec")


def micros_of_format(form: str, written: str, zone: ZoneInfo) -> int | None:
    """Microseconds since 1970 of a text of this format, whose parts lie apart."""
    pieces = re.findall(r"%.|[ \t]+|[^%]", form)
    pattern = "".join(
        FORMAT_PARTS.get(piece, re.escape(piece) if piece.strip() else "[ \t]+")
        for piece in pieces
    )
    found = re.fullmatch(pattern, written)
    if not found:
        return None
    has = found.groupdict()
    if "b" in has and has["b"].lower() not in MONTHS:
        return None
    month = MONTHS.index(has["b"].lower()) + 1 if "b" in has else int(has["m"])
    hour = int(has.get("H") or has["I"])
    if "p" in has:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (has["p"].lower() == "pm")
    fraction = f".{has['f']}" if "f" in has else ""
    iso = f"{has['Y']}-{month:02}-{int(has['d']):02}T{hour:02}:{int(has['M']):02}"
    iso += f":{int(has.get('S') or 0):02}{fraction}{has.get('z') or ''}"
    return micros_of(iso, zone)


@dataclass(frozen=True)
class Number:
    """A JSON number as it is written."""

    token: str


class Pairs(tuple[tuple[str, object], ...]):
    """A JSON object, with repeated keys still in it."""


def json_object(line: str) -> Row:
    """The fields of one strict JSON object; a repeated key has its first value."""
    value = json_value(line)
    if not isinstance(value, Pairs):
        raise Rejected("malformed_json")
    return dict(reversed(value))


def json_value(line: str) -> object:
    """One strict JSON value."""
    try:
        value = json.loads(
            without_trailing_commas(line),
            object_pairs_hook=Pairs,
            parse_int=Number,
            parse_float=Number,
            parse_constant=lambda constant: None,
        )
        refuse_lone_surrogates(line, value)
        refuse_deep_nesting(value)
    except (ValueError, RecursionError):
        raise Rejected("malformed_json") from None
    return value


STRING_OR_TRAILING_COMMA = re.compile(
    r'(?s)(?P<kept>"(?:[^"\\]|\\.)*"|[\[{,:][ \t\r\n]*,)|,(?P<end>[ \t\r\n]*[\]}])'
)


def without_trailing_commas(line: str) -> str:
    """The line without a comma before the end of an object or array with content."""
    return STRING_OR_TRAILING_COMMA.sub(
        lambda found: found[0] if found["kept"] else found["end"], line
    )


def refuse_deep_nesting(value: object) -> None:
    """Raise ValueError if arrays and objects nest more than 500 deep."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, list | Pairs)]:
        depth += 1
        if depth > 500:
            raise ValueError(depth)
        level = [
            inner
            for item in level
            for inner in ([v for _, v in item] if isinstance(item, Pairs) else item)
        ]


def refuse_lone_surrogates(*values: object) -> None:
    """Raise ValueError if a key or string, however deep, has half a surrogate pair."""
    todo = list(values)
    while todo:
        item = todo.pop()
        if isinstance(item, list | tuple):
            todo.extend(item)
        elif isinstance(item, str):
            item.encode("utf-8")


def text(fields: Row, name: str, empty: str | None = None) -> str | None:
    """A text field: a string, or a number or boolean as it is written."""
    value = fields.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return value.token
    return value or empty if isinstance(value, str) else None


def id_of(fields: Row, name: str) -> str | None:
    """An id: a string without blanks around it, or a number as it is written."""
    value = fields.get(name)
    if isinstance(value, Number):
        zero_fraction = ZERO_FRACTION.fullmatch(value.token)
        return zero_fraction[1] if zero_fraction else value.token
    return (value.strip(" \t") or None) if isinstance(value, str) else None


def optional_ids(fields: Row, *names: str) -> Row:
    """Ids that may be missing."""
    return {name: id_of(fields, name) for name in names}


def known_ids(fields: Row, *names: str) -> Row:
    """Ids that may be missing, and that programs write as null in many ways."""
    return {
        name: None if is_missing_id(fields, name) else id_of(fields, name)
        for name in names
    }


def is_missing_id(fields: Row, name: str) -> bool:
    """Whether there is no value, or one that means none."""
    value = fields.get(name)
    is_text = isinstance(value, str)
    return value is None or (is_text and value.strip(" \t") in ("", *NO_ID))


def required_id(fields: Row, name: str) -> str:
    """An id, which the line needs."""
    if is_missing_id(fields, name):
        raise Rejected(f"missing_{name}")
    found = id_of(fields, name)
    if found is None:
        raise Rejected(f"invalid_{name}")
    return found


def instant(fields: Row, settings: ReferenceSettings) -> datetime:
    """The timestamp in UTC, within the limits of the data."""
    written = text(fields, "timestamp")
    if isinstance(fields.get("timestamp"), list | Pairs):
        raise Rejected("invalid_timestamp")
    if written is None or not written.strip(" \t"):
        raise Rejected("missing_timestamp")
    as_time = fields.get("written as") or micros_of
    micros = as_time(written.strip(" \t"), zone_of(settings.input_timezone))
    if micros is None:
        raise Rejected("invalid_timestamp")
    zone = zone_of(settings.reporting_timezone)
    if micros < micros_of_day(settings.data_from, zone):
        raise Rejected("past_timestamp")
    if micros >= micros_of_day(settings.data_until, zone):
        raise Rejected("future_timestamp")
    return EPOCH + micros * MICROSECOND


def micros_of_day(day: str, zone: ZoneInfo) -> int:
    """Microseconds from 1970 to the first midnight of a day."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone)
    return (midnight.astimezone(UTC) - EPOCH) // MICROSECOND


def micros_of(written: str, zone: ZoneInfo) -> int | None:
    """Microseconds since 1970 of an instant; None if it is written in no known way.

    A time without an offset is one of the zone.
    """
    if number := NUMBER.fullmatch(written):
        exponent = small_exponent(number["exponent"])
        return micros_of_number(Decimal(f"{number['mantissa']}e{exponent}"))
    found = TIMESTAMP.fullmatch(written) or BASIC_TIMESTAMP.fullmatch(written)
    if not found:
        return None
    year, month, day = (
        int(part) for part in re.findall("^....|..", found["date"].replace("-", ""))
    )
    hour, minute, *seconds = (
        int(part) for part in re.findall("..", found["clock"].replace(":", ""))
    )
    if found["fraction"] and not seconds:
        return None
    # Python knows no year 0, which was a leap year, as all years 400 later are.
    later = year < 1
    try:
        at = datetime(year + 400 * later, month, day, hour, minute, sum(seconds))
    except ValueError:  # There is no such day or time.
        return None
    micros = (at.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
    micros -= later * 146_097 * 86_400_000_000
    micros += int(f"{found['fraction'] or ''}000000"[:6])
    if found["zone"] is None:
        # Of a time that exists twice, Python takes the first by itself.
        return micros - (at.replace(tzinfo=zone).utcoffset() or EAST_0) // MICROSECOND
    return (
        None
        if (east := minutes_east(found["zone"])) is None
        else (micros - east * 60_000_000)
    )


def minutes_east(zone: str) -> int | None:
    """The minutes of an offset; None if it has 18 hours or more, or 60 minutes."""
    if zone in ("Z", "z", "UTC", "GMT"):
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].removeprefix(":") or "0")
    if hours >= 18 or minutes >= 60:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def micros_of_number(number: Decimal) -> int:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, by their size."""
    for limit, unit in ((11, 1_000_000), (14, 1000), (17, 1)):
        if number < 10**limit:
            # A product of decimals would be rounded to 28 digits.
            return math.floor(Fraction(max(number, Decimal(-(10**17)))) * unit)
    return math.floor(min(number, Decimal(10**25)) / 1000)


def amount(fields: Row) -> Decimal | None:
    """A number from 0 to less than 10^12, cut to six digits of its fraction."""
    value = fields.get("value")
    written = value.token if isinstance(value, Number) else value
    if written is None or (isinstance(written, str) and not written.strip(" \t")):
        return None
    found = isinstance(written, str) and NUMBER.fullmatch(written.strip(" \t"))
    if not found:
        raise Rejected("invalid_value")
    mantissa, exponent = Decimal(found["mantissa"]), small_exponent(found["exponent"])
    if mantissa == 0 or (mantissa > 0 and exponent + mantissa.adjusted() < -6):
        return Decimal(0)
    if mantissa < 0 or exponent + mantissa.adjusted() >= 12:
        raise Rejected("invalid_value")
    scaled = Fraction(mantissa) * Fraction(10) ** exponent
    return Decimal(math.floor(scaled * 10**6)).scaleb(-6)


def small_exponent(written: str | None) -> int:
    """An exponent; one that no number of use has becomes 100,000 or -100,000."""
    digits = (written or "").lstrip("+-").lstrip("0")
    size = int(digits or 0) if len(digits) < 6 else 100_000
    return -size if written and written.startswith("-") else size


# users.csv and videos.csv


def existing_day(written: str) -> date | None:
    """A date written YYYY-MM-DD, if there is such a day; a time after it is dropped."""
    has_time = (
        TIMESTAMP.fullmatch(written) and micros_of(written, zone_of("UTC")) is not None
    )
    try:
        is_date = has_time or DAY.fullmatch(written)
        return date.fromisoformat(written[:10]) if is_date else None
    except ValueError:
        return None


def csv_id(written: str) -> str:
    """An id; a number has no fraction of zeros."""
    zero_fraction = ZERO_FRACTION.fullmatch(written)
    return zero_fraction[1] if zero_fraction else written


def csv_known_id(written: str) -> str | None:
    """An id, unless a program wrote there that it had none."""
    return None if written in NO_ID else csv_id(written)


def int32(written: str) -> int | None:
    """A decimal number rounded down, if it fits in 32 bits."""
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", written):
        return None
    number = math.floor(Decimal(written))
    return number if -(2**31) <= number < 2**31 else None


# The columns of each file, the key first, with the function that reads their text.
Readers = dict[str, Callable[[str], Any]]
USERS: Readers = {"user_id": csv_known_id, "signup_date": existing_day}
USERS |= {"subscription_tier": str, "age_group": str, "gender": str}
VIDEOS: Readers = {"video_id": csv_id, "title": str, "genre": str}
VIDEOS |= {"duration_seconds": int32}


def csv_table(content: bytes | None, columns: Readers) -> list[Row]:
    """The greatest row of each key; no rows without a file."""
    key = next(iter(columns))
    greatest: dict[str, Row] = {}
    for record in csv_records(content or b"", columns):
        row: Row = {
            name: read(record[name]) if record.get(name) else None
            for name, read in columns.items()
        }
        if row[key] is not None:
            rival = greatest.get(row[key], row)
            greatest[row[key]] = max(row, rival, key=nulls_lowest)
    return list(greatest.values())


def csv_records(content: bytes, columns: Readers) -> list[dict[str, str]]:
    """The trimmed fields of each row by the names of the header in lower case."""
    is_utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    written = content.decode("utf-16" if is_utf_16 else "utf-8-sig", errors="replace")
    best: list[dict[str, str]] = []
    most = 0
    for delimiter in ",;\t|":
        reader = csv.reader(
            io.StringIO(written, newline=""),
            delimiter=delimiter,
            skipinitialspace=True,
        )
        rows = [[field.strip(" \t") for field in row] for row in reader]
        header, *others = [row for row in rows if any(row)] or [[]]
        names = [name.lower() for name in header]
        if (found := len({*names} & {*columns})) > most:
            most = found
            # Of columns with one name, the first counts.
            best = [dict(reversed([*zip(names, row, strict=False)])) for row in others]
    return best


def nulls_lowest(row: Row) -> list[tuple[bool, object]]:
    """A key to compare rows column by column; NULL is below all other values."""
    return [(value is not None, value) for value in row.values()]


# Sessions


def user_sessions(
    playback: list[Row], users: list[Row], videos: list[Row], timeout: timedelta
) -> list[Row]:
    """Every session; the sessions of a user follow each other, by their number."""
    user_by_id = {user["user_id"]: user for user in users}
    video_by_id = {video["video_id"]: video for video in videos}
    by_user = defaultdict(list)
    for event in playback:
        by_user[event["user_id"]].append(event)
    rows = []
    for name, events in by_user.items():
        user = user_by_id.get(name, dict.fromkeys(USERS))
        sessions = [
            session_row(session_id, members, user, video_by_id)
            for session_id, members in events_by_session(events, timeout).items()
        ]
        sessions.sort(key=lambda row: (row["session_start_ts"], row["session_id"]))
        for number, row in enumerate(sessions, start=1):
            rows.append(row | {"session_number": number})
    return rows


def events_by_session(events: list[Row], timeout: timedelta) -> dict[str, list[Row]]:
    """One user's events by session_id, their own or that of their gap session."""
    sessions = defaultdict(list)
    derived_id, latest = "", EPOCH
    for event in sorted(events, key=lambda event: event["timestamp"]):
        at, session_id = event["timestamp"], event["session_id"]
        if session_id is None:
            if not derived_id or at - latest > timeout:
                derived_id = f"{event['user_id']}-{(at - EPOCH) // MICROSECOND}"
            session_id, latest = derived_id, at
        sessions[session_id].append(event)
    return sessions


def session_row(
    session_id: str, events: list[Row], user: Row, video_by_id: dict[str, Row]
) -> Row:
    """One session, without its number."""

    def times(name: str) -> list[datetime]:
        return [event["timestamp"] for event in events if event["event_name"] == name]

    def first(column: str) -> Any:
        """The value at the earliest event that has one; at equal times the smallest."""
        known = [event for event in events if event[column] is not None]
        values = [(event["timestamp"], event[column]) for event in known]
        return min(values)[1] if values else None

    everything = [event["timestamp"] for event in events]
    watched = [e["value"] or 0 for e in events if e["event_name"] == "watch_time"]
    start = min(times("session_start") or everything)
    ends = [at for at in times("session_end") if at >= start]
    video = video_by_id.get(first("video_id") or "", dict.fromkeys(VIDEOS))
    return {
        "user_id": events[0]["user_id"],
        "session_id": session_id,
        "session_start_ts": start,
        "start_observed": bool(times("session_start")),
        "session_end_ts": max(ends or everything),
        "total_watch_time_s": min(math.floor(sum(watched)), 2**63 - 1),
        "event_count": len(events),
        "has_heart": int(bool(times("heart"))),
        "has_like": int(bool(times("like"))),
        **{column: first(column) for column in SESSION_TEXTS},
        "first_video_id": first("video_id"),
        "first_video_title": video["title"],
        "first_genre": video["genre"],
        "first_video_duration_s": video["duration_seconds"],
        **{column: user[column] for column in USERS if column != "user_id"},
    }


def fact_user_session(sessions: list[Row], playback: list[Row]) -> list[Row]:
    """Every session, with its success and retention."""
    newest = max((event["timestamp"] for event in playback), default=EPOCH)
    rows = []
    for row, later in zip(sessions, [*sessions[1:], {}], strict=False):
        next_one = later if later.get("user_id") == row["user_id"] else {}
        start, next_start = row["session_start_ts"], next_one.get("session_start_ts")
        retained = next_start is not None and next_start - start <= THREE_DAYS
        outcome = {
            "reached_30s": int(row["total_watch_time_s"] >= 30),
            "dropoff_under_10s": int(row["total_watch_time_s"] < 10),
            "next_session_start_ts": next_start,
            "next_session_number": next_one.get("session_number"),
            "retained_next_session_within_3d": int(retained),
            "retention_observed": retained or newest - start >= THREE_DAYS,
        }
        rows.append(row | outcome)
    return rows


# Conversion


def year_week(day: date) -> str:
    """ISO year and week, as in 2020-53."""
    year, week, _ = day.isocalendar()
    return f"{year:04d}-{week:02d}"


def weeks_by_user(rows: list[Row], zone: ZoneInfo) -> dict[str, list[date]]:
    """The weeks of each user's events, as their Mondays, in time order."""
    weeks: dict[str, list[date]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["time"]):
        day = local_day(row["time"], zone)
        weeks[row["initiator_id"]].append(day - timedelta(days=day.weekday()))
    return weeks


def has_ended(week: date, newest_day: date) -> bool:
    """Whether the newest app event is on a day after the Sunday of a week."""
    return week + timedelta(days=6) < newest_day


def weekly_summary(
    cohorts: dict[date, list[str]],
    loaded: dict[str, list[date]],
    newest_day: date,
    settings: ReferenceSettings,
) -> list[Row]:
    """The users of each registration week who converted, by a first or any load."""
    deciding = slice(1) if settings.conversion_mode == "first" else slice(None)
    rows = []
    for start, members in cohorts.items():
        wanted = start + timedelta(weeks=settings.conversion_week_offset)
        converted = sum(wanted in loaded.get(user, [])[deciding] for user in members)
        percent = Fraction(100 * converted, len(members))
        row = {
            "week_start": start,
            "total_registered": len(members),
            "total_converted": converted,
            "conversion_rate": math.floor(percent + Fraction(1, 2)),
            "is_complete": has_ended(wanted, newest_day),
            "registration_week": year_week(start),
        }
        rows.append(row)
    return rows


def weekly_retention(
    cohorts: dict[date, list[str]],
    loaded: dict[str, list[date]],
    newest_day: date,
    settings: ReferenceSettings,
) -> list[Row]:
    """The users who came back, for each registration week and each week since."""
    rows = []
    for start, members in cohorts.items():
        for weeks_after in range(settings.retention_weeks + 1):
            week = start + timedelta(weeks=weeks_after)
            if week > newest_day:
                break
            is_complete = has_ended(week, newest_day)
            active = sum(week in loaded.get(user, []) for user in members)
            row = {
                "week_start": start,
                "weeks_after": weeks_after,
                "total_registered": len(members),
                "active_users": active,
                "retention_rate": active / len(members) if is_complete else None,
                "is_complete": is_complete,
                "registration_week": year_week(start),
            }
            rows.append(row)
    return rows
