"""The counts behind the answers: each model is one pass, and its result is small."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def first_sessions_by_genre(sessions: DataFrame) -> DataFrame:
    """One row per first_genre of users' first sessions, NULL for an unknown one.

    Columns: genre, sessions, reached_30s, retained, and observed: how many of them have
    a retention that is final. A retained session is an observed one.

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


def dropoff_by_version(sessions: DataFrame) -> DataFrame:
    """One row per device_os and app_version, NULL for an unknown one.

    Columns: device_os, app_version, sessions, dropped (how many of them were left
    within 10 seconds), first_sessions and first_dropped (of first sessions alone).

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


def newest_events(
    registrations: DataFrame, loads: DataFrame, playbacks: DataFrame
) -> DataFrame:
    """One row per family of events, ``app`` and ``playback``, that has any.

    Columns: family, newest_micros: its newest event, in microseconds since 1970.

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


def conversion_by_week(summary: DataFrame) -> DataFrame:
    """One row per registration week: what the report takes of weekly_summary."""
    return summary.select(
        "registration_week",
        "week_start",
        "total_registered",
        "total_converted",
        "is_complete",
    )


def retention_by_week(retention: DataFrame) -> DataFrame:
    """One row per cohort and week after: what the report takes of weekly_retention."""
    return retention.select(
        "registration_week",
        "week_start",
        "weeks_after",
        "total_registered",
        "active_users",
        "is_complete",
    )


def total(flag: str) -> Column:
    """How many rows have 1 in a column of 0 and 1."""
    return how_many(F.col(flag) == 1)


def how_many(condition: Column) -> Column:
    """How many rows the condition holds for."""
    return F.count(F.when(condition, 1))
