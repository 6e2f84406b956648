"""``python -m benchmarks.peers.spark_ordinary INPUT OUTPUT``: Spark, as usual.

Each step reads files and writes files. Each event table has its own scan of the input,
sessions are read back from files, ``repartition(1)`` makes one file of each table, and
attributes are joined before the aggregate.
"""

import sys
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

EVENT_SCHEMA = """
    event STRING, timestamp STRING, event_id STRING, initiator_id STRING,
    channel STRING,
    device_type STRING, account_id STRING, user_id STRING, video_id STRING,
    session_id STRING, event_name STRING, value DECIMAL(18,6), device STRING,
    device_os STRING, app_version STRING, country STRING, broken STRING
"""
# Spark would read the elements of an array, and ignore text after an object.
IS_OBJECT = r"^\{.*[^{]\}$"
FIRSTS = ("account_id", "device", "device_os", "app_version", "country")


def read_events(spark: SparkSession, source: Path) -> DataFrame:
    """Rows of the lines that are an object with fields of the right types."""
    options = {"columnNameOfCorruptRecord": "broken"}
    texts = (
        *("event", "event_name", "channel", "device_type", *FIRSTS),
        *("user_id", "video_id", "session_id", "event_id", "initiator_id"),
    )
    time = F.expr("CASE WHEN length(timestamp) >= 19 THEN timestamp END")
    in_range = "time >= '2000-01-01' AND time < '2100-01-01'"
    return (
        spark.read.text(str(source / "events-*.jsonl"))
        .where(F.col("value").rlike(IS_OBJECT))
        .select(F.from_json("value", EVENT_SCHEMA, options).alias("fields"))
        .select("fields.*")
        .where("broken IS NULL")
        .withColumns({name: F.nullif(F.col(name), F.lit("")) for name in texts})
        .withColumn("time", time.try_cast("timestamp"))
        .where(in_range)
        .withColumn("derived_tstamp_day", F.to_date("time"))
    )


def app_events(events: DataFrame, name: str, attribute: str) -> DataFrame:
    return (
        events.where(F.col("event_name").isNull() & (F.col("event") == name))
        .where("initiator_id NOT IN ('true', '[1]', '[7]', 'undefined')")
        .select(
            *("event", "time", "initiator_id", "event_id", attribute),
            "derived_tstamp_day",
        )
        .dropDuplicates()
    )


def playback_events(events: DataFrame) -> DataFrame:
    return (
        events.where("event_name IS NOT NULL AND user_id IS NOT NULL")
        .where("value IS NULL OR value >= 0")
        .select(
            F.col("time").alias("timestamp"),
            *("event_id", "account_id", "user_id", "video_id", "session_id"),
            *(
                "event_name",
                "value",
                "device",
                "device_os",
                "app_version",
                "country",
                "derived_tstamp_day",
            ),
        )
        .dropDuplicates()
    )


def read_attributes(spark: SparkSession, path: Path, *columns: Column) -> DataFrame:
    """The greatest row of each key, which is the first column."""
    rows = spark.read.csv(str(path), header=True, escape='"').select(*columns)
    key, *others = rows.columns
    order = Window.partitionBy(key).orderBy(*(F.desc_nulls_last(n) for n in others))
    return (
        rows.where(F.col(key).isNotNull())
        .withColumn("place", F.row_number().over(order))
        .where("place = 1")
        .drop("place")
    )


def users(spark: SparkSession, source: Path) -> DataFrame:
    return read_attributes(
        spark,
        source / "users.csv",
        F.col("user_id"),
        F.col("signup_date").try_cast("date").alias("signup_date"),
        *map(F.col, ("subscription_tier", "age_group", "gender")),
    )


def videos(spark: SparkSession, source: Path) -> DataFrame:
    seconds = F.floor(F.col("duration_seconds").try_cast("double")).cast("int")
    return read_attributes(
        spark,
        source / "videos.csv",
        *map(F.col, ("video_id", "title", "genre")),
        seconds.alias("duration_seconds"),
    )


