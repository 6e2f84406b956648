"""The counts for the answers: each model takes one pass and gives few rows."""

from datetime import date
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

MOST_GROUPS = 100
VERSION_NAMES = ("device_os", "app_version")


class GenreCount(NamedTuple):
    """The number of first sessions of a genre, which is None if it is unknown.

    Attributes:
        observed: how many of them have a final retention. The retention of a retained
            session is always final.
        others: how many genres this row adds up, as in :func:`largest`.
    """

    genre: str | None
    sessions: int
    reached_30s: int
    retained: int
    observed: int
    others: int = 0


def first_sessions_by_genre(sessions: DataFrame) -> DataFrame:
    """One row per first_genre of users' first sessions: the counts of a GenreCount.

    Args:
        sessions: rows of fact_user_session.
    """
    return (
        sessions.where(F.col("session_number") == 1)
        .groupBy(F.col("first_genre").alias("genre"))
        .agg(
            F.count(F.lit(1)).alias("sessions"),
            total("reached_30s").alias("reached_30s"),
            total("retained_next_session_within_3d").alias("retained"),
            how_many(F.col("retention_observed")).alias("observed"),
        )
    )


class VersionCount(NamedTuple):
    """The number of sessions of one app version; an unknown name is None.

    Attributes:
        dropped: how many of its sessions dropped off.
        first_sessions: how many of its sessions are a user's first.
        first_dropped: how many of these dropped off.
        others: how many app versions this row adds up, as in :func:`largest`.
    """

    device_os: str | None
    app_version: str | None
    sessions: int
    dropped: int
    first_sessions: int
    first_dropped: int
    others: int = 0


def dropoff_by_version(sessions: DataFrame) -> DataFrame:
    """One row per device_os and app_version: the counts of a VersionCount.

    Args:
        sessions: rows of fact_user_session.
    """
    is_first = F.col("session_number") == 1
    is_dropped = F.col("dropoff_under_10s") == 1
    return sessions.groupBy("device_os", "app_version").agg(
        F.count(F.lit(1)).alias("sessions"),
        how_many(is_dropped).alias("dropped"),
        how_many(is_first).alias("first_sessions"),
        how_many(is_first & is_dropped).alias("first_dropped"),
    )


class SystemCount(NamedTuple):
    """The number of sessions of one OS, with the fields of :class:`VersionCount`."""

    device_os: str | None
    sessions: int
    dropped: int
    first_sessions: int
    first_dropped: int
    others: int = 0


def dropoff_by_os(versions: DataFrame) -> DataFrame:
    """One row per device_os: the counts of a SystemCount.

    Args:
        versions: rows of :func:`dropoff_by_version`.
    """
    return versions.groupBy("device_os").agg(
        *(added(column) for column in versions.columns if column not in VERSION_NAMES)
    )


def largest(counts: DataFrame, *names: str) -> DataFrame:
    """The MOST_GROUPS rows with the most sessions, and one row that adds up all others.

    Of rows with equally many sessions, those with the smallest names count as larger;
    NULL is the largest name. The row that adds up has NULL as its names. The column
    ``others`` is the number of rows that it adds up, and 0 in all other rows.

    Args:
        counts: one row per group, with its names, ``sessions`` and other counts.
        names: the columns that name a group. Without the row that adds up, no names are
            in two rows.
    """
    by_size = Window.orderBy(
        F.col("sessions").desc(), *(F.col(name).asc_nulls_last() for name in names)
    )
    is_other = F.col("place") > MOST_GROUPS
    places = F.least(F.row_number().over(by_size), F.lit(MOST_GROUPS + 1))
    return (
        counts.withColumn("place", places)
        .groupBy("place")
        .agg(
            *(F.min(F.when(~is_other, F.col(name))).alias(name) for name in names),
            *(added(column) for column in counts.columns if column not in names),
            how_many(is_other).alias("others"),
        )
        .drop("place")
    )


class NewestEvent(NamedTuple):
    """The newest event of a family, in microseconds since 1970."""

    family: str
    newest_micros: int


def newest_events(
    registrations: DataFrame, loads: DataFrame, playbacks: DataFrame
) -> DataFrame:
    """One row per family, ``app`` and ``playback``, as :class:`NewestEvent`.

    A family without events has no row.

    Args:
        registrations: rows of user_registration.
        loads: rows of app_loaded.
        playbacks: rows of playback_events.
    """
    times = (
        instants("app", registrations, "time")
        .union(instants("app", loads, "time"))
        .union(instants("playback", playbacks, "timestamp"))
    )
    return times.groupBy("family").agg(F.max("micros").alias("newest_micros"))


def instants(family: str, events: DataFrame, column: str) -> DataFrame:
    """One row per event: its family and its microseconds since 1970."""
    return events.select(
        F.lit(family).alias("family"), F.unix_micros(column).alias("micros")
    )


class WeekConversion(NamedTuple):
    """The columns of weekly_summary that the report uses."""

    registration_week: str
    week_start: date
    total_registered: int
    total_converted: int
    is_complete: bool


def conversion_by_week(summary: DataFrame) -> DataFrame:
    """One row per registration week, as :class:`WeekConversion`."""
    return summary.select(*WeekConversion._fields)


class CohortWeek(NamedTuple):
    """The columns of weekly_retention that the report uses."""

    registration_week: str
    week_start: date
    weeks_after: int
    total_registered: int
    active_users: int
    is_complete: bool


def retention_by_week(retention: DataFrame) -> DataFrame:
    """One row per cohort and week after, as :class:`CohortWeek`."""
    return retention.select(*CohortWeek._fields)


def added(count: str) -> Column:
    """The sum of a count, under the same name."""
    return F.sum(count).cast("bigint").alias(count)


def total(flag: str) -> Column:
    """The number of rows that have 1 in a column of 0 and 1."""
    return how_many(F.col(flag) == 1)


def how_many(condition: Column) -> Column:
    """The number of rows for which the condition is true."""
    return F.count(F.when(condition, 1))
