"""The rules for conversion: who registered in a week, and who came back later."""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.local_time import local_day
from jobs.tables import WEEKLY_RETENTION, WEEKLY_SUMMARY
from jobs.zones import Offsets

DAYS_PER_WEEK = 7


def first_registrations(registrations: DataFrame, zone: Offsets) -> DataFrame:
    """One row per user: the earliest registration.

    Columns: initiator_id, time, channel (at equal times the smallest, NULL last) and
    registration_monday DATE.
    """
    earliest = F.min(
        F.struct("time", F.col("channel").isNull().alias("unknown"), "channel")
    )
    return (
        registrations.groupBy("initiator_id")
        .agg(earliest.alias("first"))
        .select(
            "initiator_id",
            F.col("first").getField("time").alias("time"),
            F.col("first").getField("channel").alias("channel"),
        )
        .withColumn("registration_monday", monday("time", zone))
    )


def weekly_summary(
    registrations: DataFrame,
    loads: DataFrame,
    newest_event: DataFrame,
    mode: str,
    week_offset: int,
    zone: Offsets,
) -> DataFrame:
    """One row per registration week: the rows of weekly_summary.

    Args:
        registrations: rows of :func:`first_registrations`.
        loads: rows of app_loaded.
        newest_event: the row of :func:`newest_event`.
        mode: ``first`` (only the user's earliest load counts) or ``any``.
        week_offset: weeks from the registration's week to the week that counts.
        zone: the time zone of weeks.
    """
    deciding = (
        active_weeks(loads, zone)
        .groupBy("loader_id")
        .agg(F.min("load_monday").alias("load_monday"))
        if mode == "first"
        else active_weeks(loads, zone)
    )
    is_converted = week_diff() == week_offset
    return (
        registrations.join(deciding, on=is_same_user(), how="left")
        .groupBy("initiator_id", "registration_monday")
        .agg(F.max(F.when(is_converted, 1).otherwise(0)).alias("converted"))
        .groupBy("registration_monday")
        .agg(
            F.count(F.lit(1)).alias("total_registered"),
            F.sum("converted").cast("bigint").alias("total_converted"),
        )
        .crossJoin(newest_event)
        .withColumns(
            {
                "week_start": F.col("registration_monday"),
                "conversion_rate": whole_percent("total_converted", "total_registered"),
                "is_complete": is_over(weeks_later(F.lit(week_offset))),
                "registration_week": iso_week("registration_monday"),
            }
        )
        .select(*WEEKLY_SUMMARY.column_names)
    )


class Overall(NamedTuple):
    """The users of all weeks."""

    total_registered: int
    total_converted: int


def overall(summary: DataFrame) -> DataFrame:
    """One row, as :class:`Overall`; without any week, both totals are 0."""
    return summary.agg(
        *(
            F.coalesce(F.sum(total), F.lit(0)).cast("bigint").alias(total)
            for total in Overall._fields
        )
    )


def weekly_retention(
    registrations: DataFrame,
    loads: DataFrame,
    newest_event: DataFrame,
    retention_weeks: int,
    zone: Offsets,
) -> DataFrame:
    """One row per cohort and week that has begun: the rows of weekly_retention.

    Args:
        registrations: rows of :func:`first_registrations`.
        loads: rows of app_loaded.
        newest_event: the row of :func:`newest_event`.
        retention_weeks: the number of weeks to follow after the registration week.
        zone: the time zone of weeks.
    """
    weeks = F.explode(F.sequence(F.lit(0), F.lit(retention_weeks)))
    week = weeks_later(F.col("weeks_after"))
    cohort_weeks = (
        registrations.groupBy("registration_monday")
        .agg(F.count(F.lit(1)).alias("total_registered"))
        .crossJoin(newest_event)
        .withColumn("weeks_after", weeks)
        .where(has_begun(week))
    )
    active = (
        registrations.join(active_weeks(loads, zone), on=is_same_user(), how="inner")
        .groupBy(
            F.col("registration_monday").alias("active_cohort"),
            week_diff().alias("active_week"),
        )
        .agg(F.count(F.lit(1)).alias("active"))
    )
    is_same_week = (F.col("registration_monday") == F.col("active_cohort")) & (
        F.col("weeks_after") == F.col("active_week")
    )
    active_users = F.coalesce("active", F.lit(0))
    is_complete = is_over(week)
    return (
        cohort_weeks.join(active, on=is_same_week, how="left")
        .withColumns(
            {
                "active_users": active_users,
                "retention_rate": F.when(
                    is_complete, active_users / F.col("total_registered")
                ),
                "is_complete": is_complete,
                "week_start": F.col("registration_monday"),
                "registration_week": iso_week("registration_monday"),
            }
        )
        .select(*WEEKLY_RETENTION.column_names)
    )


def newest_event(
    registrations: DataFrame, loads: DataFrame, zone: Offsets
) -> DataFrame:
    """One row: newest_monday DATE, the Monday of the newest stored app event's week.

    The Monday is NULL if there is no app event.
    """
    times = registrations.select("time").union(loads.select("time"))
    newest = times.agg(F.max("time").alias("time"))
    return newest.select(monday("time", zone).alias("newest_monday"))


def active_weeks(loads: DataFrame, zone: Offsets) -> DataFrame:
    """One row per user and week with a load: loader_id, load_monday DATE."""
    # loader_id, since the sides of a join share no column name: if the next step used a
    # shared name twice, SQLFrame would take it from one side first, and then from the
    # other.
    return loads.select(
        F.col("initiator_id").alias("loader_id"),
        monday("time", zone).alias("load_monday"),
    ).distinct()


def is_same_user() -> Column:
    """Joins registrations with :func:`active_weeks`."""
    return F.col("initiator_id") == F.col("loader_id")


def monday(instant: str, zone: Offsets) -> Column:
    """The Monday, a DATE, of the ISO week that an instant lies in."""
    return F.trunc(local_day(instant, zone), "week")


def week_diff() -> Column:
    """Weeks from the registration's Monday to the load's, by date arithmetic."""
    days = F.datediff("load_monday", "registration_monday")
    return F.floor(days / DAYS_PER_WEEK).cast("int")


def weeks_later(weeks: Column) -> Column:
    """The Monday that is this many weeks after the registration's Monday."""
    return F.date_add("registration_monday", weeks * DAYS_PER_WEEK)


def is_over(week: Column) -> Column:
    """Whether a week, named by its Monday, had ended by the newest stored app event.

    The rows need the column of :func:`newest_event`.
    """
    return week < F.col("newest_monday")


def has_begun(week: Column) -> Column:
    """Whether a week, named by its Monday, had begun by the newest stored app event.

    The rows need the column of :func:`newest_event`.
    """
    return week <= F.col("newest_monday")


def iso_week(name: str) -> Column:
    """``YYYY-WW``: the ISO year and week of a Monday. The year is its Thursday's."""
    year = F.lpad(F.year(F.date_add(name, 3)).cast("string"), 4, "0")
    week = F.lpad(F.weekofyear(name).cast("string"), 2, "0")
    return F.concat_ws("-", year, week)


def whole_percent(part: str, whole: str) -> Column:
    """100 * part / whole as INT, halves rounded up; whole is at least 1."""
    doubled = 200 * F.col(part) + F.col(whole)
    return F.floor(doubled / (2 * F.col(whole))).cast("int")
