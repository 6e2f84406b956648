"""Runs over events of others, by EVENT_MAPPING."""

import json

import pytest

from jobs.events_split.job import JOB as EVENTS_SPLIT
from jobs.tables import APP_LOADED, PLAYBACK_EVENTS, REJECTED_EVENTS, USER_REGISTRATION
from tests.support import published
from tests.support.runs import TABLE_JOBS

pytestmark = pytest.mark.slow

MAPPING = """
when.type = "track"
pairs = ["params"]
[fields]
timestamp = "time"
initiator_id = ["user.id", "anonymous"]
user_id = ["user.id", "anonymous"]
[rename]
"Signed Up" = "registered"
Opened = "app_loaded"
[[events]]
family = "app"
when.event = ["Signed Up", "Opened", "Closed"]
fields = {event = "event", channel = "params.channel"}
time.unit = "milliseconds"
[[events]]
family = "playback"
fields = {event_name = "event", value = "params.seconds", country = "contry"}
time.format = "%d.%m.%Y %H:%M"
[[events]]
family = "playback"
when.event = "never"
fields.event_name = "event"
"""
KEY = "correct horse battery staple"


def write(folder, *lines, name="a.jsonl"):
    (folder / "own.toml").write_text(MAPPING, encoding="utf-8")
    text = "\n".join(
        line if isinstance(line, str) else json.dumps(line) for line in lines
    )
    (folder / "in" / name).write_text(text + "\n", encoding="utf-8")
    return str(folder / "own.toml")


def track(event, **fields):
    return {"type": "track", "event": event, "time": 1609725600000} | fields


LINES = (
    track("Signed Up", user={"id": 7.0}, params=[{"key": "channel", "value": "web"}]),
    track("Opened", anonymous="a1"),
    track("Closed", anonymous="a1"),
    track(
        "watch_time",
        user={"id": "u1"},
        time="04.01.2021 02:00",
        params=[{"key": "seconds", "value": {"int_value": "12"}}],
    ),
    track("like", user={"id": "u1"}, time="2021-01-04 02:00"),
    {"type": "page", "name": "Home"},
    {"type": "page", "name": "Home"},
    {"name": "no type"},
    "no JSON",
)


def column(prefix, table, name):
    place = table.column_names.index(name)
    return sorted(str(row[place]) for row in published.rows(prefix, table))


def test_lines_become_our_events_and_others_are_counted_by_their_type(run, tmp_path):
    mapping = write(tmp_path, *LINES)
    ended = run(EVENTS_SPLIT, event_mapping=mapping)
    assert ended.code == 0, ended.error
    out = tmp_path / "out"
    assert column(out, USER_REGISTRATION, "initiator_id") == ["7"]
    assert column(out, USER_REGISTRATION, "channel") == ["web"]
    assert column(out, APP_LOADED, "initiator_id") == ["a1"]
    assert column(out, PLAYBACK_EVENTS, "value") == ["12.000000"]
    times = {
        *column(out, USER_REGISTRATION, "time"),
        *column(out, PLAYBACK_EVENTS, "timestamp"),
    }
    assert len(times) == 1
    split = published.ledger(out)["jobs"][0]
    assert split["lines"]["ignored"] == {"page": 2, "Closed": 1, "(no type)": 1}
    assert split["lines"]["rejected"] == {"invalid_timestamp": 1, "malformed_json": 1}
    assert split["mapping"].startswith("own.toml (")
    causes = {cause["reason"]: cause["value"] for cause in split["causes"]}
    assert causes["invalid_timestamp"] == '"2021-01-04 02:00"'


def test_a_rule_without_lines_and_a_path_that_no_line_has_are_findings(run, tmp_path):
    assert run(EVENTS_SPLIT, event_mapping=write(tmp_path, *LINES)).code == 0
    found = published.ledger(tmp_path / "out")["jobs"][0]["findings"]
    texts = {finding["kind"]: finding["text"] for finding in found}
    assert (
        "1 rule takes no line, of the mapping: 3, playback."
        in texts["rules_without_lines"]
    )
    assert "1 path of the mapping: contry (country)." in texts["missing_paths"]
    assert "all_app_events_ignored" not in texts


def test_ids_are_concealed_under_their_names_in_the_lines(run, tmp_path):
    late = track("like", user={"id": "u1"}, anonymous="secret-1", time="never")
    mapping = write(tmp_path, *LINES, late)
    ended = run(EVENTS_SPLIT, event_mapping=mapping, pseudonym_key=KEY)
    assert ended.code == 0, ended.error
    raw = " ".join(column(tmp_path / "out", REJECTED_EVENTS, "raw"))
    assert "like" in raw
    assert "u1" not in raw
    assert "secret-1" not in raw


def test_a_file_of_the_mappings_events_is_not_passed_over(run, tmp_path):
    mapping = tmp_path / "own.toml"
    fields = 'event = "what", timestamp = "at", initiator_id = "who"'
    mapping.write_text(f'family = "app"\nfields = {{{fields}}}', encoding="utf-8")
    line = json.dumps({"what": "app_loaded", "at": "2021-01-04T02:00", "who": 1})
    for name in ("a.jsonl", "b.data"):
        (tmp_path / "in" / name).write_text(line, encoding="utf-8")
    assert run(EVENTS_SPLIT).code == 4
    ended = run(EVENTS_SPLIT, event_mapping=mapping)
    assert ended.code == 3
    assert "b.data: it has events, but no event file's name" in ended.error


def test_lines_that_need_a_mapping_end_with_the_command_that_makes_one(run, tmp_path):
    write(
        tmp_path, *({"event_type": "view", "at": n} for n in range(30)), name="c.jsonl"
    )
    ended = run(EVENTS_SPLIT)
    assert ended.code == 4
    assert f'scripts/task map -- "{tmp_path}/in/c.jsonl" prints one' in ended.error
    write(
        tmp_path, *(track("Opened", anonymous="a1") for _ in range(3)), name="c.jsonl"
    )
    ended = run(EVENTS_SPLIT)
    assert "all app events are ignored, Opened (3)," in ended.error
    assert "scripts/task map -- " in ended.error


def test_a_mapping_that_takes_no_line_is_named(run, tmp_path):
    mapping = write(tmp_path, {"type": "page"}, {"type": "screen"})
    ended = run(EVENTS_SPLIT, event_mapping=mapping)
    assert ended.code == 4
    assert (
        "no rule of the mapping takes the lines of page (1), screen (1)" in ended.error
    )
    assert "compare the mapping own.toml with such a line" in ended.error


def test_the_tables_of_mapped_lines_pass_all_checks(run, tmp_path):
    assert run(*TABLE_JOBS, event_mapping=write(tmp_path, *LINES)).code == 0
