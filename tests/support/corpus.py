"""The fixed texts that inputs are made of: corner cases, and their neighbours.

The pools are tiny, so that users, sessions and instants are often equal. A token is a
JSON value, well formed or not. A surrogate in a text stands for a byte that is not
UTF-8, as in Python.
"""

from datetime import UTC, datetime, timedelta

Form = tuple[str, str, int | str]
"""Separator of date and time, further digits of the fraction, and the offset, in
minutes or as a text."""

# Sorting by code points and by UTF-16 units orders these two differently.
WIDE, ASTRAL = "\uff5e", "\U0001f600"

USER_IDS = ("u1", "u2", f"ü'{ASTRAL}")
INITIATOR_IDS = ("1", "3074457345618261067", "9007199254740993")
VIDEO_IDS = ("v1", "v2", f"v{ASTRAL}")
SESSION_IDS = (f"s{WIDE}", f"s{ASTRAL}")

ANCHORS = tuple(
    datetime.fromisoformat(anchor).replace(tzinfo=UTC)
    for anchor in (
        "2021-01-04",  # Monday, the first ISO week of 2021
        "2021-01-01",  # Friday, still week 2020-53
        "2020-12-28",  # Monday
        "2021-01-11",
        "2021-01-18",
        "2021-01-03T10:59:59.999999",
        "2021-01-06T18:30",  # midnight in Kolkata
        "2021-01-04T05:00",  # Monday 00:00 in New York
        "2021-01-10T11:00",  # Monday 00:00 in Auckland
    )
)
PAUSES = tuple(
    timedelta(minutes=minutes, microseconds=microseconds)
    for minutes in (30, 30, 72 * 60, 7 * 24 * 60, 0, 1, 24 * 60)
    for microseconds in (0, 0, 1, 1, -1)
)
FORMS: tuple[Form, ...] = (
    ("T", "", "Z"),
    (" ", "", ""),
    ("T", "", ""),
    ("T", "999", "Z"),
    (" ", "000", "+00:00"),
    ("T", "9999999999999999", "-00:00"),
    ("T", "", 330),
    (" ", "5", -300),
    ("T", "", 780),
    ("T", "", 23 * 60 + 59),
    ("T", "000", -23 * 60 - 59),
)

NESTED = (
    "{}",
    "[]",
    '{"event_name": "like"}',
    '{"a": {"b": [1, {"c": null}]}}',
    '[1, "x", [true, {}]]',
    "[" * 499 + "]" * 499,
    "[" * 500 + "]" * 500,
    '{"a":' * 1200 + "1" + "}" * 1200,
    "[" * 3000,
    "[[]," * 400 + "1" + "]" * 400,
    '"' + "[{" * 400 + '"',
    "9" * 1500,
    '"' + "x" * 12_000 + '"',
    '{"a":' * 60 + "1" + "}" * 60,
)
ANY_TOKENS = (
    "null",
    '""',
    "true",
    "false",
    "0",
    "-0",
    "7",
    "1.50",
    "1e3",
    "-0.0",
    '"7"',
    '" "',
    '"null"',
    '"a\\u0301 \\u00e9"',
    '"\\u0000"',
    '"a\\u0000b"',
    '"\U0010ffff"',
    '"\U0010ffff x"',
    '"\\ud83d\\ude00"',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"\u2028\u0085\u00a0\ufeff\x7f"',
    *NESTED,
)
TIMESTAMP_TOKENS = (
    '"2021-01-04"',
    '"2021-01-04T00:00Z"',
    '"2021-01-04T00:00:00."',
    '"2021-01-04T00:00:00.Z"',
    '"2021-01-04T00:00:00,5Z"',
    '"2021-01-04t00:00:00Z"',
    '"2021-01-04T00:00:00z"',
    '"2021-01-04  00:00:00"',
    '" 2021-01-04T00:00:00Z"',
    '"2021-01-04T00:00:00Z "',
    '"2021-01-04T00:00:00 Z"',
    '"2021-01-04T00:00:00Z\\n"',
    '"2021-01-04T00:00:00+0530"',
    '"2021-01-04T00:00:00+05"',
    '"2021-01-04T00:00:00+5:30"',
    '"2021-01-04T00:00:00+24:00"',
    '"2021-01-04T00:00:00+00:60"',
    '"2021-01-04T00:00:00+00:00:00"',
    '"2021-01-04T00:00:00 UTC"',
    '"2021-01-04T00:00:00Europe/Paris"',
    '"2021-01-04T24:00:00Z"',
    '"2021-01-04T23:60:00Z"',
    '"2021-01-04T23:59:60Z"',
    '"2021-01-04T0:00:00Z"',
    '"2021-1-4T00:00:00Z"',
    '"2021-02-29T00:00:00Z"',
    '"2021-13-01T00:00:00Z"',
    '"2021-00-10T00:00:00Z"',
    '"2021-01-00T00:00:00Z"',
    '"20210104T000000Z"',
    '"2021-W01-1T00:00:00Z"',
    '"+2021-01-04T00:00:00Z"',
    '"12021-01-04T00:00:00Z"',
    '"2021-01-04T00:00:00.\uff11Z"',
    '"\uff12\uff10\uff12\uff11-01-04T00:00:00Z"',
    '"\\u0032021-01-04T00:00:00Z"',
    '"now"',
    '"epoch"',
    '"infinity"',
    "1609718400",
    '"1609718400"',
    # At both ends of the accepted range, on both sides
    '"1970-01-01T00:00:00Z"',
    '"1969-12-31T23:59:59.999999999Z"',
    '"1969-12-31T23:30:00-00:30"',
    '"1970-01-01T00:29:59.999999+00:30"',
    '"2099-12-31T23:59:59.9999999Z"',
    '"2100-01-01T00:00:00Z"',
    '"2100-01-01T00:29:59.999999+00:30"',
    '"2099-12-31T23:30:00-00:30"',
    '"0000-01-01T00:00:00Z"',
    '"0001-01-01T00:00:00+00:01"',
    '"9999-12-31T23:59:59-00:01"',
)
INITIATOR_TOKENS = (
    "1.0",
    "1e0",
    "-5",
    '"-5"',
    '"+5"',
    '"1"',
    '"007"',
    '" 1"',
    '"1 "',
    '"1\\n"',
    '"1.0"',
    '"1_000"',
    '"0x1"',
    '"\uff11"',
    '"\\u0031"',
    '"9007199254740993"',
    "9223372036854775807",
    '"9223372036854775807"',
    "9223372036854775808",
    '"9223372036854775808"',
    "-9223372036854775808",
    "-9223372036854775809",
    '"' + "0" * 40 + '12"',
    "1" + "0" * 400,
)
VALUE_TOKENS = (
    "0.5",
    "-0.5",
    "-1",
    "1E+1",
    "1e-7",
    "29.999999999999999999",
    "1e400",
    "-1e400",
    "1" + "0" * 400,
    "9007199254740993",
    "9223372036854775808",
    "9.3e18",
    '"5"',
    '"abc"',
)
HUGE_VALUE_TOKENS = ("9223372036854775807", "9.223372036854774784e18")
USER_TOKENS = ('" "', '"u1 "', '"U1"', '"\\u00751"', '"u\\n1"', '"0"')
TOKENS_BY_FIELD = {
    "timestamp": TIMESTAMP_TOKENS,
    "initiator_id": INITIATOR_TOKENS,
    "value": VALUE_TOKENS,
    "user_id": USER_TOKENS,
    "event": (),
    "event_name": (),
    "session_id": (),
}
EXTRA_KEYS = (
    "event",
    "event_name",
    "campaign",
    "",
    "USER_ID",
    "Value",
    "Event_Name",
    "$.event",
    "user_id ",
)

