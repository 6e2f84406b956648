"""An engine takes the same values at the paths of a mapping as the exact reading."""

import json

import pytest

from jobs.fields import FIELDS
from jobs.lines.files import listed
from jobs.lines.mapped import ExactReader
from tests.support.mappings import written_mapping

REQUIRED = 'timestamp = "t", initiator_id = "i"'
PAIR = {"key": "a", "value": {"string_value": "x"}}


def as_read(lines, rewrite):
    return lines.select("raw", "event", "channel", "rule", "found", "type")


@pytest.mark.parametrize(
    ("keys", "event", "line"),
    [
        ('json = ["p", "p.q"]', "p.q.a", {"p": json.dumps({"q": '{"a": "x"}'})}),
        ('pairs = ["p", "p.a"]', "p.a.a", {"p": [{"key": "a", "value": [PAIR]}]}),
        ('pairs = ["p"]\njson = ["p"]', "p.a", {"p": json.dumps([PAIR])}),
        ('json = ["\\"q\\\\\\"\\""]', '\\"q\\\\\\"\\".a', {'q"': '{"a": "x"}'}),
        ("", '\\"b\\\\\\\\c\\"', {"b\\c": "x"}),
        ("", "Id", {"id": "y", "Id": "x", "ID": "z"}),
        ("", "p.a", {"p": {"a": "x"}, "q": {"a": [1], "p": {"a": 1.50}}}),
        ("", "p", {"p": {"a": 1}}),
        ("", "p", {"p": 1.50, "q": "x"}),
    ],
)
def test_values_are_those_of_the_exact_reading(
    engine, tmp_path, rows_of, keys, event, line
):
    lines = tmp_path / "a.json"
    fields = f'{{event = "{event}", channel = ["id", "q"], {REQUIRED}}}'
    toml = f'{keys}\nfamily = "app"\nfields = {fields}\n'
    text = json.dumps(line)
    lines.write_text(text, encoding="utf-8")
    mapping = written_mapping(toml, tmp_path / "own.toml")
    read = engine.read_lines([listed(lines, tmp_path)], FIELDS, as_read, mapping)
    exact = json.loads(ExactReader(mapping).line(text) or "null")
    [row] = rows_of(read.rows)
    assert row == (
        text,
        exact["event"],
        exact["channel"],
        int(exact["rule"]),
        int(exact["found"]),
        None,
    )
