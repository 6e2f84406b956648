"""The checks of tables before publishing, in SQL that both engines understand.

All rules for a row take one pass over a table. The other checks compare rows or tables.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from jobs.errors import RunError
from jobs.publishing.run import Run
from jobs.quoting import text
from jobs.tables import (
    FACT_USER_SESSION,
    PLAYBACK_EVENTS,
    TABLES,
    USER_REGISTRATION,
    USER_SESSIONS,
    WEEKLY_RETENTION,
    WEEKLY_SUMMARY,
    Range,
    Table,
)


@dataclass(frozen=True)
class Check:
    """A check of one table.

    Attributes:
        name: the condition that the table has to meet, as a sentence.
        table: the table.
        violations: a query that gives one text, ``example``, for each violation.
        reads: the other tables that the query reads.
    """

    name: str
    table: Table
    violations: str
    reads: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A check that failed: the number of violations, and the smallest example."""

    table: str
    check: str
    violations: int
    example: str

    def __str__(self) -> str:
        times = "once" if self.violations == 1 else f"{self.violations:,} times"
        return f"{self.table}: {self.check}: broken {times}, such as {self.example}"


_IS_WEEK = (
    "t.registration_week LIKE '____-__'"
    " AND substr(t.registration_week, 1, 4) BETWEEN '0001' AND '9999'"
    " AND substr(t.registration_week, 6) BETWEEN '01' AND '53'"
)

# Rules for a row that compare its columns or require a format, by name.
_FURTHER_RULES: Mapping[Table, Mapping[str, str]] = {
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
        "no more converted than registered": "t.total_converted <= t.total_registered",
    },
    WEEKLY_RETENTION: {
        "registration_week is YYYY-WW": _IS_WEEK,
        "no more active than registered": "t.active_users <= t.total_registered",
        "a week has a rate if and only if it is complete": (
            "t.is_complete = (t.retention_rate IS NOT NULL)"
        ),
    },
}


def failures(
    run: Run, tables: Iterable[Table], without: Collection[Check] = ()
) -> list[Failure]:
    """The failed checks of these tables; some checks can be left out.

    Raises:
        InputError: one of the tables, or a table that a check reads, does not exist.
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
    """Check tables that a run has staged, also against the published tables.

    Raises:
        RunError: a check failed; the message has its name, a count and an example.
    """
    if failed := failures(run, tables):
        raise RunError(f"nothing is published: {'; '.join(map(str, failed))}")


def rules(table: Table) -> Iterator[tuple[str, str]]:
    """The rules for each row of a table: the rule's name and its condition.

    A condition that is NULL counts as true, so that a rule for a value accepts NULL.
    """
    for column in table.schema:
        if not column.nullable:
            yield f"{column.name} is not null", f"t.{column.name} IS NOT NULL"
        if column.allowed is not None:
            yield _allowed(column.name, column.allowed)
    yield from _FURTHER_RULES.get(table, {}).items()


def _allowed(name: str, allowed: Range | tuple[int, ...]) -> tuple[str, str]:
    """The rule that a column has an allowed value: its name and its condition."""
    match allowed:
        case Range(least, None):
            return f"{name} is at least {least}", f"t.{name} >= {least}"
        case Range(least, most):
            return (
                f"{name} is {least} to {most}",
                f"t.{name} BETWEEN {least} AND {most}",
            )
        case values:
            listed = list(map(str, values))
            return (
                f"{name} is {' or '.join(listed)}",
                f"t.{name} IN ({', '.join(listed)})",
            )


def _broken_rules(table: Table) -> str:
    """SQL that counts the rows that break each rule; a row counts for one rule."""
    broken = [(name, f"NOT ({holds})") for name, holds in rules(table)]
    which = " ".join(
        f"WHEN {is_broken} THEN {text(name)}" for name, is_broken in broken
    )
    return (
        f"SELECT {text(table.name)} AS table_name, rule, count(*) AS violations,"
        f" min(example) AS example FROM (SELECT CASE {which} END AS rule,"
        f" {_shown(*(table.shown_by or table.key))} AS example FROM {table.name} AS t"
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
    """A check that two queries give the same number."""
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
    *(
        _unique(table, *table.key)
        for table in TABLES
        if table.key and table not in (USER_SESSIONS, FACT_USER_SESSION)
    ),
    _unique(USER_SESSIONS, "user_id", "session_number"),
    _same(
        "every playback event belongs to one session",
        USER_SESSIONS,
        "SELECT sum(event_count) FROM user_sessions",
        "SELECT count(*) FROM playback_events",
        PLAYBACK_EVENTS,
    ),
    Check(
        # One GROUP BY checks the keys of both tables, and that each key is in both.
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