PUNCTUATION = ((",", ":"), (", ", ": "), (" ,\t", "\t: "))
VALID_SPACING = (
    "{}",
    " {}",
    "{} ",
    "\t{}\t",
    "\ufeff{}",
    "\ufeff {}",
    "\ufeff\ufeff{}",
)
BROKEN_LINES = (
    "{} trailing",
    "{}{}",
    "{},",
    "{} {}",
    "[{}]",
    "{};",
    "{} // comment",
    "{}\x0c",
    "\u00a0{}",
    "x{}",
    "({})",
    "{}\x00",
    "\x00{}",
    "{}\udcff",
    "\udcc3{}",
    "{}\U0010ffff",
    "\U0010ffff{}",
    "{}\U0010ffff{}\U0010ffff",
)
NOT_OBJECTS = (
    "\x00",
    "\udcff\udcfe{\x00}\x00",
    "\\N",
    "\U0010ffff",
    "null",
    "true",
    "42",
    '"text"',
    "[]",
    "{",
    "}",
    '{"',
    "event,timestamp",
    "{event: 1}",
    '{"event"}',
    '{"event":}',
    '{"event" "registered"}',
    '{"event": "registered" "timestamp": 1}',
    '{1: "registered"}',
    "\x0c",
    "\u00a0",
    "{}",
    " { } ",
)
BROKEN_TOKENS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "None",
    "True",
    "NULL",
    "undefined",
    "01",
    "+1",
    ".5",
    "5.",
    "1e",
    "0x10",
    "--1",
    "1_000",
    "'x'",
    '"\x00"',
    '"\udcff"',
    '"\udce2\udc82"',
    '"\udced\udca0\udc80"',
    '"\udcf4\udc90\udc80\udc80"',
    '"\udcc0\udc80"',
    '"\t"',
    '"\x1f"',
    '"\\x41"',
    '"\\q"',
    '"\\u12"',
    '"\\u 123"',
    '"\\ud83d"',
    '"\\ude00 "',
    '"\\ud83d\\ud83d\\ude00"',
    '"\\ud83dx\\ude00"',
    '["\\udfff"]',
    '{"\\ud800": 1}',
    "[1,]",
    "[1 2]",
    "[,]",
    '{"a": 1,}',
    "[",
    "]",
    '"open',
    "",
)

TEXTS = (
    "",
    "plain",
    'said "so"',
    "a, b",
    "two\nlines",
    "NULL",
    f"a{WIDE}",
    f"a{ASTRAL}",
)
USERS = {
    "user_id": (*USER_IDS, *USER_IDS, "U1", "u1 ", ""),
    "signup_date": (
        "2020-12-31",
        "2021-01-01",
        "2020-02-29",
        "2021-02-29",
        "2021-1-5",
        "2021-01-05 ",
        "20210105",
        "2021-01-05T00:00:00",
        "31.12.2020",
        "",
    ),
    "subscription_tier": ("free", "premium", *TEXTS),
    "age_group": ("18-24", *TEXTS),
    "gender": ("f", "m", ""),
}
VIDEOS = {
    "video_id": (*VIDEO_IDS, *VIDEO_IDS, "V1", "v1 ", ""),
    "title": TEXTS,
    "genre": ("comedy", "drama", *TEXTS),
    "duration_seconds": (
        "90",
        "90.9",
        "007",
        "-1.5",
        "-0.0",
        "2147483647.9",
        "2147483648",
        "-2147483648",
        "-2147483648.5",
        "1e3",
        "+5",
        " 5",
        "5.",
        ".5",
        "1_000",
        "\uff15",
        "abc",
        "",
    ),
}
