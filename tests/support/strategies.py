"""Hypothesis strategies for small inputs that are full of corner cases.

They draw from the corpus. An event is a list of keys and JSON tokens until it becomes a
line, so a token can be any text, well formed or not.
"""

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import chain, product
from typing import Literal

from backports import zstd
from hypothesis import strategies as st

from tests.support.corpus import (
    ANCHORS,
    ANY_TOKENS,
    ASTRAL,
    BROKEN_LINES,
    BROKEN_TOKENS,
    EXTRA_KEYS,
    FORMS,
    INITIATOR_IDS,
    NOT_OBJECTS,
    PAUSES,
    PUNCTUATION,
    SESSION_IDS,
    TOKENS_BY_FIELD,
    USER_IDS,
    USERS,
    VALID_SPACING,
    VIDEO_IDS,
    VIDEOS,
    WIDE,
    Form,
)
from tests.support.reference import EPOCH, MICROSECOND, ReferenceSettings

Field = tuple[str, str]
"""A key's text, and its value as a JSON token."""

Instants = Sequence[datetime]
When = tuple[int, Form]
"""The number of an instant, and its form."""

Subject = tuple[str, str, str]
"""An event's name, its user, and its session_id, or APP for an app event."""

Event = tuple[Subject, When, tuple[str, str, str]]
"""The last tuple has a video_id, a value and a text as JSON tokens."""

APP = "an app event"
DERIVED = "the id of a gap session that begins at the first instant"

CHANGES = (
    *("replace", "replace", "replace", "replace", "remove", "repeat", "repeat"),
    *("add", "reverse", "escape key", "escape value"),
)


def settings() -> st.SearchStrategy[ReferenceSettings]:
    """Settings that change rows: time zones, time-outs, conversion and retention."""
    return st.builds(
        ReferenceSettings,
        reporting_timezone=st.sampled_from(
            ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
        ),
        input_timezone=st.sampled_from(
            ("UTC", "UTC", "America/New_York", "Asia/Kolkata", "Africa/Monrovia")
        ),
        session_timeout_minutes=st.sampled_from((30, 1)),
        conversion_mode=st.sampled_from(("first", "any")),
        conversion_week_offset=st.sampled_from((1, 0, 2)),
        retention_weeks=st.sampled_from((12, 2, 0)),
    )


def json_lines() -> st.SearchStrategy[str]:
    """One line of an event file, without its line end: valid, broken or blank."""
    return _lines(_events(_EITHER), ANCHORS)


@st.composite
def event_files(draw: st.DrawFn) -> dict[str, bytes]:
    """A whole input: one to three event files, often users.csv and videos.csv."""
    events = _events(draw(st.sampled_from((_PLAYBACK, _APP, _EITHER))))
    lines = st.lists(_lines(events, draw(_instants())), max_size=9)
    contents = draw(st.lists(lines, min_size=1, max_size=3))
    if written := list(chain(*contents)):
        for again in draw(st.lists(st.sampled_from(written), max_size=3)):
            draw(st.sampled_from(contents)).append(again)
    files: dict[str, bytes] = {}
    for number, content in enumerate(contents, start=1):
        name, newline, at_end, encoding, pack = draw(_FILE_FORMS)
        begin, between, end, key = draw(st.sampled_from(_LAYOUTS))
        text = begin + between.join(content).replace(',"', key) + end
        text = text.replace("\n", newline) + newline * at_end
        files[name.format(number)] = pack(_bytes(text, encoding))
    if draw(_OFTEN):
        files["users.csv"] = draw(_USERS_CSV)
    if draw(_OFTEN):
        files["videos.csv"] = draw(_VIDEOS_CSV)
    return files


def _bytes(text: str, encoding: str) -> bytes:
    written = text.encode(errors="surrogateescape")
    if encoding == "utf-8":
        return written
    return written.decode(errors="replace").encode(encoding)


# Instants and lines


