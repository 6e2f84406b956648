"""The rules for a session: where it begins and ends, and its attributes."""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from jobs.local_time import local_day
from jobs.tables import FACT_USER_SESSION, USER_SESSIONS
from jobs.zones import Offsets

MICROS_PER_MINUTE = 60_000_000
RETENTION_MICROS = 72 * 60 * MICROS_PER_MINUTE

_MOST_SECONDS = 2**63 - 1
_ATTRIBUTES = ("account_id", "device", "device_os", "app_version", "country")


def sessionize(
    events: DataFrame,
    users: DataFrame,
    videos: DataFrame,
    timeout_minutes: int,
    zone: Offsets,
) -> DataFrame:
    """One row per (user_id, session_id): the rows of user_sessions.

    Args:
        events: rows of playback_events.
        users: rows of users.
        videos: rows of videos.
        timeout_minutes: a longer pause opens a new session, for events without an id.
        zone: the time zone of days.
    """
    return (
        with_session_id(events, timeout_minutes)
        .transform(by_session)
        .transform(with_attributes, users, videos)
        .withColumns(
            {
                "session_number": F.row_number().over(per_user_in_order()),
                "session_start_day": local_day("session_start_ts", zone),
            }
        )
        .select(*USER_SESSIONS.column_names)
    )


def with_session_id(events: DataFrame, timeout_minutes: int) -> DataFrame:
    """All events, each with its own session_id or that of its gap session."""
    identified = events.where(F.col("session_id").isNotNull())
    anonymous = events.where(F.col("session_id").isNull()).transform(
        with_gap_session_id, timeout_minutes
    )
    return identified.select(*events.columns).union(anonymous.select(*events.columns))


def with_gap_session_id(events: DataFrame, timeout_minutes: int) -> DataFrame:
    """The events, each with the session_id of its gap session.

    The id is ``{user_id}-{microseconds since 1970 of the session's first event}``.
    """
    in_order = Window.partitionBy("user_id").orderBy("timestamp")
    # A range takes events of one instant together, so their order does not matter.
    until_now = in_order.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    instant = F.unix_micros("timestamp")
    opening = F.when(starts_session(timeout_minutes, in_order), instant)
    opened = F.max("opening").over(until_now).cast("string")
    return events.withColumn("opening", opening).withColumn(
        "session_id", F.concat_ws("-", "user_id", opened)
    )


def starts_session(timeout_minutes: int, in_order: WindowSpec) -> Column:
    """Whether the pause before an event is longer than the timeout."""
    instant = F.unix_micros("timestamp")
    pause = instant - F.lag(instant).over(in_order)
    return F.coalesce(pause > timeout_minutes * MICROS_PER_MINUTE, F.lit(True))


def by_session(events: DataFrame) -> DataFrame:
    """One row per session, aggregated from its events."""
    ended = F.max(F.when(is_event("session_end"), F.col("timestamp")))
    return events.groupBy("user_id", "session_id").agg(
        session_start().alias("session_start_ts"),
        (F.max(as_flag(is_event("session_start"))) == 1).alias("start_observed"),
        F.when(ended >= session_start(), ended)
        .otherwise(F.max("timestamp"))
        .alias("session_end_ts"),
        total_watch_time().alias("total_watch_time_s"),
        F.count(F.lit(1)).alias("event_count"),
        F.max(as_flag(is_event("heart"))).alias("has_heart"),
        F.max(as_flag(is_event("like"))).alias("has_like"),
        *(earliest(name).alias(name) for name in _ATTRIBUTES),
        earliest("video_id").alias("first_video_id"),
    )


def session_start() -> Column:
    """The earliest session_start of a session, or else its earliest event."""
    started = F.min(F.when(is_event("session_start"), F.col("timestamp")))
    return F.coalesce(started, F.min("timestamp"))


def total_watch_time() -> Column:
    """Seconds watched, added exactly and then rounded down; 0 if none.

    A sum too large for BIGINT becomes its maximum.
    """
    seconds = F.sum(F.when(is_event("watch_time"), F.col("value")))
    at_least_0 = F.coalesce(seconds, F.lit(0)).cast("decimal(38, 6)")
    most = F.lit(_MOST_SECONDS).cast("decimal(38, 6)")
    return F.floor(F.least(at_least_0, most)).cast("bigint")


def with_attributes(
    sessions: DataFrame, users: DataFrame, videos: DataFrame
) -> DataFrame:
    """The sessions with the attributes of their user and of their first video."""
    # The sides of a join share no column name: if the next step used a shared name
    # twice, SQLFrame would take it from one side first, and then from the other.
    first_videos = videos.select(
        "video_id",
        F.col("title").alias("first_video_title"),
        F.col("genre").alias("first_genre"),
        F.col("duration_seconds").alias("first_video_duration_s"),
    )
    known_users = users.withColumnRenamed("user_id", "known_user_id")
    return sessions.join(
        first_videos, on=F.col("first_video_id") == F.col("video_id"), how="left"
    ).join(known_users, on=F.col("user_id") == F.col("known_user_id"), how="left")


def with_retention(sessions: DataFrame, events: DataFrame) -> DataFrame:
    """One row per session with its success and retention: fact_user_session.

    Args:
        sessions: rows of user_sessions.
        events: rows of playback_events; retention is observed up to the newest event.
    """
    in_order = per_user_in_order()
    newest = events.agg(F.max("timestamp").alias("newest_event_ts"))
    is_retained = micros_until("next_session_start_ts") <= RETENTION_MICROS
    is_over = micros_until("newest_event_ts") >= RETENTION_MICROS
    return (
        sessions.crossJoin(newest)
        .withColumns(
            {
                "next_session_start_ts": F.lead("session_start_ts").over(in_order),
                "next_session_number": F.lead("session_number").over(in_order),
            }
        )
        .withColumns(
            {
                "reached_30s": as_flag(F.col("total_watch_time_s") >= 30),
                "dropoff_under_10s": as_flag(F.col("total_watch_time_s") < 10),
                "retained_next_session_within_3d": as_flag(is_retained),
                "retention_observed": F.coalesce(is_retained, F.lit(False)) | is_over,
            }
        )
        .select(*FACT_USER_SESSION.column_names)
    )


def micros_until(name: str) -> Column:
    """Microseconds from a session's start to an instant."""
    return F.unix_micros(name) - F.unix_micros("session_start_ts")


def per_user_in_order() -> WindowSpec:
    """A user's sessions in order of their start; session_id makes the order unique."""
    return Window.partitionBy("user_id").orderBy("session_start_ts", "session_id")


def is_event(name: str) -> Column:
    """Whether a playback event has this event_name."""
    return F.col("event_name") == name


def as_flag(condition: Column) -> Column:
    """1 where the condition holds, 0 where it does not or is unknown."""
    return F.when(condition, F.lit(1)).otherwise(F.lit(0)).cast("int")


def earliest(name: str) -> Column:
    """The value at the earliest event that has one; at equal times the smallest."""
    known = F.when(
        F.col(name).isNotNull(),
        F.struct(F.col("timestamp").alias("at"), F.col(name).alias("value")),
    )
    return F.min(known).getField("value")
