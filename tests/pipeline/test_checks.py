"""The checks of tables before publishing."""

import pytest

from jobs.checks import check_staged, failures, rules
from jobs.errors import InputError, RunError
from jobs.tables import (
    FACT_USER_SESSION,
    PLAYBACK_EVENTS,
    TABLES,
    USER_REGISTRATION,
    USER_SESSIONS,
    USERS,
    WEEKLY_RETENTION,
    WEEKLY_SUMMARY,
    Column,
    Range,
    Table,
)
from tests.support.engine import data_frame

START = "2021-01-01T00:00:00Z"
EVENT = {
    "timestamp": START,
    "user_id": "u",
    "session_id": "s",
    "event_name": "like",
    "derived_tstamp_day": "2021-01-01",
}
SESSION = {
    "user_id": "u",
    "session_id": "s",
    "session_start_ts": START,
    "start_observed": True,
    "session_end_ts": START,
    "total_watch_time_s": 0,
    "event_count": 1,
    "has_heart": 0,
    "has_like": 1,
    "session_number": 1,
    "session_start_day": "2021-01-01",
}
FACT = SESSION | {
    "reached_30s": 0,
    "dropoff_under_10s": 1,
    "retained_next_session_within_3d": 0,
    "retention_observed": False,
}
REGISTRATION = {
    "event": "registered",
    "time": START,
    "initiator_id": 1,
    "derived_tstamp_day": "2021-01-01",
}
SUMMARY = {
    "week_start": "2020-12-28",
    "total_registered": 1,
    "total_converted": 0,
    "conversion_rate": 0,
    "is_complete": False,
    "registration_week": "2020-53",
}
RETENTION = {
    "week_start": "2020-12-28",
    "weeks_after": 0,
    "total_registered": 1,
    "active_users": 0,
    "is_complete": False,
    "registration_week": "2020-53",
}
GOOD = {
    USER_REGISTRATION: [REGISTRATION],
    PLAYBACK_EVENTS: [EVENT],
    USERS: [{"user_id": "u"}],
    USER_SESSIONS: [SESSION],
    FACT_USER_SESSION: [FACT],
    WEEKLY_SUMMARY: [SUMMARY],
    WEEKLY_RETENTION: [RETENTION],
}


@pytest.fixture
def stage(run):
    """Stages the tables of GOOD; the caller can give other rows for some."""

    def stage_all(changed=None):
        for table, rows in (GOOD | (changed or {})).items():
            values = [[row.get(name) for name in table.column_names] for row in rows]
            run.stage(table, data_frame(run.engine, table.schema, values))

    return stage_all


@pytest.fixture
def opened(open_run):
    return open_run()


@pytest.fixture
def run(opened):
    return opened.run


def broken(run):
    found = failures(run, run.staged)
    return {(f.table, f.check): f.violations for f in found}


def test_tables_that_break_no_rule_pass(run, stage):
    stage()
    check_staged(run, GOOD)


ONE_EACH = "(user_id, session_id) is unique, and so it is in user_sessions"
NO_LIKE = SESSION | {"has_like": 2}
COMPLETE = RETENTION | {"is_complete": True}
BROKEN = {
    "a column that is required": (
        {PLAYBACK_EVENTS: [EVENT | {"event_name": None}]},
        {("playback_events", "event_name is not null"): 1},
    ),
    "a flag": (
        {USER_SESSIONS: [NO_LIKE]},
        {("user_sessions", "has_like is 0 or 1"): 1},
    ),
    "a negative value": (
        {PLAYBACK_EVENTS: [EVENT | {"value": -1}]},
        {("playback_events", "value is at least 0"): 1},
    ),
    "a rate above 100 %": (
        {WEEKLY_SUMMARY: [SUMMARY | {"conversion_rate": 101}]},
        {("weekly_summary", "conversion_rate is 0 to 100"): 1},
    ),
    "a share above 1": (
        {WEEKLY_RETENTION: [COMPLETE | {"retention_rate": 1.01}]},
        {("weekly_retention", "retention_rate is 0 to 1"): 1},
    ),
    "a session without events": (
        {USER_SESSIONS: [SESSION | {"event_count": 0}], PLAYBACK_EVENTS: []},
        {("user_sessions", "event_count is at least 1"): 1},
    ),
    "a week twice": (
        {WEEKLY_RETENTION: [RETENTION, RETENTION]},
        {("weekly_retention", "(registration_week, weeks_after) is unique"): 1},
    ),
    "a key twice": (
        {USERS: [{"user_id": "u"}, {"user_id": "u", "gender": "f"}]},
        {("users", "(user_id) is unique"): 1},
    ),
    "a session twice": (
        {
            USER_SESSIONS: [SESSION, SESSION | {"country": "NZ"}],
            PLAYBACK_EVENTS: [EVENT, EVENT | {"country": "NZ"}],
            FACT_USER_SESSION: [FACT, FACT | {"country": "NZ"}],
        },
        {
            ("user_sessions", "(user_id, session_number) is unique"): 1,
            ("fact_user_session", ONE_EACH): 1,
        },
    ),
    "a fact without a session": (
        {FACT_USER_SESSION: [FACT | {"session_id": "other"}]},
        {("fact_user_session", ONE_EACH): 2},
    ),
    "a session without a fact": (
        {FACT_USER_SESSION: []},
        {("fact_user_session", ONE_EACH): 1},
    ),
    "an event without a session": (
        {PLAYBACK_EVENTS: [EVENT, EVENT | {"event_name": "heart"}]},
        {("user_sessions", "every playback event belongs to one session"): 1},
    ),
    "an ill-formed week": (
        {
            WEEKLY_SUMMARY: [SUMMARY | {"registration_week": "2020-54"}],
            WEEKLY_RETENTION: [RETENTION | {"registration_week": "2020-54"}],
        },
        {
            ("weekly_summary", "registration_week is YYYY-WW"): 1,
            ("weekly_retention", "registration_week is YYYY-WW"): 1,
        },
    ),
    "a user who is counted nowhere": (
        {USER_REGISTRATION: [REGISTRATION, REGISTRATION | {"initiator_id": 2}]},
        {("weekly_summary", "every registered user is counted in one week"): 1},
    ),
    "a cohort of another size": (
        {WEEKLY_RETENTION: [RETENTION | {"total_registered": 2}]},
        {("weekly_retention", "a cohort is as large as its week's registrations"): 1},
    ),
    "an unfinished week with a rate": (
        {WEEKLY_RETENTION: [RETENTION | {"retention_rate": 0.5}]},
        {("weekly_retention", "a week has a rate if and only if it is complete"): 1},
    ),
    "more converted than registered": (
        {WEEKLY_SUMMARY: [SUMMARY | {"total_converted": 2}]},
        {("weekly_summary", "no more converted than registered"): 1},
    ),
    "a retained session without a next one": (
        {FACT_USER_SESSION: [FACT | {"retained_next_session_within_3d": 1}]},
        {("fact_user_session", "a retained session has a next one"): 1},
    ),
}


