"""The beginning and end of a session, and its attributes."""

from datetime import date
from decimal import Decimal

import pytest

from jobs.sessionize import model
from jobs.tables import PLAYBACK_EVENTS, USER_SESSIONS, USERS, VIDEOS
from jobs.zones import UTC_OFFSETS
from tests.support.engine import micros

START = "2021-01-01T00:00:00Z"


def event(timestamp=START, name="watch_time", user="u", session="s", **fields):
    row = dict.fromkeys((column.name for column in PLAYBACK_EVENTS.columns), None)
    row |= {"timestamp": timestamp, "event_name": name, "user_id": user}
    return list((row | {"session_id": session} | fields).values())


@pytest.fixture
def sessions_of(table, rows_of):
    """Sessionizes events; gives a dict per session, by user and number."""

    def sessionize(*events, users=(), videos=(), timeout=30, columns=None):
        sessions = model.sessionize(
            table(PLAYBACK_EVENTS.columns, events),
            table(USERS.columns, users),
            table(VIDEOS.columns, videos),
            timeout,
            UTC_OFFSETS,
        )
        names = sessions.columns
        assert names == USER_SESSIONS.column_names
        rows = [dict(zip(names, row, strict=True)) for row in rows_of(sessions)]
        return sorted(rows, key=lambda r: (r["user_id"], r["session_number"]))

    return sessionize


@pytest.fixture
def facts_of(table, rows_of):
    def with_retention(*events):
        played = table(PLAYBACK_EVENTS.columns, events)
        none = table(USERS.columns, []), table(VIDEOS.columns, [])
        sessions = model.sessionize(played, *none, 30, UTC_OFFSETS)
        facts = model.with_retention(sessions, played)
        rows = [dict(zip(facts.columns, row, strict=True)) for row in rows_of(facts)]
        return sorted(rows, key=lambda r: (r["user_id"], r["session_number"]))

    return with_retention


def test_a_pause_of_exactly_the_timeout_keeps_the_session(sessions_of):
    events = [event(t, session=None) for t in (START, "2021-01-01T00:30:00Z")]
    [session] = sessions_of(*events)
    assert session["session_id"] == f"u-{micros(START)}"
    assert session["event_count"] == 2


def test_a_pause_of_a_microsecond_more_ends_it(sessions_of):
    later = "2021-01-01T00:30:00.000001Z"
    sessions = sessions_of(event(session=None), event(later, session=None))
    assert [s["session_id"] for s in sessions] == [
        f"u-{micros(START)}",
        f"u-{micros(later)}",
    ]
    assert [s["session_number"] for s in sessions] == [1, 2]


def test_the_timeout_is_a_setting(sessions_of):
    events = [event(t, session=None) for t in (START, "2021-01-01T00:01:00.000001Z")]
    assert len(sessions_of(*events, timeout=1)) == 2


def test_only_pauses_between_events_without_an_id_count(sessions_of):
    between = event("2021-01-01T00:25:00Z", session="s")
    events = [event(t, session=None) for t in (START, "2021-01-01T00:50:00Z")]
    assert len(sessions_of(between, *events)) == 3


def test_a_session_is_not_split_at_midnight(sessions_of):
    times = ("2021-01-01T23:50:00Z", "2021-01-02T00:10:00Z")
    [session] = sessions_of(*(event(t, session=None) for t in times))
    assert session["session_start_day"] == date(2021, 1, 1)


def test_events_of_one_instant_are_one_session(sessions_of):
    events = [event(session=None, name=n) for n in ("like", "heart", "watch_time")]
    [session] = sessions_of(*events)
    assert (session["event_count"], session["has_like"], session["has_heart"]) == (
        3,
        1,
        1,
    )


def test_users_do_not_share_sessions(sessions_of):
    sessions = sessions_of(
        event(user="a"), event(user="b"), event(user="b", session=None)
    )
    assert [(s["user_id"], s["session_number"]) for s in sessions] == [
        ("a", 1),
        ("b", 1),
        ("b", 2),
    ]


def test_a_session_runs_from_its_start_event_to_its_end_event(sessions_of):
    [session] = sessions_of(
        event("2021-01-01T00:00:00Z"),
        event("2021-01-01T00:01:00Z", "session_start"),
        event("2021-01-01T00:02:00Z", "session_start"),
        event("2021-01-01T00:03:00Z", "session_end"),
        event("2021-01-01T00:04:00Z", "session_end"),
        event("2021-01-01T00:05:00Z"),
    )
    assert session["session_start_ts"] == micros("2021-01-01T00:01:00Z")
    assert session["session_end_ts"] == micros("2021-01-01T00:04:00Z")
    assert session["start_observed"] is True


def test_without_such_events_a_session_runs_from_the_first_event_to_the_last(
    sessions_of,
):
    [session] = sessions_of(event("2021-01-01T00:05:00Z"), event())
    assert session["session_start_ts"] == micros(START)
    assert session["session_end_ts"] == micros("2021-01-01T00:05:00Z")
    assert session["start_observed"] is False


