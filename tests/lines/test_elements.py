"""Where JSON values end, in a line of several objects and in a document."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lines.elements import Document, objects_of_line
from tests.support.reference import elements, parts
from tests.support.timing import grows_no_faster

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=3).map(json.dumps)


def found(document):
    data = document.encode()
    spans, _ = Document().elements(data + b"\n")
    return [data[start:end].decode() for start, end in spans]


def taken_apart(line):
    data = line.encode()
    return [data[start:end].decode() for start, end in objects_of_line(data)]


@given(st.lists(JSON), st.sampled_from([None, 1]), st.booleans())
def test_each_element_of_an_array_is_found_as_it_is_written(values, indent, is_ascii):
    written = [json.dumps(v, indent=indent, ensure_ascii=is_ascii) for v in values]
    assert found("[" + ",\n".join(written) + "]") == written
    assert found("[" + " , ".join(written) + ",]" * bool(written)) == written


@given(st.lists(OBJECTS, min_size=2), st.sampled_from(["", " ", "\t "]))
def test_each_object_of_a_line_is_found_as_it_is_written(written, blanks):
    assert taken_apart(blanks.join(written)) == written


@given(
    st.lists(OBJECTS, min_size=1, max_size=3),
    st.integers(0, 60),
    st.sampled_from(["", *',]}[{"\\:0n\t', ", ]", ",}", "NaN", "-", "\n"]),
)
def test_broken_json_is_read_as_far_as_the_reference_reads_it(written, at, broken):
    whole = "[" + ",".join(written)
    document = whole[:at] + broken + whole[at + 1 :]
    expected = elements(document)
    assert found(document) in (expected, expected[:-1])
    line = " ".join(written)
    line = line[:at] + broken + line[at + 1 :]
    if (expected := parts(line)) != [line]:
        assert taken_apart(line) == expected


@pytest.mark.parametrize(
    "nested", ["[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000]
)
def test_a_value_may_nest_deeper_than_a_line_may(nested):
    assert found(f"[{nested},{{}}]") == [nested, "{}"]


@pytest.mark.parametrize(
    "value",
    [
        '{"a": "' + "x" * 600_000 + '"}',
        '{"a": "' + "\\n" * 300_000 + '"}',
        '{"a": [' + "1, " * 200_000 + "]}",
        "[" + '{"a": {"b": [1, "x", {}]}},' * 20_000 + "{}]",
    ],
)
def test_a_value_may_be_longer_than_the_pieces_that_are_read_at_once(value):
    assert found(f"[{{}},{value},{{}}]") == ["{}", value, "{}"]
    if value.startswith("{"):
        assert taken_apart(f"{{}}{value} {{}}") == ["{}", value, "{}"]


@pytest.mark.parametrize(
    ("start", "part", "end"),
    [
        ("[", '{"a": 1},', "]"),
        ("[", '{"a": 1,},', "]"),
        ("[[", "[],", "]]"),
        ('["', '\\"', '"]'),
        ("[", " ", "]"),
        ("[", '{"a": x},', "]"),
        ("[", "[", "]"),
        ('[{"a": "', "\\u", ""),
    ],
)
def test_time_grows_no_faster_than_the_document(start, part, end):
    short, long = (start + part * (n * 400_000 // len(part)) + end for n in (1, 4))
    assert grows_no_faster(found, short, long, times=4)
