"""What must hold of tables before they are published, in SQL that both engines speak.

The rules of a row go through a table once; the others compare rows or tables.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from jobs.errors import RunError
from jobs.publishing.run import Run
from jobs.quoting import text
from jobs.tables import (
    APP_LOADED,
    FACT_USER_SESSION,
    PLAYBACK_EVENTS,
    REJECTED_EVENTS,
    USER_REGISTRATION,
    USER_SESSIONS,
    USERS,
    VIDEOS,
    WEEKLY_RETENTION,
    WEEKLY_SUMMARY,
    Table,
)


@dataclass(frozen=True)
class Check:
    """One promise of a table.

    Attributes:
        name: what is promised, as a sentence.
        table: the table that promises it.
        violations: a query that gives one text, ``example``, for each violation.
        reads: the other tables that the query reads.
    """

    name: str
    table: Table
    violations: str
    reads: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A check that failed: how often, and the smallest example."""

    table: str
    check: str
    violations: int
    example: str

    def __str__(self) -> str:
        times = "once" if self.violations == 1 else f"{self.violations:,} times"
        return f"{self.table}: {self.check}: broken {times}, such as {self.example}"


# What a row is known by, when it breaks a rule. Never what a rejected line holds.
_KEYS = {
    USER_REGISTRATION: ("initiator_id", "time"),
    APP_LOADED: ("initiator_id", "time"),
    PLAYBACK_EVENTS: ("user_id", "timestamp", "event_name"),
    USERS: ("user_id",),
    VIDEOS: ("video_id",),
    REJECTED_EVENTS: ("source_file",),
    USER_SESSIONS: ("user_id", "session_id"),
    FACT_USER_SESSION: ("user_id", "session_id"),
    WEEKLY_SUMMARY: ("registration_week",),
    WEEKLY_RETENTION: ("registration_week", "weeks_after"),
}

_MAY_BE_NULL = {
    USER_REGISTRATION: {"channel"},
    APP_LOADED: {"device_type"},
    PLAYBACK_EVENTS: set(PLAYBACK_EVENTS.column_names)
    - {"timestamp", "user_id", "event_name", "derived_tstamp_day"},
    USERS: set(USERS.column_names) - {"user_id"},
    VIDEOS: set(VIDEOS.column_names) - {"video_id"},
    REJECTED_EVENTS: set(),
    USER_SESSIONS: {
        *("account_id", "device", "device_os", "app_version", "country"),
        *("first_video_id", "first_video_title", "first_genre"),
        *("first_video_duration_s", "signup_date", "subscription_tier"),
        *("age_group", "gender"),
    },
    WEEKLY_SUMMARY: set(),
    WEEKLY_RETENTION: {"retention_rate"},
}
_MAY_BE_NULL[FACT_USER_SESSION] = _MAY_BE_NULL[USER_SESSIONS] | {
    *("next_session_start_ts", "next_session_number"),
}

_FLAGS = (
    *("has_heart", "has_like", "reached_30s", "dropoff_under_10s"),
    "retained_next_session_within_3d",
)

_IS_WEEK = (
    "t.registration_week LIKE '____-__'"
    " AND substr(t.registration_week, 1, 4) BETWEEN '1969' AND '2100'"
    " AND substr(t.registration_week, 6) BETWEEN '01' AND '53'"
)

# Of a row, by name: what holds of it.
_FURTHER_RULES: Mapping[Table, Mapping[str, str]] = {
    PLAYBACK_EVENTS: {"value is at least 0": "t.value >= 0 OR t.value IS NULL"},
    USER_SESSIONS: {
        "a session has events": "t.event_count >= 1",
        "session_number is at least 1": "t.session_number >= 1",
        "total_watch_time_s is at least 0": "t.total_watch_time_s >= 0",
    },
    FACT_USER_SESSION: {
        "no session both reaches 30 s and drops off": (
            "t.reached_30s + t.dropoff_under_10s <= 1"
        ),
        "a retained session has a next one": (
            "t.retained_next_session_within_3d = 0"
            " OR t.next_session_start_ts IS NOT NULL AND t.retention_observed"
        ),
    },
    WEEKLY_SUMMARY: {
        "registration_week is YYYY-WW": _IS_WEEK,
        "no more converted than registered": (
            "t.total_converted BETWEEN 0 AND t.total_registered"
        ),
        "conversion_rate is a percentage": "t.conversion_rate BETWEEN 0 AND 100",
    },
    WEEKLY_RETENTION: {
        "registration_week is YYYY-WW": _IS_WEEK,
        "weeks_after is at least 0": "t.weeks_after >= 0",
        "no more active than registered": (
            "t.active_users BETWEEN 0 AND t.total_registered"
        ),
        "a week has a rate if and only if it is complete": (
            "t.is_complete = (t.retention_rate IS NOT NULL)"
        ),
        "retention_rate is a share": (
            "t.retention_rate BETWEEN 0 AND 1 OR t.retention_rate IS NULL"
        ),
    },
}