_PACKINGS: tuple[Callable[[bytes], bytes], ...] = (
    *[bytes] * 3,
    gzip.compress,
    zstd.compress,
    bz2.compress,
)
_NAMES = (
    *("e{}.jsonl", "e{}.json", "e{}.ndjson", "x/e{}.JSON", "day=1/y.json/e{}.jsonl"),
    *("e{}.jsonl.gz", "e{}.txt", "x/part-{}", "e{}.gz"),
)
_FILE_FORMS = st.tuples(
    st.sampled_from(_NAMES),
    st.sampled_from(("\n", "\n", "\r\n", "\r")),
    st.booleans(),
    st.sampled_from(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16")),
    st.sampled_from(_PACKINGS),
)
# The beginning of a file, what stands between two of its events, its end, and a comma
# with what is written before the next key.
_LAYOUTS = (
    *[("", "\n", "", ',"')] * 7,
    ("", "", "", ',"'),
    ("", " ", "\n{}", ',"'),
    ("[", ",\n", "]", ',"'),
    ("\n[ ", " , ", "\n]\n[{}]", ',\n  "'),
    ("[\n", ",\n", ",\n", ',"'),
    ("[{}", "]\n[", "]", ',"'),
    ("{\n}\n", "\n\n", "", ',\n\t"'),
)
_OFTEN = st.sampled_from((False, True, True, True))


@st.composite
def _instants(draw: st.DrawFn) -> Instants:
    """A few instants, many of them exactly one of the pauses apart."""
    instants = [draw(st.sampled_from(ANCHORS))]
    for pause in draw(st.lists(st.sampled_from(PAUSES), max_size=6)):
        instants.append(instants[-1] + pause)
    return instants + draw(st.lists(st.sampled_from(ANCHORS), max_size=1))


def _timestamp(when: When, instants: Instants) -> str:
    """One of the instants as a JSON token, in one of the forms that are accepted."""
    at, (separator, more_digits, offset) = when
    instant = instants[at % len(instants)]
    if isinstance(offset, int):
        instant += timedelta(minutes=offset)
        hours, minutes = divmod(abs(offset), 60)
        offset = f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"
    text = instant.strftime(f"%Y-%m-%d{separator}%H:%M:%S")
    if more_digits:
        text += f".{instant.microsecond:06}{more_digits}"
    elif instant.microsecond:
        text += f".{instant.microsecond:06}".rstrip("0")
    return f'"{text}{offset}"'


def _tokens(*values: str | None) -> tuple[str, ...]:
    return tuple(json.dumps(value, ensure_ascii=False) for value in values)


def _fields(event: Event, instants: Instants) -> list[Field]:
    """The fields of an event, as its producer writes them."""
    (name, user_id, session_id), when, (video_id, value, text) = event
    timestamp = _timestamp(when, instants)
    if session_id == APP:
        return [
            ("event", name),
            ("timestamp", timestamp),
            ("initiator_id", user_id),
            ("channel" if name == '"registered"' else "device_type", text),
            ("browser_version", '"7.1"'),
        ]
    if session_id == DERIVED:
        micros = (instants[0] - EPOCH) // MICROSECOND
        session_id = json.dumps(f"{USER_IDS[0]}-{micros}")
    return [
        ("timestamp", timestamp),
        ("account_id", text),
        ("user_id", user_id),
        ("video_id", video_id),
        ("session_id", session_id),
        ("event_name", name),
        ("value", value),
        ("device", '"phone"'),
        ("device_os", text),
        ("app_version", "1.50" if text == "null" else '"1.5"'),
        ("network_type", '"wifi"'),
        ("ip", '"192.0.2.1"'),
        ("country", '"NZ"'),
    ]


# Values that belong together are one draw, not several. Hypothesis shrinks a list well
# only if each of its elements takes few draws.
_PLAYBACK_NAMES = (
    *("watch_time", "watch_time", "session_start", "session_end", "like", "heart"),
    f"first{ASTRAL}",
)
_APP_NAMES = (*("registered", "app_loaded", "app_loaded") * 3, "clicked", f"p {ASTRAL}")
_PLAYBACK = tuple(
    product(
        _tokens(*_PLAYBACK_NAMES),
        _tokens(USER_IDS[0], *USER_IDS),
        (*_tokens(*[None] * 6, "", *SESSION_IDS * 2), DERIVED),
    )
)
_APP = tuple(product(_tokens(*_APP_NAMES), INITIATOR_IDS, [APP]))
_EITHER = _PLAYBACK + _APP * (len(_PLAYBACK) // len(_APP))
_WHEN = tuple(product(range(8), FORMS))
_DETAILS = tuple(
    product(
        _tokens(*VIDEO_IDS, None),
        ("10", "0", "9", "9.99", "20.0", "29", "30", '""', "null"),
        _tokens("web", "iOS", f"o{WIDE}", f"o{ASTRAL}", "", None),
    )
)


def _events(subjects: tuple[Subject, ...]) -> st.SearchStrategy[Event]:
    return st.tuples(
        st.sampled_from(subjects), st.sampled_from(_WHEN), st.sampled_from(_DETAILS)
    )


@st.composite
def _lines(
    draw: st.DrawFn, events: st.SearchStrategy[Event], instants: Instants
) -> str:
    kind = draw(
        st.sampled_from(("plain",) * 12 + ("changed",) * 6 + ("broken", "other"))
    )
    if kind == "other":
        return draw(st.sampled_from(("", " ", "\t ", *NOT_OBJECTS)))
    fields = _fields(draw(events), instants)
    if kind == "plain":
        return _written(fields)
    if kind == "changed":
        for _ in range(draw(st.integers(1, 2))):
            fields = draw(_changed(fields))
        line = _written(fields, *draw(st.sampled_from(PUNCTUATION)))
        return draw(st.sampled_from(VALID_SPACING)).replace("{}", line)
    return draw(_broken(fields))


def _written(fields: list[Field], comma: str = ",", colon: str = ":") -> str:
    return "{" + comma.join(f'"{key}"{colon}{token}' for key, token in fields) + "}"


def _escaped(text: str) -> str:
    """The contents of a JSON string, with every UTF-16 unit as an escape."""
    units = text.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


@st.composite
def _changed(draw: st.DrawFn, fields: list[Field]) -> list[Field]:
    """The event with a change that leaves it JSON; it may break a rule or not."""
    change = draw(st.sampled_from(CHANGES))
    if change == "reverse":
        return fields[::-1]
    if change == "add":
        added = draw(st.sampled_from(EXTRA_KEYS)), draw(st.sampled_from(ANY_TOKENS))
        return draw(st.sampled_from(([*fields, added], [added, *fields])))
    judged = [at for at, (key, _) in enumerate(fields) if key in TOKENS_BY_FIELD]
    at = draw(st.sampled_from([*range(len(fields)), *judged * 2]))
    key, token = fields[at]
    if change == "escape key":
        changed = [(_escaped(key), token)]
    elif change == "escape value":
        is_text = token.startswith('"') and "\\" not in token
        changed = [(key, f'"{_escaped(token[1:-1])}"' if is_text else token)]
    elif change == "remove":
        changed = []
    else:
        changed = [(key, draw(st.sampled_from(_tokens_for(key))))]
    if change == "repeat":
        return draw(st.sampled_from(([*changed, *fields], [*fields, *changed])))
    return [*fields[:at], *changed, *fields[at + 1 :]]


def _tokens_for(key: str) -> tuple[str, ...]:
    return TOKENS_BY_FIELD.get(key, ()) + ANY_TOKENS


@st.composite
def _broken(draw: st.DrawFn, fields: list[Field]) -> str:
    """A line with the event that is no JSON object, or more than one."""
    defect = draw(st.sampled_from(("around", "token", "cut", "comma", "quote")))
    if defect == "token":
        at = draw(st.integers(0, len(fields)))
        key = fields[at][0] if at < len(fields) else "campaign"
        token = draw(st.sampled_from(BROKEN_TOKENS))
        return _written([*fields[:at], (key, token), *fields[at + 1 :]])
    line = _written(fields)
    if defect == "around":
        return draw(st.sampled_from(BROKEN_LINES)).replace("{}", line)
    if defect == "cut":
        return line[: draw(st.integers(1, len(line) - 1))]
    if defect == "comma":
        commas = (line[:-1] + ",,}", "{," + line[1:], line.replace(",", ",,", 1))
        return draw(st.sampled_from((*commas, line.replace(",", " ", 1))))
    return line.replace('"', "'")


# users.csv and videos.csv


# The delimiter, a blank around each field, and how the header is spelled.
_CSV_FORMS = (
    (",", "", str),
    (",", "", str),
    (",", " ", str.upper),
    (";", "", str.title),
    ("\t", "", str),
    ("|", "\t ", str),
)


def _csv_files(pools: dict[str, tuple[str, ...]]) -> st.SearchStrategy[bytes]:
    """Files with the columns of `pools` in some order, or without one of them.

    The first column is the key. No file lacks it.
    """
    names = list(pools)
    without_one = [[n for n in names if n != name] for name in names[1:]]
    *others, last_but_one, last = pools.values()
    values = st.tuples(
        *map(st.sampled_from, others),
        st.sampled_from(tuple(product(last_but_one, last))),
    ).map(lambda drawn: dict(zip(names, [*drawn[:-1], *drawn[-1]], strict=True)))
    return st.builds(
        _csv_file,
        header=st.sampled_from([*[names] * len(names), names[::-1], *without_one]),
        rows=st.lists(values, max_size=9),
        further=st.sampled_from(([], [], ["note", "Gender"])),
        form=st.sampled_from(_CSV_FORMS),
        quoting=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
        newline=st.sampled_from(("\n", "\r\n")),
        encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    )


def _csv_file(
    header: list[str],
    rows: list[dict[str, str]],
    further: list[str],
    form: tuple[str, str, Callable[[str], str]],
    quoting: Literal[0, 1],
    newline: str,
    encoding: str,
) -> bytes:
    delimiter, blank, spelled = form
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=delimiter, quoting=quoting, lineterminator=newline
    )
    writer.writerow([*further, *(blank + spelled(name) for name in header)])
    for row in rows:
        fields = ["x, y" for _ in further] + [row[name] for name in header]
        writer.writerow([blank + field + blank for field in fields])
    return text.getvalue().encode(encoding)


_USERS_CSV = _csv_files(USERS)
_VIDEOS_CSV = _csv_files(VIDEOS)
