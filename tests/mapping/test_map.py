"""``python -m jobs.map``: the mapping that it writes for a file."""

import gzip
import json
import re
from pathlib import Path

import pytest

from jobs.events_split.causes import Shown
from jobs.map import draft, main
from jobs.mapping import presets, read_mapping
from jobs.mapping.sample import read_sample
from tests.support.mappings import written_mapping

FIXTURES = Path(__file__).parent / "fixtures"

OTHER_KEYS = [
    {"event_type": name, "event_timestamp": f"2021-01-05T10:0{n}:00Z", "customer_id": n}
    for n, name in enumerate(("page_view", "add_to_cart", "purchase"))
]


@pytest.fixture
def written(tmp_path):
    """Writes these lines to a file."""

    def write(lines):
        file = tmp_path / "a.jsonl"
        file.write_text("\n".join(map(json.dumps, lines)))
        return file

    return write


@pytest.fixture
def mapped(written):
    """The mapping for these lines."""

    def run(lines, shows_values=True):
        return draft(read_sample(written(lines)), Shown(shows_values, hides_ids=False))

    return run


@pytest.fixture
def read(tmp_path):
    """Reads a mapping as a run does."""

    return lambda toml: written_mapping(toml, tmp_path / "read.toml")


def line_of(text, start):
    [line] = [line for line in text.splitlines() if line.startswith(start)]
    return line


@pytest.mark.parametrize("preset", presets())
def test_each_tracker_is_recognised(preset, read):
    sample = read_sample(FIXTURES / f"{preset}.jsonl")
    text = draft(sample, Shown(values=True, hides_ids=False))
    assert line_of(text, "preset") == f'preset = "{preset}"'
    assert read(text).rules == read_mapping(preset).rules


def test_names_that_a_preset_does_not_know_become_rules(mapped, read):
    event = {"properties": {"time": 1612054800, "distinct_id": "u1"}}
    names = ("Sign Up Completed", "app-open", "likes", "watch_time", "Purchase")
    text = mapped([event | {"event": name} for name in names])
    app, playback, *_ = read(text).rules
    assert (app.family, app.when) == (
        "app",
        {("event",): ("Sign Up Completed", "app-open")},
    )
    assert app.rename["Sign Up Completed"] == "registered"
    assert app.rename["app-open"] == "app_loaded"
    assert (playback.family, playback.when) == ("playback", {("event",): ("likes",)})
    assert "1  Purchase: ignored" in text


def test_other_keys_become_a_mapping_of_playback_events(mapped, read):
    text = mapped(OTHER_KEYS)
    [rule] = read(text).rules
    assert rule.family == "playback"
    assert rule.when == {}
    assert rule.fields == {
        "timestamp": (("event_timestamp",),),
        "user_id": (("customer_id",),),
        "event_name": (("event_type",),),
    }
    assert "# no name of an event resembles registered or app_loaded" in text
    assert "0 % null; 0, 1, 2" in line_of(text, "user_id")


def test_names_of_both_families_become_a_rule_each(mapped, read):
    lines = [
        {"action": name, "ts": 1612054800123, "user": {"id": n}, "video": {"id": 7}}
        for n, name in enumerate(("User Registered", "AppOpened", "video_start", "x"))
    ]
    app, playback = read(mapped(lines)).rules
    assert app.when == {("action",): ("AppOpened", "User Registered")}
    assert app.rename == {"AppOpened": "app_loaded", "User Registered": "registered"}
    assert app.fields["initiator_id"] == (("user", "id"),)
    assert playback.when == {("action",): ("video_start", "x")}
    assert playback.rename == {"video_start": "session_start"}
    assert playback.fields["video_id"] == (("video", "id"),)


def test_names_that_stand_in_several_places_become_a_rule_each(mapped, read):
    rest = {"time": "2021-01-05T10:00:00Z", "uid": 1}
    lines = [
        *({"event": "registered", **rest}, {"event": "x", **rest}),
        {"event_type": "heart", **rest},
    ]
    rules = read(mapped(lines)).rules
    assert [(rule.family, rule.when) for rule in rules] == [
        ("app", {("event",): ("registered",)}),
        ("playback", {("event",): ("x",)}),
        ("playback", {("event_type",): ("heart",)}),
    ]


@pytest.mark.parametrize(
    ("time", "format_", "why"),
    [
        ("2021-01-05T10:00:00+01:00", None, "ISO 8601 with an offset"),
        ("2021-01-05 10:00", None, "this is UTC, unless INPUT_TIMEZONE"),
        (1612054800, None, "10 digits, so seconds since 1970"),
        ("1612054800123", None, "13 digits, so milliseconds since 1970"),
        (1612054800123456, None, "16 digits, so microseconds since 1970"),
        ("25/01/2021 10:00:00", "%d/%m/%Y %H:%M:%S", "day first, as the values tell"),
        ("01/25/2021 10:00:00", "%m/%d/%Y %H:%M:%S", "month first, as the values"),
        ("05/01/2021 10:00:00", "%d/%m/%Y %H:%M:%S", "no value tells it from %m/%d/%Y"),
        ("5 Jan 2021 10:00 PM", "%d %b %Y %I:%M %p", "no form of ISO 8601"),
    ],
)
def test_no_unit_and_no_order_is_guessed_in_silence(mapped, read, time, format_, why):
    text = mapped([{"name": "x", "when": time, "user_id": "u1"}])
    [rule] = read(text).rules
    assert rule.time.format == format_
    start = "time.format" if format_ else "timestamp"
    assert why in line_of(text, start)