def failures(
    run: Run, tables: Iterable[Table], without: Collection[Check] = ()
) -> list[Failure]:
    """The failed checks of these tables, but for some that would not make sense.

    Raises:
        InputError: one of them, or another that a check reads, is not there.
    """
    checks = [c for c in CHECKS if c.table in tables and c not in without]
    queries = [_broken_rules(table) for table in tables]
    queries += [
        f"SELECT {text(check.table.name)} AS table_name, {text(check.name)} AS rule,"
        f" count(*) AS violations, min(example) AS example FROM ({check.violations})"
        for check in checks
    ]
    reads = dict.fromkeys([*tables, *(read for c in checks for read in c.reads)])
    if not queries:
        return []
    files = {table: run.files(table) for table in reads}
    found = run.engine.query(" UNION ALL ".join(queries), files)
    return [Failure(*row) for row in sorted(found) if row[2]]


def check_staged(run: Run, tables: Iterable[Table]) -> None:
    """Check tables that a run has staged, and how they fit those that are there.

    Raises:
        RunError: a check failed; the message names it, the count and an example.
    """
    if failed := failures(run, tables):
        raise RunError(f"nothing is published: {'; '.join(map(str, failed))}")


def rules(table: Table) -> Iterator[tuple[str, str]]:
    """What holds of each row of a table: the rule's name and its condition."""
    for name in table.column_names:
        if name not in _MAY_BE_NULL[table]:
            yield f"{name} is not null", f"t.{name} IS NOT NULL"
        if name in _FLAGS:
            yield f"{name} is 0 or 1", f"t.{name} BETWEEN 0 AND 1"
    yield from _FURTHER_RULES.get(table, {}).items()


def _broken_rules(table: Table) -> str:
    """A row for each rule that rows of the table break; a row counts once."""
    broken = [(name, f"NOT ({holds})") for name, holds in rules(table)]
    which = " ".join(
        f"WHEN {is_broken} THEN {text(name)}" for name, is_broken in broken
    )
    return (
        f"SELECT {text(table.name)} AS table_name, rule, count(*) AS violations,"
        f" min(example) AS example FROM (SELECT CASE {which} END AS rule,"
        f" {_shown(*_KEYS[table])} AS example FROM {table.name} AS t"
        f" WHERE {' OR '.join(is_broken for _, is_broken in broken)}) GROUP BY rule"
    )


def _unique(table: Table, *key: str) -> Check:
    columns = ", ".join(f"t.{name}" for name in key)
    return Check(
        f"({', '.join(key)}) is unique",
        table,
        f"SELECT {_shown(*key)} AS example FROM {table.name} AS t"
        f" GROUP BY {columns} HAVING count(*) > 1",
    )


def _same(name: str, table: Table, one: str, other: str, *reads: Table) -> Check:
    """Two counts that are the same, whichever layer they come from."""
    return Check(
        name,
        table,
        "SELECT concat(CAST(one AS STRING), ' and ', CAST(other AS STRING)) AS example"
        f" FROM (SELECT coalesce(({one}), 0) AS one, coalesce(({other}), 0) AS other)"
        " WHERE one <> other",
        reads,
    )


def _shown(*columns: str) -> str:
    texts = (f"coalesce(CAST(t.{name} AS STRING), 'NULL')" for name in columns)
    return f"concat_ws(' ', {', '.join(texts)})"


CHECKS = (
    *(_unique(table, *_KEYS[table]) for table in (USERS, VIDEOS, WEEKLY_SUMMARY)),
    _unique(USER_SESSIONS, "user_id", "session_number"),
    _unique(WEEKLY_RETENTION, "registration_week", "weeks_after"),
    _same(
        "every playback event belongs to one session",
        USER_SESSIONS,
        "SELECT sum(event_count) FROM user_sessions",
        "SELECT count(*) FROM playback_events",
        PLAYBACK_EVENTS,
    ),
    Check(
        # One grouping tells of both tables whether the key is unique and has a match.
        "(user_id, session_id) is unique, and so it is in user_sessions",
        FACT_USER_SESSION,
        f"SELECT {_shown('user_id', 'session_id')} AS example FROM ("
        "SELECT user_id, session_id, 1 AS facts, 0 AS sessions FROM fact_user_session"
        " UNION ALL SELECT user_id, session_id, 0, 1 FROM user_sessions"
        ") AS t GROUP BY t.user_id, t.session_id"
        " HAVING sum(t.facts) <> 1 OR sum(t.sessions) <> 1",
        (USER_SESSIONS,),
    ),
    _same(
        "every registered user is counted in one week",
        WEEKLY_SUMMARY,
        "SELECT sum(total_registered) FROM weekly_summary",
        "SELECT count(DISTINCT initiator_id) FROM user_registration",
        USER_REGISTRATION,
    ),
    Check(
        "a cohort is as large as its week's registrations",
        WEEKLY_RETENTION,
        f"SELECT {_shown('registration_week', 'weeks_after')} AS example"
        " FROM weekly_retention AS t LEFT JOIN weekly_summary AS s"
        " ON t.registration_week = s.registration_week"
        " AND t.total_registered = s.total_registered"
        " WHERE s.registration_week IS NULL",
        (WEEKLY_SUMMARY,),
    ),
)
