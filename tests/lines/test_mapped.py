"""What a mapping makes of single lines, and of long ones."""

import json
import random

import pytest

from jobs.fields import FIELDS
from jobs.lines.exact import LONG_LINE
from jobs.lines.mapped import ExactReader
from tests.support.mappings import some_mapped_line, some_mapping, written_mapping

MAPPING = """
pairs = ["params"]
json = ["props", "params.more"]
[[events]]
family = "app"
when.type = ["track", 7]
rename = {"Signed Up" = "registered"}
[events.fields]
event = "event"
timestamp = ["at", "props.at"]
initiator_id = ["user.id", "params.id"]
event_id = "props.id"
channel = "params.channel"
device_type = "params.more.device"
"""


@pytest.fixture
def reader_of(tmp_path):
    return lambda toml: ExactReader(written_mapping(toml, tmp_path / "own.toml"))


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ({"type": "page"}, {"type": "page"}),
        ({"type": 8.50}, {"type": "8.5"}),
        ({"type": ""}, {}),
        ({"type": {"a": 1}}, {}),
        ({"type": "7", "event": "a"}, {"event": "a", "found": "1"}),
        ({"type": 7, "event": "Signed Up"}, {"event": "registered", "found": "1"}),
        ({"type": 7, "at": "", "props": {"at": 5}}, {"timestamp": "5", "found": "4"}),
        ({"type": 7, "props": '{"at": 5, "id": 1.0,}'}, {"event_id": "1"}),
        ({"type": 7, "props": "no JSON"}, {}),
        ({"type": 7, "props": [1]}, {}),
        ({"type": 7, "user": {"id": [1]}}, {"initiator_id": " "}),
        ({"type": 7, "user": 1, "params": [{"key": "id", "value": 3}]}, {}),
        ({"type": 7, "params": {"channel": "a"}}, {}),
        (
            {"type": 7, "params": [5, {"key": "channel", "value": {"int_value": 9}}]},
            {"channel": "9"},
        ),
        (
            {
                "type": 7,
                "params": [
                    {"key": "channel", "value": None},
                    {"key": "channel", "value": "second"},
                ],
            },
            {},
        ),
        (
            {
                "type": 7,
                "params": [
                    {"key": "more", "value": {"string_value": '{"device":"d"}'}}
                ],
            },
            {"device_type": "d"},
        ),
    ],
)
def test_the_values_at_the_paths_become_our_fields(reader_of, line, read):
    reader = reader_of(MAPPING)
    found = json.loads(reader.line(json.dumps(line)) or "null")
    of_line = {name: value for name, value in found.items() if value is not None}
    assert of_line.items() >= read.items()
    assert {*of_line} & ({*FIELDS, "type"} - {"timestamp", "initiator_id"}) == (
        {*read} & ({*FIELDS, "type"} - {"timestamp", "initiator_id"})
    )


def token(name, chance):
    return chance.choice(('"text"', "7", "1.50", "null", "{}", '"2021-01-01T00:00"'))


@pytest.mark.parametrize("seed", range(30))
def test_a_long_line_is_read_as_a_short_one(reader_of, seed):
    chance = random.Random(seed)
    rules, toml = some_mapping(chance)
    reader = reader_of(toml)
    for _ in range(20):
        line = some_mapped_line(rules, token, chance)
        at = chance.randrange(len(line))
        for each in (line, line[:at] + b"\\" + line[at:], line[:at]):
            text = each.decode(errors="replace")
            assert reader.long_line(text.encode()) == reader.line(text)


def test_json_in_a_text_of_a_long_line_is_read_in_parts(reader_of):
    reader = reader_of(MAPPING)
    props = json.dumps({"id": 1, "more": ["x"] * (LONG_LINE // 4), "at": 5})
    line = json.dumps({"type": 7, "event": "a", "props": props})
    found = json.loads(reader.line(line) or "null")
    assert (found["event_id"], found["timestamp"]) == ("1", "5")


def test_a_line_that_is_no_object_stays_none(reader_of):
    for line in ("[]", "", '{"type": 7', '{"a": ' + "[" * 500 + "]" * 500 + "}"):
        assert reader_of(MAPPING).line(line) is None
        assert reader_of(MAPPING).long_line(line.encode()) is None
