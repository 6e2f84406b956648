"""Why lines are rejected, when a run publishes nothing, and what looks wrong."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from jobs.events_split.job import JOB as EVENTS_SPLIT
from jobs.tables import PLAYBACK_EVENTS, USER_SESSIONS
from tests.support import published
from tests.support.runs import TABLE_JOBS

pytestmark = pytest.mark.slow

START = datetime(2021, 1, 4, tzinfo=UTC)
PLAYED = {"event_name": "watch_time", "user_id": "u1", "value": 5}


def at(minutes):
    return (START + timedelta(minutes=minutes)).isoformat()


def played(count, **fields):
    """Different events of different viewers."""
    return [
        PLAYED | {"user_id": f"u{n}", "timestamp": at(n)} | fields for n in range(count)
    ]


def write(folder, name, *lines):
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "in" / name).write_text("\n".join(texts), encoding="utf-8")


def result(folder):
    """The result of events_split in the ledger of the last run."""
    return published.ledger(folder / "out")["jobs"][0]


def findings(folder):
    found = result(folder)["findings"]
    return {finding["kind"]: (finding["count"], finding["text"]) for finding in found}


def test_each_reason_has_its_count_its_first_line_and_its_value(run, tmp_path):
    write(
        tmp_path,
        "a.jsonl",
        *played(2),
        "",
        PLAYED | {"timestamp": "Tue, 05 Jan"},
        "no JSON, from ann@example.org at 192.0.2.1",
        PLAYED | {"timestamp": at(1), "value": {"seconds": 5}},
    )
    write(
        tmp_path,
        "b.jsonl",
        *played(2),
        PLAYED | {"timestamp": "yesterday"},
        {"event_type": "view", "who": 1},
        PLAYED | {"timestamp": at(1), "user_id": "undefined"},
    )
    ended = run(EVENTS_SPLIT)
    assert ended.code == 0
    causes = {
        cause["reason"]: (
            cause["lines"],
            f"{cause['source_file']}:{cause['line_number']}",
            cause["value"],
        )
        for cause in result(tmp_path)["causes"]
    }
    assert causes == {
        "invalid_timestamp": (2, "in/a.jsonl:4", '"Tue, 05 Jan"'),
        "malformed_json": (1, "in/a.jsonl:5", "no JSON, from *** at ***"),
        "invalid_value": (1, "in/a.jsonl:6", '{"seconds": 5}'),
        "missing_event": (1, "in/b.jsonl:4", "keys: event_type, who"),
        "missing_user_id": (1, "in/b.jsonl:5", '"undefined"'),
    }
    for reason, (_, first, value) in causes.items():
        assert f"- {reason} (" in ended.out
        assert f"{first} has {value}" in ended.out
    accounts = {
        file["name"]: (file["lines"], file["kept"], file["ignored"], file["rejected"])
        for file in result(tmp_path)["event_files"]
    }
    assert accounts == {"in/a.jsonl": (5, 2, 0, 3), "in/b.jsonl": (5, 2, 0, 3)}
    assert run(EVENTS_SPLIT, log_values="off").code == 0
    values = {cause["value"] for cause in result(tmp_path)["causes"]}
    assert "a text of 13 characters" in values
    assert "an object of 14 characters" in values
    assert not any("JSON, from" in value for value in values)


@pytest.mark.long_on_spark
def test_lines_with_other_keys_end_with_these_keys_and_what_would_help(run, tmp_path):
    write(
        tmp_path,
        "a.jsonl",
        *(
            {"event_type": "view", "event_timestamp": at(n), "customer_id": n}
            for n in range(30)
        ),
    )
    ended = run(EVENTS_SPLIT)
    assert ended.code == 4
    assert "no good line in in/a.jsonl: all 30 lines rejected" in ended.error
    assert "the keys event_type, event_timestamp, customer_id" in ended.error
    assert "event_type resembles event" in ended.error
    assert "mapping" in ended.error
    assert "- missing_event (30): in/a.jsonl:1 has keys: event_type" in ended.out


@pytest.mark.long_on_spark
def test_a_file_without_a_good_line_ends_a_run_of_any_size(run, tmp_path):
    write(tmp_path, "a.jsonl", *played(200))
    write(tmp_path, "b.jsonl", {"level": "info"})
    ended = run(EVENTS_SPLIT)
    assert ended.code == 4
    assert "no good line in in/b.jsonl" in ended.error
    assert run(EVENTS_SPLIT, max_rejected_ratio=1).code == 0


@pytest.mark.long_on_spark
@pytest.mark.parametrize(
    ("good", "bad", "code"), [(90, 10, 0), (89, 11, 4), (10, 11, 0)]
)
def test_the_share_of_lines_counts_from_100_lines_on(run, tmp_path, good, bad, code):
    write(tmp_path, "a.jsonl", *played(good), *({"level": n} for n in range(bad)))
    ended = run(EVENTS_SPLIT)
    assert ended.code == code
    assert ("11 of 100 lines rejected (11.00%)" in ended.error) == (code == 4)


@pytest.mark.long_on_spark
def test_the_share_of_bytes_counts_as_well(run, tmp_path):
    write(tmp_path, "a.jsonl", *played(200), json.dumps({"x": "y" * 10_000}))
    ended = run(EVENTS_SPLIT)
    assert ended.code == 4
    assert "bytes of lines rejected" in ended.error
    assert run(EVENTS_SPLIT, max_rejected_ratio=1).code == 0


@pytest.mark.long_on_spark
def test_bytes_that_are_no_text_count_as_they_are_in_the_file(run, tmp_path):
    write(tmp_path, "a.jsonl", *played(120))
    size = (tmp_path / "in" / "a.jsonl").stat().st_size
    with (tmp_path / "in" / "a.jsonl").open("ab") as file:
        file.write(b"\n" + b"\xff" * (size // 20))
    assert run(EVENTS_SPLIT).code == 0
    account = result(tmp_path)["event_files"][0]
    assert (account["lines"], account["rejected"]) == (121, 1)


@pytest.mark.long_on_spark
def test_a_value_is_shown_as_it_is_written(run, tmp_path):
    line = '{"event_name": "x", "user_id": "u", "timestamp": "2021-01-05T10:00:00", '
    write(
        tmp_path,
        "a.jsonl",
        *played(1),
        line + '"value": -1.50,}',
        line.replace("2021-01-05T10:00:00", "bad") + '"timestamp": "2021"}',
    )
    assert run(EVENTS_SPLIT).code == 0
    values = {cause["reason"]: cause["value"] for cause in result(tmp_path)["causes"]}
    assert values == {"invalid_value": "-1.50", "invalid_timestamp": '"bad"'}


def test_the_value_of_a_field_is_shown_however_long_its_line_is(run, tmp_path):
    long = {"note": "x" * 20_000}
    write(
        tmp_path,
        "a.jsonl",
        *played(20),
        *(long | PLAYED | {"timestamp": f"day {n}"} for n in range(2)),
        long | PLAYED | {"timestamp": at(0), "user_id": [1]},
    )
    assert run(EVENTS_SPLIT).code == 0
    values = {cause["reason"]: cause["value"] for cause in result(tmp_path)["causes"]}
    assert values == {"invalid_timestamp": '"day 0"', "invalid_user_id": "[1]"}


@pytest.mark.long_on_spark
def test_with_a_key_no_message_shows_an_id(run, tmp_path):
    event = PLAYED | {"timestamp": at(0), "event_id": "secret-1"}
    write(
        tmp_path,
        "a.jsonl",
        event,
        event | {"value": 6},
        *played(120, session_id="secret-2"),
        '{"session_id": "secret-3", "event_id": "secret-4", "user_id": "secret-5", no',
    )
    ended = run(EVENTS_SPLIT, pseudonym_key="a key that nobody knows")
    assert ended.code == 0
    assert set(findings(tmp_path)) == {"event_ids_shared", "large_share"}
    ledger = json.dumps(published.ledger(tmp_path / "out"))
    assert "secret" not in ended.out + ledger


def test_with_a_key_the_id_of_a_gap_session_keeps_its_meaning(run, tmp_path):
    own = f"u1-{round(START.timestamp() * 1_000_000)}"
    write(
        tmp_path,
        "a.jsonl",
        PLAYED | {"timestamp": at(0)},
        PLAYED | {"timestamp": at(500), "session_id": own},
        PLAYED | {"timestamp": at(501), "session_id": "u1-x"},
    )
    assert run(*TABLE_JOBS, pseudonym_key="a key that nobody knows").code == 0
    rows = published.typed_rows(tmp_path / "out", USER_SESSIONS)
    assert sorted(row["event_count"] for row in rows) == [1, 2]
    assert {row["session_id"].startswith("u1") for row in rows} == {True, False}


@pytest.mark.long_on_spark
def test_a_run_that_keeps_no_line_shows_the_names_that_it_ignores(run, tmp_path):
    write(tmp_path, "a.jsonl", *({"event": f"view {n % 2}"} for n in range(5)))
    for ratio in (0.1, 1):
        ended = run(EVENTS_SPLIT, max_rejected_ratio=ratio)
        assert ended.code == 4
        assert "view 0 (3), view 1 (2)" in ended.error


@pytest.mark.long_on_spark
def test_loads_of_nobody_count_as_rejected_where_they_are_most(run, tmp_path):
    load = {"event": "app_loaded", "timestamp": at(0)}
    loads = [load | {"initiator_id": n} for n in range(20)]
    write(tmp_path, "a.jsonl", *played(160), *loads, *[load] * 20)
    assert run(EVENTS_SPLIT).code == 0
    assert result(tmp_path)["lines"]["ignored"] == {"app_loaded (anonymous)": 20}
    write(tmp_path, "a.jsonl", *played(160), *loads, *[load] * 21)
    ended = run(EVENTS_SPLIT)
    assert ended.code == 4
    assert "app_loaded (anonymous) 21" in ended.error


@pytest.mark.long_on_spark
def test_of_many_ignored_names_the_most_frequent_are_kept(run, tmp_path):
    names = [f"view {n:03}" for n in range(150)]
    write(tmp_path, "a.jsonl", *played(1), *({"event": n} for n in [*names, names[7]]))
    assert run(EVENTS_SPLIT).code == 0
    ignored = result(tmp_path)["lines"]["ignored"]
    assert len(ignored) == 101
    assert (ignored["view 007"], ignored["(50 other names)"]) == (2, 50)


def test_of_events_that_share_an_event_id_the_smallest_stays(run, tmp_path):
    event = PLAYED | {"timestamp": at(0), "event_id": "e"}
    shared = [
        event,
        event | {"value": 4},
        event | {"value": "4.0"},
        event | {"device": "x"},
        event | {"user_id": "u2"},
        event | {"event_name": "like"},
        event | {"timestamp": at(24 * 60)},
        PLAYED | {"timestamp": at(0)},
        PLAYED | {"timestamp": at(0), "value": 9},
    ]
    write(tmp_path, "a.jsonl", *shared)
    assert run(EVENTS_SPLIT).code == 0
    assert published.ledger(tmp_path / "out")["jobs"][0]["lines"]["stored"][
        PLAYBACK_EVENTS.name
    ] == (6)
    count, text = findings(tmp_path)["event_ids_shared"]
    assert count == 2
    assert "such as e;" in text
    assert run(EVENTS_SPLIT, event_id="ignore").code == 0
    assert result(tmp_path)["lines"]["stored"][PLAYBACK_EVENTS.name] == 8
    assert "event_ids_shared" not in findings(tmp_path)


@pytest.mark.long_on_spark
def test_an_event_id_that_identifies_nothing_ends_the_run(run, tmp_path):
    write(
        tmp_path,
        "a.jsonl",
        *(
            PLAYED | {"timestamp": at(n // 50), "value": n, "event_id": n % 10}
            for n in range(200)
        ),
    )
    ended = run(EVENTS_SPLIT)
    assert ended.code == 4
    assert "event_id identifies no event: 190 of 200 events" in ended.error
    assert "EVENT_ID=ignore" in ended.error
    assert run(EVENTS_SPLIT, event_id="ignore").code == 0


def test_what_looks_wrong_is_found_with_its_figure(run, tmp_path):
    many = [PLAYED | {"timestamp": at(n), "user_id": "robot"} for n in range(70)]
    write(
        tmp_path,
        "a.jsonl",
        *played(130, event_name="Watch_Time"),
        *many,
        PLAYED | {"timestamp": at(60 * 24 * 30), "session_id": "null"},
        {"event": "Registered", "timestamp": at(0), "initiator_id": 1},
        {"event": "registered ", "timestamp": at(0), "initiator_id": 1},
    )
    (tmp_path / "in" / "notes.md").write_text("# Notes")
    assert run(EVENTS_SPLIT).code == 0
    found = findings(tmp_path)
    assert found["all_app_events_ignored"][0] == 2
    assert found["missing_name"][0] == 2
    assert '"Registered" (1), "registered " (1)' in found["missing_name"][1]
    assert found["large_share"][0] == 70
    assert "robot" in found["large_share"][1]
    assert found["late_event"][0] == 1
    assert found["texts_without_id"][0] == 1
    assert found["passed_over"][0] == 1


@pytest.mark.long_on_spark
def test_a_name_of_the_rules_that_only_occurs_in_another_spelling_is_found(
    run, tmp_path
):
    write(tmp_path, "a.jsonl", *played(3, event_name="Watch_Time"))
    assert run(EVENTS_SPLIT).code == 0
    count, text = findings(tmp_path)["missing_name"]
    assert count == 3
    assert 'No event is named watch_time, but some are "Watch_Time" (3)' in text


@pytest.mark.long_on_spark
def test_nothing_looks_wrong_in_ordinary_events(run, tmp_path):
    users = [
        {"event": name, "timestamp": at(n * 300), "initiator_id": n}
        for n in range(60)
        for name in ("registered", "app_loaded")
    ]
    write(tmp_path, "a.jsonl", *played(200), *users)
    ended = run(EVENTS_SPLIT)
    assert ended.code == 0
    assert findings(tmp_path) == {}
    assert "What looks wrong" not in ended.out
