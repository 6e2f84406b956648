"""The exact reading of lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.fields import FIELDS
from jobs.lines.exact import LONG_LINE, plain_line, plain_long_line
from tests.support.timing import grows_no_faster

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def read(line):
    """The fields of a line's plain form that are not null."""
    fields = json.loads(plain_line(line) or "null")
    return {name: value for name, value in fields.items() if value is not None}


@given(st.dictionaries(st.sampled_from(list(FIELDS)) | st.text(), JSON))
def test_any_object_becomes_a_plain_one_of_texts(fields):
    # JSON has no infinite numbers, but 1e999 is read as one.
    line = json.dumps(fields).replace("Infinity", "1e999")
    plain = json.loads(plain_line(line) or "")
    assert list(plain) == list(FIELDS)
    assert {type(value) for value in plain.values()} <= {str, type(None)}


@given(st.text() | JSON.map(json.dumps))
def test_a_line_is_an_object_if_pythons_reader_accepts_it(line):
    try:
        is_object = isinstance(json.loads(line), dict)
    except ValueError:
        is_object = False
    assert (plain_line(line) is not None) == is_object


SPACED = st.sampled_from([(",", ":"), (", ", " : "), (",\t", ":\n ")])


@given(
    st.dictionaries(st.sampled_from(list(FIELDS)) | st.text(), JSON) | JSON,
    SPACED,
    st.booleans(),
    st.integers(0, 200),
    st.sampled_from(["", ",", "]", "}", "[", "{", '"', "\\", ":", "0", "null", "\t"]),
)
def test_a_long_line_is_read_as_a_short_one(value, separators, is_ascii, at, broken):
    text = json.dumps(value, separators=separators, ensure_ascii=is_ascii)
    for line in (text, text[:at] + broken + text[at + len(broken) :], text[:at]):
        assert plain_long_line(line.encode(errors="replace")) == plain_line(
            line.encode(errors="replace").decode()
        )


@pytest.mark.parametrize(
    ("token", "text", "identifier", "value"),
    [
        ('"a"', "a", "a", "[]"),
        ('""', "", "", None),
        ('"7"', "7", "7", "7.0"),
        ('" 007 "', " 007 ", "007", "7.0"),
        ('"-7"', "-7", "-7", "[]"),
        ("7", "7", "7", "7.0"),
        ("1.50", "1.50", "1.50", "1.50"),
        ("101.0", "101.0", "101", "101.0"),
        ("-0", "-0", "-0", "0"),
        ("NaN", None, None, None),
        ("true", "true", " ", "[]"),
        ("null", None, None, None),
        ("[1,]", None, " ", "[]"),
        ('{"a": 1}', None, " ", "[]"),
    ],
)
def test_a_value_is_written_as_its_kind_says(token, text, identifier, value):
    line = f'{{"device": {token}, "initiator_id": {token}, "value": {token}}}'
    expected = {"device": text, "initiator_id": identifier, "value": value}
    assert read(line) == {k: v for k, v in expected.items() if v is not None}


def test_half_a_surrogate_pair_is_not_json_anywhere_in_a_line():
    for line in (
        '{"other": "\\ud83d"}',
        '{"other": ["\\ude00"]}',
        '{"\\ud83d": 1}',
        '{"a": {"b": "\\ude00\\ud83d"}}',
        '{"a": 1, "a": "\\ud83d"}',
    ):
        assert plain_line(line) is None
    assert read('{"device": "\\ud83d\\ude00", "other": "\\\\ud83d"}') == {
        "device": "😀"
    }


@pytest.mark.parametrize(
    "nested", ["[" * 499 + "]" * 499, '{"a":' * 499 + "1" + "}" * 499]
)
def test_a_line_that_nests_deeper_than_500_levels_is_no_event(nested):
    assert plain_line(f'{{"event": "a", "other": {nested}}}') is not None
    assert plain_line(f'{{"event": "a", "other": [{nested}]}}') is None
    in_a_text = json.dumps(nested * 2)
    assert read(f'{{"event": "a", "other": {in_a_text}}}') == {"event": "a"}
    wide = "[" + ",".join(["[]"] * 2000) + "]"
    assert read(f'{{"event": "a", "other": {wide}}}') == {"event": "a"}


@pytest.mark.parametrize(
    "length",
    [LONG_LINE // 8, pytest.param(LONG_LINE * 5 // 4, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("start", "part", "end", "is_event"),
    [
        ('{"a": "', "x", '", "event": "a"}', True),
        ('{"a": "', '\\"', '", "event": "a"}', True),
        ('{"event": "a", "a": [', "[],", "1]}", True),
        ('"', "\\u", "", False),
        ("", "{", "", False),
        ('{"a": "', '\\"[', "", False),
    ],
)
def test_time_grows_no_faster_than_the_line(start, part, end, is_event, length):
    short, long = (
        start + part * (times * length // len(part)) + end for times in (1, 4)
    )
    assert (plain_line(short) is not None) == is_event
    assert grows_no_faster(plain_line, short, long, times=4)