def with_session_ids(playback: DataFrame) -> DataFrame:
    in_order = Window.partitionBy("user_id").orderBy("timestamp")
    micros = F.unix_micros("timestamp")
    pause = micros - F.lag(micros).over(in_order)
    opens = F.coalesce(pause > 30 * 60 * 1_000_000, F.lit(True))
    anonymous = (
        playback.where("session_id IS NULL")
        .withColumn("opening", F.when(opens, micros))
        .withColumn("opened", F.max("opening").over(in_order))
        .withColumn("session_id", F.concat_ws("-", "user_id", "opened"))
        .drop("opening", "opened")
    )
    return playback.where("session_id IS NOT NULL").unionByName(anonymous)


def user_sessions(
    playback: DataFrame, users: DataFrame, videos: DataFrame
) -> DataFrame:
    def happened(name: str) -> Column:
        return F.col("event_name") == name

    def time_of(name: str) -> Column:
        return F.when(happened(name), F.col("timestamp"))

    def flag(condition: Column) -> Column:
        return F.max(F.when(condition, 1).otherwise(0)).cast("int")

    def earliest(column: str, *more: str) -> Column:
        fields = F.struct("timestamp", column, *more)
        return F.min(F.when(F.col(column).isNotNull(), fields))

    of_user = ("signup_date", "subscription_tier", "age_group", "gender")
    in_order = Window.partitionBy("user_id").orderBy("session_start_ts", "session_id")
    return (
        with_session_ids(playback)
        .join(videos, "video_id", "left")
        .join(users, "user_id", "left")
        .groupBy("user_id", "session_id")
        .agg(
            F.coalesce(F.min(time_of("session_start")), F.min("timestamp")).alias(
                "session_start_ts"
            ),
            (flag(happened("session_start")) == 1).alias("start_observed"),
            F.when(
                F.max(time_of("session_end"))
                >= F.coalesce(F.min(time_of("session_start")), F.min("timestamp")),
                F.max(time_of("session_end")),
            )
            .otherwise(F.max("timestamp"))
            .alias("session_end_ts"),
            F.coalesce(
                F.floor(F.sum(F.when(happened("watch_time"), F.col("value")))),
                F.lit(0),
            )
            .cast("bigint")
            .alias("total_watch_time_s"),
            F.count("*").alias("event_count"),
            flag(happened("heart")).alias("has_heart"),
            flag(happened("like")).alias("has_like"),
            *(earliest(name)[name].alias(name) for name in FIRSTS),
            earliest("video_id", "title", "genre", "duration_seconds").alias("video"),
            *(F.max(name).alias(name) for name in of_user),
        )
        .select(
            *("user_id", "session_id", "session_start_ts", "start_observed"),
            *("session_end_ts", "total_watch_time_s", "event_count", "has_heart"),
            *("has_like", *FIRSTS),
            F.col("video.video_id").alias("first_video_id"),
            F.col("video.title").alias("first_video_title"),
            F.col("video.genre").alias("first_genre"),
            F.col("video.duration_seconds").alias("first_video_duration_s"),
            *of_user,
            F.row_number().over(in_order).alias("session_number"),
            F.to_date("session_start_ts").alias("session_start_day"),
        )
    )


def fact_user_session(sessions: DataFrame, playback: DataFrame) -> DataFrame:
    in_order = Window.partitionBy("user_id").orderBy("session_start_ts", "session_id")
    three_days = F.expr("INTERVAL 72 HOURS")
    start, following = F.col("session_start_ts"), F.col("next_session_start_ts")
    retained = F.coalesce(following - start <= three_days, F.lit(False))
    newest = playback.agg(F.max("timestamp").alias("newest"))
    return (
        sessions.crossJoin(newest)
        .withColumn("reached_30s", (F.col("total_watch_time_s") >= 30).cast("int"))
        .withColumn("dropoff_under_10s", (F.col("total_watch_time_s") < 10).cast("int"))
        .withColumn("next_session_start_ts", F.lead(start).over(in_order))
        .withColumn("next_session_number", F.lead("session_number").over(in_order))
        .withColumn("retained_next_session_within_3d", retained.cast("int"))
        .withColumn(
            "retention_observed", retained | (F.col("newest") - start >= three_days)
        )
        .drop("newest")
    )


def monday(column: str) -> Column:
    return F.to_date(F.date_trunc("week", F.col(column)))


def iso_week(column: str) -> Column:
    year = F.year(F.date_add(column, 3)).cast("string")
    return F.concat_ws("-", year, F.lpad(F.weekofyear(column).cast("string"), 2, "0"))