def test_pairs_and_json_in_texts_are_found(mapped, read):
    line = {
        "name": "x",
        "time": 1612054800,
        "uid": "u1",
        "params": [
            {"key": "video_id", "value": {"string_value": None, "int_value": 7}}
        ],
        "meta": '{"os": {"name": "iOS"}}',
        "other": [{"key": "a", "value": 1}],
    }
    [rule] = read(mapped([line])).rules
    assert (rule.pairs, rule.json) == ({("params",)}, {("meta",)})
    assert rule.fields["video_id"] == (("params", "video_id"),)
    assert rule.fields["device_os"] == (("meta", "os", "name"),)


def test_users_without_an_id_are_taken_by_an_anonymous_one(mapped, read):
    line = {"name": "x", "time": 1612054800}
    lines = [
        line | {"user_id": "u1", "device_id": "d1"},
        line | {"user_id": None, "device_id": "d2"},
    ]
    [rule] = read(mapped(lines)).rules
    assert rule.fields["user_id"] == (("user_id",), ("device_id",))
    [rule] = read(mapped(lines[:1])).rules
    assert rule.fields["user_id"] == (("user_id",),)


def test_personal_values_are_concealed_and_ids_are_short(mapped):
    line = {
        "name": "x",
        "time": 1612054800,
        "user_id": "ada@example.org",
        "session_id": "f81d4fae-7dec",
        "device": "192.0.2.7",
    }
    text = mapped([line])
    assert "f81d…" in line_of(text, "session_id")
    for personal in ("ada@", "example.org", "f81d4", "192.0.2.7"):
        assert personal not in text


def test_no_value_is_shown_if_log_values_is_off(mapped):
    text = mapped(OTHER_KEYS, shows_values=False)
    assert "a text of 20 characters" in line_of(text, "timestamp")
    assert "2021" not in text


def test_a_field_that_is_not_found_stands_there_as_a_comment(mapped):
    text = mapped([{"name": "x", "time": 1612054800}])
    line = line_of(text, "# user_id")
    assert line.endswith("no path looks like the user's id: name one")


def test_names_with_signs_of_toml_and_of_paths_are_quoted(mapped, read):
    line = {"e.v": {"na me": 'Sign "Up"'}, "time": 1612054800, "u'id": None, "uid": 1}
    text = mapped([line])
    [rule] = read(text).rules
    assert rule.family == "app"
    assert rule.fields["event"] == (("e.v", "na me"),)
    assert rule.when == {("e.v", "na me"): ('Sign "Up"',)}
    assert rule.rename == {'Sign "Up"': "registered"}


def test_our_own_events_need_no_mapping(mapped):
    line = {"event_name": "heart", "timestamp": "2021-01-05T10:00:00Z", "user_id": 1}
    assert "no mapping is needed" in mapped([line])


def test_a_file_may_be_packed_and_a_document(tmp_path):
    file = tmp_path / "a.json.gz"
    file.write_bytes(gzip.compress(json.dumps(OTHER_KEYS, indent=1).encode("utf-16")))
    assert len(read_sample(file).events) == len(OTHER_KEYS)


def test_the_command_prints_a_mapping_and_what_a_run_would_make(written, capsys):
    nobody = OTHER_KEYS[0] | {"customer_id": None}
    assert main([str(written([*OTHER_KEYS, nobody]))]) == 0
    printed = capsys.readouterr()
    assert 'event_name = "event_type"' in printed.out
    assert printed.err.splitlines() == [
        "Of the first 4 lines of a.jsonl, a run would keep 3 (playback_events 3),"
        " ignore 0 and reject 1.",
        "- missing_user_id (1): the first has no user_id",
    ]


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([{"name": "x", "time": 1}], "A run would end, until a path is named: "),
        (
            [OTHER_KEYS[0]] * 89 + [OTHER_KEYS[0] | {"customer_id": None}] * 11,
            "Of the first 100 lines of a.jsonl, a run would keep 89 (playback_events"
            " 89), ignore 0 and reject 11.\n",
        ),
        (
            [{"event": "x", "timestamp": 1, "initiator_id": 1}],
            "Of the first 1 lines of a.jsonl, a run would keep 0, ignore 1 (x 1) and"
            " reject 0.\nNo line would be kept, so a run would end with exit 4.",
        ),
    ],
)
def test_the_command_says_why_a_run_would_end(written, capsys, lines, error):
    assert main([str(written(lines))]) == 0
    said = capsys.readouterr().err
    assert said.startswith(error)
    assert "would end" in said


def test_output_is_a_new_file(written, tmp_path, capsys):
    file, target = written(OTHER_KEYS), tmp_path / "own.toml"
    assert main([str(file), "--output", str(target)]) == 0
    assert capsys.readouterr().out == ""
    text = target.read_text("utf-8")
    assert read_mapping(str(target)).rules
    assert main([str(file), "--output", str(target)]) == 2
    assert "this file is there" in capsys.readouterr().err
    assert target.read_text("utf-8") == text


@pytest.mark.parametrize(
    ("name", "content", "code", "error"),
    [
        ("nosuch", None, 3, "nosuch: no such file"),
        (".", None, 3, "it is a folder; name one of its files"),
        ("a.jsonl", b"", 3, "none of 0 lines is a JSON object"),
        ("a.jsonl", b"1\n[2]\nx", 3, "none of 3 lines is a JSON object"),
        ("a.jsonl", b"<?xml version='1.0'?>", 3, "it is XML, such as an error page"),
        (None, None, 2, "the following arguments are required: FILE"),
    ],
)
def test_a_file_without_events_is_one_line_of_error(
    tmp_path, capsys, name, content, code, error
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path / name)] if name else []) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch("error: .*\n", printed.err)
    assert error in printed.err
