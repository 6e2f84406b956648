"""The table that a line belongs to, or the reason to reject it."""

import codecs
import gzip
import json
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from itertools import chain, product
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from jobs.engine import Engine
from jobs.errors import InputError
from jobs.events_split import model
from jobs.events_split.attributes import read_attributes
from jobs.events_split.job import Judge, line_account
from jobs.fields import FIELDS
from jobs.ledger import LineAccount
from jobs.lines.files import EventFile, listed
from jobs.storage.inputs import find_inputs
from jobs.tables import APP_LOADED, PLAYBACK_EVENTS, USERS, VIDEOS
from jobs.zones import UTC_OFFSETS
from tests.support.engine import collected, micros

APP = {"event": "app_loaded", "timestamp": "2021-01-01T00:00:00Z", "initiator_id": 1}
MARK = codecs.BOM_UTF8
LIMITS = (micros("2000-01-01T00:00:00Z"), micros("2100-01-01T00:00:00Z"))
PLAYBACK = {
    "event_name": "watch_time",
    "timestamp": "2021-01-01T00:00:00Z",
    "user_id": "u",
    "value": 5,
}


@pytest.fixture
def judged(engine: Engine, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Judges lines; gives a row per line, in their order.

    DuckDB judges lines for both engines, so CI tries these tests with one of them.
    """

    def judge(*lines: str | bytes | dict[str, Any]) -> list[dict[str, Any]]:
        folder = tmp_path / "in"
        folder.mkdir()
        # No engine keeps the order of lines, so each line has a file.
        for i, line in enumerate(lines):
            text = json.dumps(line) if isinstance(line, dict) else line
            content = text.encode() if isinstance(text, str) else text
            (folder / f"{i:04}.jsonl").write_bytes(content)
        files = [listed(path, folder) for path in sorted(folder.iterdir())]
        rows = engine.read_lines(files, FIELDS, with_verdict).rows
        names = rows.columns
        verdicts = [
            dict(zip(names, row, strict=True)) for row in collected(engine, rows)
        ]
        return sorted(verdicts, key=lambda verdict: verdict["source_file"])

    return judge


def files_in(folder: Path) -> Sequence[EventFile]:
    """The event files at a path."""
    return find_inputs(str(folder), folder.parent / "out").event_files


def with_verdict(lines: Any, _: Any) -> Any:
    """A rule that judges lines, and keeps every field and the outcome."""
    return (
        lines.transform(model.with_typed_fields, UTC_OFFSETS)
        .withColumn("reason", model.rejection(*LIMITS))
        .withColumns({"outcome": model.outcome(), "detail": model.detail()})
        .withColumn("raw", F.when(model.is_rejected(), F.col("raw")))
    )


def as_read(lines: Any, _: Any) -> Any:
    """A rule that rejects what is no object, and keeps every line as ``line``."""
    is_rejected = ~F.col("is_object")
    return lines.withColumns(
        {"line": F.col("raw"), "raw": F.when(is_rejected, F.col("raw"))}
    )


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["detail"] or row["outcome"] for row in rows]


def test_a_line_belongs_to_the_table_of_its_family(judged):
    lines = [
        APP,
        APP | {"event": "registered"},
        PLAYBACK,
        PLAYBACK | {"event": "registered"},
        APP | {"event_name": ""},
    ]
    assert verdicts(judged(*lines)) == [
        "app_loaded",
        "user_registration",
        "playback_events",
        "playback_events",
        "app_loaded",
    ]


def test_an_app_event_of_another_name_is_ignored_by_name(judged):
    other = {"event": "page_view", "timestamp": "never"}
    assert [(r["outcome"], r["detail"]) for r in judged(other)] == [
        ("ignored", "page_view")
    ]


MALFORMED = [
    '{"event": "app_loaded"',
    '{"event": "app_loaded"} trailing',
    '{"event": "app_loaded"}{"event": "app_loaded"} trailing',
    '{"event": "app_loaded"},{"event": "app_loaded"}',
    '{"event": "app_loaded"}]',
    '[5, {"event": "app_loaded"}]',
    "5",
    '"app_loaded"',
    "null",
    "{'event': 'app_loaded'}",
    '{event: "app_loaded"}',
    '{"event": "app_loaded",,}',
    '{"event": "app_loaded", "other": [, ]}',
    '{"event": "app_loaded", "other": nan}',
    '{"event": "app_loaded", "other": [-NaN]}',
    '{"event": "app_loaded", "other": 01}',
    '{"event": "app_loaded", "other": "a\tb"}',
    '{"event": "app_loaded", "other": "\\ud800"}',
    "plain text",
]


def test_a_line_that_is_not_one_json_object_is_malformed(judged):
    assert verdicts(judged(*MALFORMED)) == ["malformed_json"] * len(MALFORMED)


def test_json_of_any_layout_is_read(judged):
    lines = [
        ' \t{ "event" : "app_loaded" , "timestamp":"2021-01-01T00:00:00Z",'
        '"initiator_id":\t1 }  ',
        json.dumps(APP | {"context": {"a": [1, {"b": None}]}}),
        json.dumps(APP | {"event": "app_loaded"}).replace("app", "\\u0061pp"),
        json.dumps(APP).replace('"event"', '"\\u0065vent"'),
        "\ufeff" + json.dumps(APP),
    ]
    assert verdicts(judged(*lines)) == ["app_loaded"] * len(lines)


def test_the_first_value_of_a_repeated_key_counts(judged):
    [row] = judged('{"event": "a", "event": "registered", "\\u0065vent": null}')
    assert (row["outcome"], row["detail"]) == ("ignored", "a")


def test_the_first_broken_rule_is_the_reason(judged):
    broken = [
        {"timestamp": "x", "initiator_id": "x"},
        {"event": "", "event_name": None},
        {"event": "registered", "timestamp": "x", "initiator_id": []},
        {"event": "registered", "timestamp": APP["timestamp"], "initiator_id": []},
        {"event": "registered", "timestamp": APP["timestamp"], "initiator_id": " "},
        {"event_name": "like", "timestamp": "x", "value": -1},
        {"event_name": "like", "timestamp": APP["timestamp"], "value": -1},
        PLAYBACK | {"user_id": True, "value": -1},
        {
            "event_name": "like",
            "timestamp": APP["timestamp"],
            "user_id": "u",
            "value": -1,
        },
    ]
    assert verdicts(judged(*broken)) == [
        "missing_event",
        "missing_event",
        "invalid_timestamp",
        "invalid_initiator_id",
        "missing_initiator_id",
        "invalid_timestamp",
        "missing_user_id",
        "invalid_user_id",
        "invalid_value",
    ]


TIMESTAMPS: dict[Any, str] = {
    "2021-01-01T00:00:00Z": "2021-01-01T00:00:00Z",
    "2021-01-01 00:00:00": "2021-01-01T00:00:00Z",
    "2021-01-01T00:00:00.5": "2021-01-01T00:00:00.500000Z",
    "2021-01-01T00:00:00.123456789Z": "2021-01-01T00:00:00.123456Z",
    "2021-01-01 00:00:00.999999999": "2021-01-01T00:00:00.999999Z",
    "2021-01-01T05:30:00+05:30": "2021-01-01T00:00:00Z",
    "2020-12-31 16:00:00.25-08:00": "2021-01-01T00:00:00.250000Z",
    "2021-01-01T17:59:00+17:59": "2021-01-01T00:00:00Z",
    "2000-01-01T00:00:00Z": "2000-01-01T00:00:00Z",
    "1999-12-31T23:00:00-01:00": "2000-01-01T00:00:00Z",
    "2099-12-31T23:59:59.999999Z": "2099-12-31T23:59:59.999999Z",
    "2021-03-14T02:30:00Z": "2021-03-14T02:30:00Z",
    # Other spellings
    " \t2021-01-01T00:00:00Z \t": "2021-01-01T00:00:00Z",
    "2021-01-01t00:00:00z": "2021-01-01T00:00:00Z",
    "2021-01-01 \t 00:00:00": "2021-01-01T00:00:00Z",
    "2021-01-01T00:00": "2021-01-01T00:00:00Z",
    "2021-01-01T00:00Z": "2021-01-01T00:00:00Z",
    "2021-01-01T00:00:00,25Z": "2021-01-01T00:00:00.250000Z",
    "2021-01-01 00:00:00 UTC": "2021-01-01T00:00:00Z",
    "2021-01-01 00:00:00GMT": "2021-01-01T00:00:00Z",
    "2021-01-01 00:00 Z": "2021-01-01T00:00:00Z",
    "2021-01-01T05:30:00+0530": "2021-01-01T00:00:00Z",
    "2021-01-01T05:30:00 +05:30": "2021-01-01T00:00:00Z",
    "2020-12-31T19:00:00.1-05": "2021-01-01T00:00:00.100000Z",
    "20210101T000000Z": "2021-01-01T00:00:00Z",
    "20210101 0000": "2021-01-01T00:00:00Z",
    "20210101t053000,5+0530": "2021-01-01T00:00:00.500000Z",
    # Since 1970
    1609459200: "2021-01-01T00:00:00Z",
    "1609459200": "2021-01-01T00:00:00Z",
    " 1609459200 ": "2021-01-01T00:00:00Z",
    1609459200.25: "2021-01-01T00:00:00.250000Z",
    "1609459200.1234567890123": "2021-01-01T00:00:00.123456Z",
    "1.6094592e9": "2021-01-01T00:00:00Z",
    1609459200000: "2021-01-01T00:00:00Z",
    1609459200000.5: "2021-01-01T00:00:00.000500Z",
    1609459200123456: "2021-01-01T00:00:00.123456Z",
    1609459200123456789: "2021-01-01T00:00:00.123456Z",
}
NO_TIMESTAMPS: dict[str, list[Any]] = {
    "invalid_timestamp": [
        "2021-02-30T00:00:00Z",
        "2021-01-01",
        "2021-01-01T24:00:00Z",
        "2021-01-01T00:60:00Z",
        "2021-01-01T00:00:60Z",
        "2021-01-01T00:00.5Z",
        "2021-01-01T00:00:00.Z",
        "2021-01-01T00:00:000Z",
        "2021-01-01T00:00:00+18:00",
        "2021-01-01T00:00:00+00:60",
        "2021-01-01T00:00:00+5",
        "2021-01-01T00:00:00  Z",
        "2021-01-01T00:00:00utc",
        "2021-01-01T00:00:00Z\n",
        "2021-01-01T00:00:00\n",
        "1609459200\n",
        "2021-1-1T00:00:00Z",
        "20210101T00:00:00Z",
        "2021-01-01T000000Z",
        "0x10",
        "1_000",
        "now",
        True,
        [],
        {"a": 1},
    ],
    "missing_timestamp": ["", " \t", None],
    "past_timestamp": [
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:30:00+01:00",
        "0000-01-01T00:00:00Z",
        0,
        -1,
        946684799.999999,
        "-1e400",
    ],
    "future_timestamp": [
        "2100-01-01T00:00:00Z",
        "9999-12-31T23:59:59-17:59",
        4102444800,
        10**40,
        "1e400",
    ],
}


def test_a_timestamp_is_an_instant_in_utc_cut_to_microseconds(judged):
    rows = judged(*(APP | {"timestamp": written} for written in TIMESTAMPS))
    found = [(row["detail"], row["instant"]) for row in rows]
    assert found == [(None, micros(instant)) for instant in TIMESTAMPS.values()]


@pytest.mark.parametrize("reason", NO_TIMESTAMPS)
def test_anything_else_is_no_timestamp(judged, reason):
    written = NO_TIMESTAMPS[reason]
    rows = judged(*(APP | {"timestamp": each} for each in written))
    assert dict(zip(map(str, written), verdicts(rows), strict=True)) == dict.fromkeys(
        map(str, written), reason
    )


# JSON tokens of ids, and the text of the id.
IDS = {
    '"u"': "u",
    '"üñ😀"': "üñ😀",
    '" u\\t"': "u",
    '"\\t u\\u0020"': "u",
    '"7"': "7",
    '"007"': "007",
    '"1.0"': "1.0",
    '"\\u0075ndefine"': "undefine",
    '"NULL"': "NULL",
    "7": "7",
    "-7": "-7",
    "-0": "-0",
    "101.0": "101",
    "101.00": "101",
    "1.50": "1.50",
    "1e3": "1e3",
    "9007199254740993": "9007199254740993",
    "1" + "0" * 40: "1" + "0" * 40,
    "1" + "0" * 40 + ".0": "1" + "0" * 40,
}
NO_IDS = [
    *("null", '""', '" "', '"\\t"', '" \\u0020"', '"null"', '"undefined"', '" None"'),
    *('"NaN"', '"(null)\\t"', '"n\\u0075ll"', "NaN", "Infinity", "-Infinity"),
]
INVALID_IDS = ["true", "false", "[]", '["u"]', '{"id": 1}', "{}"]
OPTIONAL_IDS = ("account_id", "video_id", "session_id", "event_id")


def with_tokens(event: dict[str, Any], field: str, tokens: Sequence[str]) -> list[str]:
    """The event as a line for each token, which is the value of a field."""
    line = json.dumps(event | {field: "?"})
    return [line.replace('"?"', token) for token in tokens]


def test_an_id_is_a_text_or_a_number_as_it_is_written(judged):
    fields = ("user_id", "initiator_id", *OPTIONAL_IDS)
    rows = judged(
        *chain.from_iterable(
            with_tokens(APP if field == "initiator_id" else PLAYBACK, field, list(IDS))
            for field in fields
        )
    )
    expected = [(field, each) for field in fields for each in IDS.values()]
    found = zip(expected, rows, strict=True)
    assert [(field, row[field]) for (field, _), row in found] == expected
    assert {row["reason"] for row in rows} == {None}


def test_a_line_without_its_users_id_says_so(judged):
    registration = APP | {"event": "registered"}
    lines = [
        *with_tokens(PLAYBACK, "user_id", NO_IDS),
        *with_tokens(registration, "initiator_id", NO_IDS),
    ]
    assert verdicts(judged(*lines)) == (
        ["missing_user_id"] * len(NO_IDS) + ["missing_initiator_id"] * len(NO_IDS)
    )


def test_anything_else_is_an_invalid_id(judged):
    lines = [
        *with_tokens(PLAYBACK, "user_id", INVALID_IDS),
        *with_tokens(APP, "initiator_id", INVALID_IDS),
    ]
    assert verdicts(judged(*lines)) == (
        ["invalid_user_id"] * len(INVALID_IDS)
        + ["invalid_initiator_id"] * len(INVALID_IDS)
    )


def test_an_id_that_an_event_does_not_need_may_be_anything(judged):
    tokens = [*INVALID_IDS, "null", '" "', "NaN"]
    lines = [
        line for field in OPTIONAL_IDS for line in with_tokens(PLAYBACK, field, tokens)
    ]
    rows = judged(*lines)
    assert verdicts(rows) == ["playback_events"] * len(lines)
    assert {row[field] for row in rows for field in OPTIONAL_IDS} == {None}


def test_only_session_and_event_ids_may_mean_none(judged):
    [row] = judged(PLAYBACK | dict.fromkeys(OPTIONAL_IDS, "undefined"))
    assert [row[field] for field in OPTIONAL_IDS] == [*["undefined"] * 2, None, None]


def test_a_load_of_nobody_known_is_ignored_and_nothing_else_of_it_is_judged(judged):
    lines = with_tokens(APP | {"timestamp": "today"}, "initiator_id", NO_IDS)
    rows = judged(*lines)
    assert [row["outcome"] for row in rows] == ["ignored"] * len(lines)
    assert verdicts(rows) == ["app_loaded (anonymous)"] * len(lines)


# JSON tokens of values, and the amount.
VALUES = {
    "12": "12",
    "12.99": "12.99",
    "0": "0",
    "-0": "0",
    "-0.0": "0",
    "1e3": "1000",
    "1.5E1": "15",
    "1234567.8e-7": "0.123456",
    "0.0000019": "0.000001",
    "0.0000009": "0",
    "1e-400": "0",
    "0e999999999999": "0",
    "29.999999999999999999": "29.999999",
    "123456789012.123456": "123456789012.123456",
    "999999999999.9999999": "999999999999.999999",
    '"35"': "35",
    '" 007.50\\t"': "7.5",
    '"12.3456789"': "12.345678",
    '"1.5e1"': "15",
    '"-0"': "0",
    '"3\\u0035"': "35",
}


def test_a_value_is_a_number_cut_to_six_digits(judged):
    rows = judged(*with_tokens(PLAYBACK, "value", list(VALUES)))
    assert [row["value"] for row in rows] == list(map(Decimal, VALUES.values()))
    assert verdicts(rows) == ["playback_events"] * len(rows)


def test_a_value_may_be_missing(judged):
    tokens = ["null", '""', '" \\t"', "NaN", "Infinity", "-Infinity"]
    rows = judged(*with_tokens(PLAYBACK, "value", tokens))
    assert [row["value"] for row in rows] == [None] * len(tokens)
    assert verdicts(rows) == ["playback_events"] * len(tokens)


def test_anything_else_is_no_value(judged):
    written = ["-1", "-0.5", '"NaN"', '"null"', '"abc"', "true", "[1]", '{"a": 1}']
    written += ["1e400", "1000000000000", "1e12", '"+5"', '".5"', '"5."', '"0x10"']
    written += ['"1 000"', '"1,5"', '"-1e-9"']
    assert verdicts(judged(*with_tokens(PLAYBACK, "value", written))) == (
        ["invalid_value"] * len(written)
    )


def test_trailing_commas_and_bare_constants_are_taken(judged):
    line = json.dumps(PLAYBACK)[:-1]
    taken = [
        line + ",}",
        line + ' , "tags": ["a",\t], "more": {"b": 1 ,} }',
        line + ', "score": NaN}',
        line + ', "device": NaN, "country": -Infinity}',
        line + ', "scores": [NaN, Infinity], "text": "x: NaN, y"}',
    ]
    taken.append(line + ', "device": "NaN", "country": ": NaN, \\"", "score": NaN}')
    rows = judged(*taken)
    assert verdicts(rows) == ["playback_events"] * len(taken)
    assert [row["device"] for row in rows] == [*[None] * 5, "NaN"]


def test_other_commas_and_constants_are_malformed(judged):
    line = json.dumps(PLAYBACK)[:-1]
    lines = [
        line + end for end in (",,}", ', "a": [,]}', ', "a": {,}}', ', "a": [1,,]}')
    ]
    lines += [
        f'{line}, "a": {constant}}}'
        for constant in ("nan", "-NaN", "inf", "+Infinity", "INFINITY", "[nan]")
    ]
    assert verdicts(judged(*lines)) == ["malformed_json"] * len(lines)


def test_a_text_field_takes_numbers_and_booleans_as_they_are_written(judged):
    written = ['"1.50"', "1.50", "7", "-0", "1e3", "12345678.5", "true", "null", '""']
    written += ["[1]", '{"a": 1}', '"a\\"b\\\\c\\/\\u00e9\\n"', '"O\'Brien; --"']
    line = json.dumps(PLAYBACK | {"app_version": "?"})
    rows = judged(*(line.replace('"?"', w) for w in written))
    assert [row["app_version"] for row in rows] == (
        [
            "1.50",
            "1.50",
            "7",
            "-0",
            "1e3",
            "12345678.5",
            "true",
            None,
            None,
            None,
            None,
            'a"b\\c/é\n',
            "O'Brien; --",
        ]
    )


def test_a_number_keeps_its_digits_wherever_it_is_in_a_line(judged):
    numbers = ("1.50", "1e3", "-2.50E-7")
    keys = ("app_version", "app\\u005fversion")
    colons = (":", " :", "\t:\t")
    ends = ("}", " }", '\t, "x": 1}', ',"timestamp":"2021-01-01 10:00:00.5 "}')
    rows = judged(
        *(
            f'{{"{key}"{colon}{number}{end}'
            for number, key, colon, end in product(numbers, keys, colons, ends)
        )
    )
    each = len(keys) * len(colons) * len(ends)
    assert [row["app_version"] for row in rows] == [
        number for number in numbers for _ in range(each)
    ]


def test_lines_may_have_any_line_end_and_blank_ones_do_not_count(
    engine, tmp_path, rows_of
):
    (tmp_path / "in").mkdir()
    content = b'\xef\xbb\xbf{"event": "a"}\r\n\r\n \t\n\n{"event": "b"}\n{"event": "c"}'
    (tmp_path / "in" / "a b [1].json").write_bytes(content)
    (tmp_path / "in" / "ü+%20.ndjson.gz").write_bytes(gzip.compress(b"\n{}\r\n[]\n"))
    rows = engine.read_lines(files_in(tmp_path / "in"), FIELDS, as_read).rows
    assert rows_of(rows.select("source_file", "line", "is_object")) == sorted(
        [
            ("in/a b [1].json", '{"event": "a"}', True),
            ("in/a b [1].json", '{"event": "b"}', True),
            ("in/a b [1].json", '{"event": "c"}', True),
            ("in/ü+%20.ndjson.gz", "{}", True),
            ("in/ü+%20.ndjson.gz", "[]", False),
        ],
        key=repr,
    )


def test_a_line_with_bad_utf_8_is_malformed_and_stored_with_replacements(judged):
    good = json.dumps(APP).encode()
    rows = judged(
        good[:-1] + b', "x": "\xff\xe2\x82"}',
        good + b"\xc3",
        b"\xff\xff{\x00}\x00",
        MARK + MARK + MARK[2:] + good,
        MARK + MARK + MARK[:1] + good,
        MARK + MARK + good,
    )
    assert verdicts(rows) == ["malformed_json"] * 5 + ["app_loaded"]
    assert rows[0]["raw"] == json.dumps(APP)[:-1] + ', "x": "\ufffd\ufffd"}'
    assert rows[1]["raw"] == json.dumps(APP) + "\ufffd"
    assert rows[2]["raw"] == "\ufffd\ufffd{\0}\0"
    assert rows[3]["raw"] == rows[4]["raw"] == "\ufffd" + json.dumps(APP)


def test_a_line_that_needs_exact_reading_changes_no_other_line(
    engine, tmp_path, rows_of
):
    (tmp_path / "in").mkdir()
    long = '{"event": "' + "x" * 3_000_000 + '"}'
    for name, content in {
        "a.json": b'{"event": "a"}\r\n\xff\n\n{"event": "b"}',
        'new\nline, "quoted".json': b"\xff\r\x00",
        "packed.json.gz": gzip.compress(b'{"event": "c"}\n\xff'),
        "long.json": f"{long}\n{{}}\n".encode(),
        "noncharacter.json": '{"event": "\U0010ffff"}\nx\U0010ffff\U0010ffff'.encode(),
        "plain.json": b'{"event": "d"}',
    }.items():
        (tmp_path / "in" / name).write_bytes(content)
    rows = engine.read_lines(files_in(tmp_path / "in"), FIELDS, as_read).rows
    assert rows_of(rows.select("source_file", "line", "event")) == sorted(
        [
            ("in/a.json", '{"event": "a"}', "a"),
            ("in/a.json", "\ufffd", None),
            ("in/a.json", '{"event": "b"}', "b"),
            ('in/new\nline, "quoted".json', "\ufffd", None),
            ('in/new\nline, "quoted".json', "\0", None),
            ("in/packed.json.gz", '{"event": "c"}', "c"),
            ("in/packed.json.gz", "\ufffd", None),
            ("in/long.json", long, "x" * 3_000_000),
            ("in/long.json", "{}", None),
            ("in/noncharacter.json", '{"event": "\U0010ffff"}', "\U0010ffff"),
            ("in/noncharacter.json", "x\U0010ffff\U0010ffff", None),
            ("in/plain.json", '{"event": "d"}', "d"),
        ],
        key=repr,
    )


def test_nul_is_text_where_it_is_escaped_and_malformed_where_it_is_not(judged):
    rows = judged(
        '{"event": "a\\u0000b"}',
        '{"event": "\\u0000"}',
        '{"event": "a\0b"}',
        '{"event": "a"}\0',
    )
    assert [row["detail"] for row in rows] == [
        "a\0b",
        "\0",
        "malformed_json",
        "malformed_json",
    ]


def test_a_key_that_only_late_lines_have_is_read(engine, tmp_path, rows_of):
    (tmp_path / "in").mkdir()
    lines = ['{"event": "page_view"}'] * 60_000
    lines.append(json.dumps(PLAYBACK | {"country": "NZ"}))
    (tmp_path / "in" / "a.json").write_text("\n".join(lines))
    judged = engine.read_lines(
        files_in(tmp_path / "in"), FIELDS, Judge(None, *LIMITS)
    ).rows
    rows = model.event_rows(judged, PLAYBACK_EVENTS, UTC_OFFSETS)
    assert rows_of(rows.select("user_id", "country")) == [("u", "NZ")]


NAMES = (
    "it's.json",
    'say "x".json',
    "a%20b+c.json",
    "day=2021 {a,b}.json",
    "new\nline.json",
    "x..json",
    "[a]*?.json",
    "ü😀.json",
    "back\\slash.json",
    "12:30.json",
    "#;$(x)`.json",
)


def test_files_may_have_any_name(engine, tmp_path, rows_of):
    folder = tmp_path / "country=X [1] 'q'"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text('{"event": "a"}')
    rows = engine.read_lines(files_in(folder), FIELDS, as_read).rows
    assert rows_of(rows.select("source_file", "event")) == sorted(
        ((f"{folder.name}/{name}", "a") for name in NAMES), key=repr
    )
    files = [file for name in NAMES for file in files_in(folder / name)]
    rows = engine.read_lines(files, FIELDS, as_read).rows
    assert rows_of(rows.select("source_file", "event")) == sorted(
        ((name, "a") for name in NAMES), key=repr
    )


def test_a_file_that_vanishes_while_it_is_read_is_named(engine, tmp_path, rows_of):
    (tmp_path / "in").mkdir()
    for name in ("a.json", "b.json"):
        (tmp_path / "in" / name).write_text('{"event": "a"}')

    def as_read_too_late(lines, rewrite):
        (tmp_path / "in" / "b.json").unlink(missing_ok=True)
        return as_read(lines, rewrite)

    with pytest.raises(Exception) as failed:  # each engine raises another error
        files = files_in(tmp_path / "in")
        rows_of(engine.read_lines(files, FIELDS, as_read_too_late).rows)
    error = engine.to_run_error(failed.value)
    assert isinstance(error, InputError)
    assert str(error).startswith(f"{tmp_path}/in/b.json: ")


def test_equal_rows_are_stored_once_whatever_their_dropped_fields_are(table, rows_of):
    schema = (
        "reason STRING, event_name STRING, event STRING, instant TIMESTAMP,"
        " initiator_id STRING, event_id STRING, device_type STRING"
    )
    load = [None, None, "app_loaded", "2021-01-01T00:00:00Z", "1", None, None]
    other = [*load[:6], "phone"]
    lines = table(schema, [load, load, other, other, load])
    rows = model.event_rows(lines, APP_LOADED, UTC_OFFSETS)
    assert rows_of(rows.select("initiator_id", "device_type")) == [
        ("1", "phone"),
        ("1", None),
    ]


def test_no_lines_give_no_rows(engine, tmp_path, rows_of):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("\n \t\n\ufeff\n")
    judged = engine.read_lines(
        files_in(tmp_path / "in"), FIELDS, Judge(None, *LIMITS)
    ).rows
    assert engine.collect(model.tally(model.counted(judged)), model.Tally) == []
    assert rows_of(model.event_rows(judged, PLAYBACK_EVENTS, UTC_OFFSETS)) == []


def test_lines_in_excess_of_the_rows_of_their_table_are_duplicates():
    tally = [
        model.Tally("user_registration", None, 3, 0),
        model.Tally("playback_events", None, 2, 0),
        # An ignored event may have the name of a table or of another outcome.
        model.Tally("ignored", "playback_events", 5, 0),
        model.Tally("ignored", "rejected", 7, 0),
        model.Tally("rejected", "malformed_json", 11, 0),
    ]
    stored = {"user_registration": 1, "app_loaded": 0, "playback_events": 2}
    account = line_account(tally, stored)
    assert account == LineAccount(
        read=28,
        stored=stored,
        duplicates={"user_registration": 2, "app_loaded": 0, "playback_events": 0},
        ignored={"playback_events": 5, "rejected": 7},
        rejected={"malformed_json": 11},
    )
    assert account.read == sum(lines for _, _, lines in account.entries())


def test_the_account_of_no_lines_is_empty():
    nothing = {"app_loaded": 0}
    assert line_account([], nothing) == LineAccount(0, nothing, nothing, {}, {})


def test_the_greatest_row_of_each_user_stays(engine, tmp_path, rows_of):
    (tmp_path / "users.csv").write_text(
        "gender,user_id,signup_date,extra,age_group,subscription_tier\n"
        "f,u1,2021-01-01,x,18-24,free\n"
        "f,u1,2021-01-02,x,,free\n"
        "m,u1,2021-01-02,x,18-24,\n"
        'f,"u,2",2021-02-30,x,"18""24",\n'
        "f,,2021-01-01,x,18-24,free\n"
        "f,u3\n"
        'f,u4,"2021-01-01\n"\n'
    )
    users = read_attributes(engine, USERS, tmp_path / "users.csv")
    rows = model.users(users.rows)
    assert rows_of(rows) == [
        ("u,2", None, None, '18"24', "f"),
        ("u1", date(2021, 1, 2), "free", None, "f"),
        ("u3", None, None, None, "f"),
        ("u4", None, None, None, "f"),
    ]


DATES = {
    "2021-01-05": date(2021, 1, 5),
    " 2021-01-05\t": date(2021, 1, 5),
    "2021-01-05T00:00:00": date(2021, 1, 5),
    "2021-01-05 23:59": date(2021, 1, 5),
    "2021-01-05T23:59:59.999-11:00": date(2021, 1, 5),
    "2021-01-05  10:00:00 UTC": date(2021, 1, 5),
    "2020-02-29": date(2020, 2, 29),
    "2021-02-29": None,
    "0000-01-01": None,
    "2021-1-5": None,
    "05/01/2021": None,
    "20210105": None,
    "2021-01-05T24:00:00": None,
    "2021-01-05x": None,
    "\uff12021-01-05": None,
}
DURATIONS = {
    "120": 120,
    "120.9": 120,
    "-1": -1,
    " 5": 5,
    "2147483647": 2147483647,
    "2147483648": None,
    "1e3": None,
    "abc": None,
}


def columns_of(engine, rows_of, folder, table, typed, name, values):
    """The values of a column, and how many cannot be read, with an example."""
    key = table.key[0]
    lines = [f"k{n:02};{text}" for n, text in enumerate([*values, "", " "])]
    path = folder / f"{table.name}.csv"
    path.write_text("\n".join([f"{key};{name}", *lines]))
    rows = read_attributes(engine, table, path).rows
    of_table = {USERS: model.users, VIDEOS: model.videos}[table]
    position = table.column_names.index(name)
    stored = [row[position] for row in rows_of(of_table(rows))]
    unreadable = engine.collect(model.unreadable(rows, name, typed), model.Unreadable)
    return stored, unreadable


def test_a_date_may_have_a_time_after_it_and_any_other_is_counted(
    engine, tmp_path, rows_of
):
    column = USERS, model.day, "signup_date", DATES
    stored, unreadable = columns_of(engine, rows_of, tmp_path, *column)
    assert stored == [*DATES.values(), None, None]
    assert unreadable == [model.Unreadable(8, "0000-01-01")]


def test_a_duration_is_rounded_down_and_any_text_is_counted(engine, tmp_path, rows_of):
    column = VIDEOS, model.whole_int, "duration_seconds", DURATIONS
    stored, unreadable = columns_of(engine, rows_of, tmp_path, *column)
    assert stored == [*DURATIONS.values(), None, None]
    assert unreadable == [model.Unreadable(3, "1e3")]


def test_a_number_as_an_id_has_no_fraction_of_zeros(engine, tmp_path, rows_of):
    ids = ["101.0", "101", " 7.000 ", "-3.0", "1.50", "1.0.0", "x.0", "u1 ", "null", ""]
    path = tmp_path / "users.csv"
    path.write_text("\n".join(["user_id", *ids]))
    users = read_attributes(engine, USERS, path)
    assert [row[0] for row in rows_of(model.users(users.rows))] == (
        ["-3", "1.0.0", "1.50", "101", "7", "u1", "x.0"]
    )
    path = tmp_path / "videos.csv"
    path.write_text("video_id\n101.0\nnull\n")
    videos = read_attributes(engine, VIDEOS, path)
    assert [row[0] for row in rows_of(model.videos(videos.rows))] == ["101", "null"]


def test_ids_of_the_events_are_counted_once_and_nulls_are_none(engine, table, rows_of):
    events = table("user_id STRING", [["u1"], ["u1"], ["u2"], [None], ["U1"]])
    users = table("user_id STRING, gender STRING", [["u1", "f"], ["u3", "m"]])
    known = model.known_ids(events, users, "user_id")
    assert engine.collect(known, model.Ids) == [model.Ids(ids=3, known=1)]
    nobody = model.known_ids(events.where("user_id = 'x'"), users, "user_id")
    assert engine.collect(nobody, model.Ids) == [model.Ids(ids=0, known=0)]


def test_without_a_file_the_attributes_are_empty(engine, rows_of):
    assert rows_of(model.users(read_attributes(engine, USERS, None).rows)) == []