def first_registrations(registrations: DataFrame) -> DataFrame:
    return registrations.groupBy("initiator_id").agg(
        F.min(monday("time")).alias("week_start")
    )


def newest_monday(registrations: DataFrame, loads: DataFrame) -> DataFrame:
    times = registrations.select("time").union(loads.select("time"))
    return times.select(F.max(monday("time")).alias("newest_monday"))


def weekly_summary(registrations: DataFrame, loads: DataFrame) -> DataFrame:
    first_loads = loads.groupBy("initiator_id").agg(
        F.min(monday("time")).alias("load_monday")
    )
    week_after = F.date_add("week_start", 7)
    is_converted = F.col("load_monday") == week_after
    return (
        first_registrations(registrations)
        .join(first_loads, "initiator_id", "left")
        .groupBy("week_start")
        .agg(
            F.count("*").alias("total_registered"),
            F.count(F.when(is_converted, 1)).alias("total_converted"),
        )
        .crossJoin(newest_monday(registrations, loads))
        .select(
            "week_start",
            "total_registered",
            "total_converted",
            F.expr(
                "cast((200 * total_converted + total_registered)"
                " div (2 * total_registered) AS int) AS conversion_rate"
            ),
            (week_after < F.col("newest_monday")).alias("is_complete"),
            iso_week("week_start").alias("registration_week"),
        )
    )


def weekly_retention(registrations: DataFrame, loads: DataFrame) -> DataFrame:
    registered = first_registrations(registrations)
    weeks_after = F.floor(F.datediff(monday("time"), "week_start") / 7).cast("int")
    active = (
        registered.join(loads, "initiator_id")
        .groupBy("week_start", weeks_after.alias("weeks_after"))
        .agg(F.countDistinct("initiator_id").alias("active_users"))
    )
    this_week = F.expr("date_add(week_start, 7 * weeks_after)")
    is_complete = this_week < F.col("newest_monday")
    return (
        registered.groupBy("week_start")
        .agg(F.count("*").alias("total_registered"))
        .withColumn("weeks_after", F.explode(F.sequence(F.lit(0), F.lit(12))))
        .crossJoin(newest_monday(registrations, loads))
        .where(this_week <= F.col("newest_monday"))
        .join(active, ["week_start", "weeks_after"], "left")
        .fillna(0, "active_users")
        .select(
            *("week_start", "weeks_after", "total_registered", "active_users"),
            F.when(
                is_complete, F.col("active_users") / F.col("total_registered")
            ).alias("retention_rate"),
            is_complete.alias("is_complete"),
            iso_week("week_start").alias("registration_week"),
        )
    )


def run(spark: SparkSession, source: Path, output: Path) -> None:
    """Write every table from the events and CSV files of a directory."""

    def folder(table: str) -> str:
        return str(output / table / "format=parquet")

    def write(table: str, rows: DataFrame, *partition: str) -> None:
        rows.repartition(1).write.partitionBy(*partition).parquet(folder(table))

    def read(table: str) -> DataFrame:
        return spark.read.parquet(folder(table))

    for table, event, attribute in (
        ("user_registration", "registered", "channel"),
        ("app_loaded", "app_loaded", "device_type"),
    ):
        rows = app_events(read_events(spark, source), event, attribute)
        write(table, rows, "derived_tstamp_day")
    playback = playback_events(read_events(spark, source))
    write("playback_events", playback, "derived_tstamp_day")
    write("users", users(spark, source))
    write("videos", videos(spark, source))

    playback = read("playback_events").drop("derived_tstamp_day")
    sessions = user_sessions(playback, read("users"), read("videos"))
    write("user_sessions", sessions, "session_start_day")
    # When Spark reads the sessions, it infers the type of a day from its folder.
    facts = fact_user_session(read("user_sessions"), playback)
    write("fact_user_session", facts, "session_start_day")

    registrations, loads = read("user_registration"), read("app_loaded")
    write("weekly_summary", weekly_summary(registrations, loads), "registration_week")
    retention = weekly_retention(registrations, loads)
    write("weekly_retention", retention, "registration_week")


def main() -> None:
    """Run on the directories that the command line names."""
    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.driver.memory", "4g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    run(spark, Path(sys.argv[1]), Path(sys.argv[2]))
    spark.stop()


if __name__ == "__main__":
    main()