def test_watch_time_is_the_sum_over_watch_time_events(sessions_of):
    [session] = sessions_of(
        event(value=10),
        event(START, value=None),
        event("2021-01-01T00:01:00Z", value=25),
        event(name="like", value=1000),
    )
    assert session["total_watch_time_s"] == 35
    [without] = sessions_of(event(name="like"))
    assert without["total_watch_time_s"] == 0


def test_parts_of_seconds_are_added_exactly_and_then_rounded_down(sessions_of):
    values = {
        "48 s": ["0.98"] * 49,
        "29 s": ["9.99"] * 3,
        "0 s": ["0.000001"] * 3,
        "3 s": ["0.1"] * 30,
    }
    events = [
        event(f"2021-01-01T00:00:{at:02}Z", user=user, value=Decimal(value))
        for user, added in values.items()
        for at, value in enumerate(added)
    ]
    watched = {s["user_id"]: s["total_watch_time_s"] for s in sessions_of(*events)}
    assert {user: f"{seconds} s" for user, seconds in watched.items()} == {
        user: user for user in values
    }


def test_a_session_never_ends_before_its_start(sessions_of):
    [session] = sessions_of(
        event("2021-01-01T00:00:00Z", "session_end"),
        event("2021-01-01T00:01:00Z", "session_start"),
        event("2021-01-01T00:02:00Z", "like"),
    )
    assert session["session_start_ts"] == micros("2021-01-01T00:01:00Z")
    assert session["session_end_ts"] == micros("2021-01-01T00:02:00Z")


def test_an_event_with_the_id_of_a_gap_session_belongs_to_it(sessions_of):
    gap_id = f"u-{micros(START)}"
    [session] = sessions_of(
        event(session=None), event("2021-01-01T09:00:00Z", session=gap_id)
    )
    assert (session["session_id"], session["event_count"]) == (gap_id, 2)


def test_attributes_are_those_of_the_earliest_event_that_has_them(sessions_of):
    [session] = sessions_of(
        event("2021-01-01T00:02:00Z", device="late", country="DE"),
        event("2021-01-01T00:01:00Z", device="b"),
        event("2021-01-01T00:01:00Z", device="a", video_id="v"),
        event(START),
        videos=[["v", "Title", "drama", 90], ["w", "Other", "news", 10]],
        users=[["u", "2020-12-01", "free", None, "f"]],
    )
    assert (session["device"], session["country"]) == ("a", "DE")
    assert session["first_video_title"] == "Title"
    assert session["first_genre"] == "drama"
    assert session["first_video_duration_s"] == 90
    assert session["signup_date"] == date(2020, 12, 1)
    assert session["account_id"] is None


def test_sessions_of_one_start_are_numbered_by_their_id(sessions_of):
    sessions = sessions_of(event(session="b"), event(session="a"), event(session="B"))
    assert [s["session_id"] for s in sessions] == ["B", "a", "b"]


@pytest.mark.parametrize(
    ("next_start", "retained"),
    [("2021-01-04T00:00:00Z", 1), ("2021-01-04T00:00:00.000001Z", 0)],
)
def test_a_next_session_within_72_hours_is_retention(facts_of, next_start, retained):
    first, second = facts_of(event(session="a"), event(next_start, session="b"))
    assert first["retained_next_session_within_3d"] == retained
    assert first["retention_observed"] is True
    assert first["next_session_start_ts"] == micros(next_start)
    assert first["next_session_number"] == 2
    assert second["retained_next_session_within_3d"] == 0
    assert second["retention_observed"] is False
    assert second["next_session_start_ts"] is None


@pytest.mark.parametrize(
    ("newest", "is_observed"),
    [("2021-01-03T23:59:59.999999Z", False), ("2021-01-04T00:00:00Z", True)],
)
def test_a_0_is_final_once_72_hours_of_events_have_followed(
    facts_of, newest, is_observed
):
    first, _ = facts_of(event(), event(newest, user="v"))
    assert first["retained_next_session_within_3d"] == 0
    assert first["retention_observed"] is is_observed


def test_30_seconds_are_success_and_under_10_a_drop_off(facts_of):
    reached_and_dropped = {
        9: (0, 1),
        10: (0, 0),
        29: (0, 0),
        30: (1, 0),
        None: (0, 1),
    }
    events = [event(user=f"{n} s", value=n) for n in reached_and_dropped]
    assert {
        fact["user_id"]: (fact["reached_30s"], fact["dropoff_under_10s"])
        for fact in facts_of(*events)
    } == {f"{n} s": expected for n, expected in reached_and_dropped.items()}


def test_no_events_give_no_sessions(sessions_of, facts_of):
    assert sessions_of() == []
    assert facts_of() == []