# Every check runs the SQL of all rules.
IN_CI_ON_SPARK = "a session twice"


@pytest.mark.parametrize(
    "what",
    [
        IN_CI_ON_SPARK,
        *(
            pytest.param(what, marks=pytest.mark.long_on_spark)
            for what in BROKEN
            if what != IN_CI_ON_SPARK
        ),
    ],
)
def test_a_failed_check_is_named_with_its_count(run, stage, what):
    changed, expected = BROKEN[what]
    stage(changed)
    assert broken(run) == expected


def test_a_failed_check_names_its_count_and_an_example(run, stage):
    twice = [SESSION, SESSION | {"session_id": "t", "has_like": 2, "session_number": 2}]
    more = [EVENT, EVENT | {"session_id": "t"}]
    facts = [FACT, FACT | {"session_id": "t", "session_number": 2}]
    stage({USER_SESSIONS: twice, PLAYBACK_EVENTS: more, FACT_USER_SESSION: facts})
    with pytest.raises(RunError) as refused:
        check_staged(run, GOOD)
    assert str(refused.value) == (
        "nothing is published: user_sessions: has_like is 0 or 1: broken once,"
        " such as u t"
    )


def test_a_table_is_checked_against_those_that_are_published(opened, open_run, stage):
    stage()
    opened.publish()
    run = open_run().run
    values = [[FACT.get(name) for name in FACT_USER_SESSION.column_names]] * 2
    run.stage(
        FACT_USER_SESSION, data_frame(run.engine, FACT_USER_SESSION.schema, values)
    )
    assert broken(run) == {("fact_user_session", ONE_EACH): 1}


def test_a_table_that_a_check_reads_must_exist(run):
    no_facts = data_frame(run.engine, FACT_USER_SESSION.schema, [])
    run.stage(FACT_USER_SESSION, no_facts)
    with pytest.raises(InputError, match="there is no table user_sessions yet"):
        check_staged(run, [FACT_USER_SESSION])


def test_rows_with_nulls_and_with_the_least_and_most_allowed_are_published(run, stage):
    weeks = {
        WEEKLY_SUMMARY: [SUMMARY | {"total_converted": 1, "conversion_rate": 100}],
        WEEKLY_RETENTION: [
            COMPLETE | {"retention_rate": 0},
            COMPLETE | {"retention_rate": 1, "weeks_after": 1},
            RETENTION | {"retention_rate": None, "weeks_after": 2},
        ],
    }
    values = [EVENT | {"value": 0}, EVENT | {"value": None}]
    two_events = {"event_count": 2}
    stage(
        weeks
        | {
            PLAYBACK_EVENTS: values,
            USER_SESSIONS: [SESSION | two_events],
            FACT_USER_SESSION: [FACT | two_events],
        }
    )
    assert broken(run) == {}


@pytest.mark.long_on_spark
def test_tables_without_rows_break_no_rule(run, stage):
    stage({table: [] for table in GOOD})
    assert broken(run) == {}


def test_the_rules_for_a_row_follow_from_the_catalogue():
    table = Table(
        "some",
        "staging",
        "some_job",
        (
            Column("id", "STRING"),
            Column("flag", "INT", allowed=(0, 1)),
            Column("share", "DOUBLE", allowed=Range(0, 1), nullable=True),
        ),
        Column("count", "INT", allowed=Range(1)),
        key=("id",),
    )
    assert list(rules(table)) == [
        ("id is not null", "t.id IS NOT NULL"),
        ("flag is not null", "t.flag IS NOT NULL"),
        ("flag is 0 or 1", "t.flag IN (0, 1)"),
        ("share is 0 to 1", "t.share BETWEEN 0 AND 1"),
        ("count is not null", "t.count IS NOT NULL"),
        ("count is at least 1", "t.count >= 1"),
    ]


def test_every_table_has_rules_and_every_rule_a_name_of_its_own():
    for table in TABLES:
        names = [name for name, _ in rules(table)]
        assert names
        assert len(set(names)) == len(names)
