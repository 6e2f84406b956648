"""Events as other programs write them, through a whole run."""

import gzip
import json

import pytest

from jobs.tables import PLAYBACK_EVENTS, USER_SESSIONS
from tests.support import published
from tests.support.runs import TABLE_JOBS

pytestmark = pytest.mark.slow

TIME = "2021-01-05T10:{:02}:{:02}Z"


def played(second, **fields):
    at = TIME.format(*divmod(second, 60))
    return {"event_name": "watch_time", "timestamp": at, "user_id": "u1"} | fields


def write(folder, *lines, name="a.jsonl"):
    (folder / "in" / name).write_text("\n".join(lines))


def sessions(folder):
    """The sessions by their user, as dicts."""
    rows = published.typed_rows(folder / "out", USER_SESSIONS)
    return {row["user_id"]: row for row in rows}


@pytest.mark.long_on_spark
def test_bare_nan_where_a_value_is_missing(run, tmp_path):
    lines = [json.dumps(played(n, value=float("nan"))) for n in range(30)]
    assert "NaN" in lines[0]
    write(tmp_path, *lines)
    assert run(*TABLE_JOBS).code == 0
    [session] = sessions(tmp_path).values()
    assert (session["event_count"], session["total_watch_time_s"]) == (30, 0)
    rows = published.typed_rows(tmp_path / "out", PLAYBACK_EVENTS)
    assert {row["value"] for row in rows} == {None}


def test_values_as_texts_and_parts_of_seconds(run, tmp_path):
    write(
        tmp_path,
        json.dumps(played(0, value="35")),
        *(json.dumps(played(n, user_id="u2", value=0.98)) for n in range(49)),
        *(json.dumps(played(n, user_id="u3", value=9.99)) for n in range(3)),
    )
    assert run(*TABLE_JOBS).code == 0
    watched = {
        user: row["total_watch_time_s"] for user, row in sessions(tmp_path).items()
    }
    assert watched == {"u1": 35, "u2": 48, "u3": 29}


def test_ids_as_numbers_find_their_users_and_videos(run, tmp_path):
    ids = {"6": "6", "7.0": "7", '"8"': "8", '" 9 "': "9"}
    event = json.dumps(played(0, user_id="?", video_id="?", session_id="?"))
    write(tmp_path, *(event.replace('"?"', written) for written in ids))
    users = (f"{n},gender {n}" for n in range(5, 10))
    write(tmp_path, "user_id,gender", *users, name="users.csv")
    videos = (f"{n},title {n}" for n in range(5, 10))
    write(tmp_path, "video_id,title", *videos, name="videos.csv")
    assert run(*TABLE_JOBS).code == 0
    assert {
        user: (row["session_id"], row["gender"], row["first_video_title"])
        for user, row in sessions(tmp_path).items()
    } == {n: (n, f"gender {n}", f"title {n}") for n in ids.values()}


SEGMENT = [
    {
        "type": "track",
        "event": event,
        "messageId": n,
        "userId": "501",
        "timestamp": TIME,
    }
    for n, event in enumerate(("registered", "app_loaded"))
]
GA4 = {"event_timestamp": "1612051260000000", "event_name": "first_visit"}
MIXPANEL = {"event": "registered", "properties": {"time": 1612054800, "distinct_id": 1}}


@pytest.mark.long_on_spark
@pytest.mark.parametrize(
    ("events", "keys"),
    [
        (SEGMENT, "the keys type, event, messageId, userId, timestamp"),
        ([GA4], "the keys event_timestamp, event_name; event_timestamp resembles time"),
        ([MIXPANEL], "the keys event, properties"),
    ],
)
def test_events_of_other_trackers_end_with_their_keys(run, tmp_path, events, keys):
    lines = [json.dumps(event).replace(TIME, TIME.format(0, 0)) for event in events]
    folder = tmp_path / "in" / "logs" / "2021"
    folder.mkdir(parents=True)
    (folder / "1614556801.1.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    ended = run(*TABLE_JOBS)
    assert ended.code == 4
    assert keys in ended.error
    assert "such lines need a mapping" in ended.error
    assert not (tmp_path / "out" / PLAYBACK_EVENTS.name).exists()
