"""``python -m benchmarks.peers.polars_script INPUT OUTPUT``: Polars, by hand."""

import sys
from pathlib import Path

import polars as pl

TEXTS = (
    *(
        "event",
        "timestamp",
        "event_id",
        "initiator_id",
        "channel",
        "device_type",
        "account_id",
        "user_id",
    ),
    *("video_id", "session_id", "event_name", "device", "device_os", "app_version"),
    "country",
)
FIELDS = pl.Struct(dict.fromkeys((*TEXTS, "value"), pl.String))
INSTANT = pl.Datetime("us", "UTC")

PLAYBACK_COLUMNS = (
    *(
        "timestamp",
        "event_id",
        "account_id",
        "user_id",
        "video_id",
        "session_id",
        "event_name",
    ),
    *("value", "device", "device_os", "app_version", "country", "derived_tstamp_day"),
)
FIRSTS = {
    **{n: n for n in ("account_id", "device", "device_os", "app_version", "country")},
    "first_video_id": "video_id",
}
SESSION_COLUMNS = (
    *("user_id", "session_id", "session_start_ts", "start_observed", "session_end_ts"),
    *("total_watch_time_s", "event_count", "has_heart", "has_like", "account_id"),
    *("device", "device_os", "app_version", "country", "first_video_id"),
    *("first_video_title", "first_genre", "first_video_duration_s", "signup_date"),
    *("subscription_tier", "age_group", "gender", "session_number"),
    "session_start_day",
)


def read_events(source: Path) -> pl.DataFrame:
    """Typed rows of the lines that follow the rules, of both families."""
    line, event = pl.col("line"), pl.col("event")
    time, instant = pl.col("timestamp").str.replace(" ", "T"), pl.col("instant")
    has_zone = time.str.contains(r"(Z|[+-]\d\d:\d\d)$")
    initiator = pl.col("initiator_id")
    is_playback = pl.col("event_name").is_not_null()
    is_kept_app_event = ~is_playback & event.is_in(["registered", "app_loaded"])
    # json_decode fails at a line that is no object, or has an array for a text. It also
    # takes a boolean for a text.
    is_object = (
        line.str.starts_with("{") & line.str.ends_with("}") & ~line.str.ends_with("{}")
    )
    is_invalid = line.str.contains(
        r'"(?:initiator_id|user_id)": ?[tf\[{]|"value": ?[t\[{]'
    )
    return (
        pl.scan_lines(source / "events-*.jsonl")
        .filter(is_object, ~is_invalid)
        .select(line.str.json_decode(FIELDS).alias("fields"))
        .unnest("fields")
        .with_columns(pl.col(*TEXTS, "value").replace("", None))
        .with_columns(
            pl.concat_str(
                time, pl.when(has_zone).then(pl.lit("")).otherwise(pl.lit("Z"))
            )
            .str.to_datetime(
                "%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False
            )
            .alias("instant"),
            pl.col("value").cast(pl.Decimal(18, 6), strict=False).alias("seconds"),
        )
        .filter(
            instant.is_between(
                pl.datetime(2000, 1, 1, time_zone="UTC"),
                pl.datetime(2100, 1, 1, time_zone="UTC"),
                closed="left",
            ),
            (is_kept_app_event & initiator.is_not_null() & (initiator != "undefined"))
            | (
                is_playback
                & pl.col("user_id").is_not_null()
                & (pl.col("value").is_null() | (pl.col("seconds") >= 0))
            ),
        )
        .with_columns(
            pl.col("seconds").alias("value"),
            instant.dt.date().alias("derived_tstamp_day"),
        )
        .drop("seconds", "timestamp")
        .collect(engine="streaming")
    )


def app_events(events: pl.DataFrame, name: str, attribute: str) -> pl.DataFrame:
    """Distinct app events of one name."""
    return (
        events.lazy()
        .filter(pl.col("event_name").is_null(), pl.col("event") == name)
        .select(
            "event",
            pl.col("instant").alias("time"),
            "initiator_id",
            "event_id",
            attribute,
            "derived_tstamp_day",
        )
        .unique()
        .collect(engine="streaming")
    )


def playback_events(events: pl.DataFrame) -> pl.DataFrame:
    """Distinct playback events."""
    return (
        events.lazy()
        .filter(pl.col("event_name").is_not_null())
        .rename({"instant": "timestamp"})
        .select(PLAYBACK_COLUMNS)
        .unique()
        .collect(engine="streaming")
    )


def read_attributes(path: Path, *columns: str | pl.Expr) -> pl.DataFrame:
    """The greatest row of each key, which is the first column."""
    rows = pl.read_csv(path, infer_schema=False).select(
        pl.col(column).replace("", None) if isinstance(column, str) else column
        for column in columns
    )
    key, *others = rows.columns
    return (
        rows.drop_nulls(key)
        .sort(key, *others, descending=[False] + [True] * len(others), nulls_last=True)
        .unique(subset=key, keep="first", maintain_order=True)
    )


def with_session_ids(playback: pl.DataFrame) -> pl.DataFrame:
    """All events; those without a session_id get that of their gap session."""
    anonymous = playback.filter(pl.col("session_id").is_null())
    time, user = pl.col("timestamp"), pl.col("user_id")
    opens = (user != user.shift(1)) | (time.diff() > pl.duration(minutes=30))
    opened = (
        pl.when(opens.fill_null(True)).then(time.dt.epoch("us")).forward_fill()
    ).cast(pl.String)
    grouped = anonymous.sort("user_id", "timestamp").with_columns(
        pl.concat_str(user, opened, separator="-").alias("session_id")
    )
    return pl.concat([playback.filter(pl.col("session_id").is_not_null()), grouped])


def earliest(column: str) -> pl.Expr:
    """The value at the earliest event that has one; at equal times the smallest."""
    # Texts of the same length sort as numbers do, and no time before 2100 is longer.
    time = pl.col("timestamp").dt.epoch("us").cast(pl.String).str.zfill(16)
    return pl.concat_str(time, column).min().str.slice(16)


def make_sessions(
    playback: pl.DataFrame, users: pl.DataFrame, videos: pl.DataFrame
) -> pl.DataFrame:
    """One row per session, by user and in order."""
    time, name, user = pl.col("timestamp"), pl.col("event_name"), pl.col("user_id")
    starts = time.filter(name == "session_start")
    ends = time.filter(name == "session_end")
    return (
        with_session_ids(playback)
        .lazy()
        .group_by("user_id", "session_id")
        .agg(
            pl.coalesce(starts.min(), time.min()).alias("session_start_ts"),
            (name == "session_start").any().alias("start_observed"),
            pl.coalesce(
                ends.filter(ends >= pl.coalesce(starts.min(), time.min())).max(),
                time.max(),
            ).alias("session_end_ts"),
            pl.col("value")
            .filter(name == "watch_time")
            .sum()
            .floor()
            .cast(pl.Int64)
            .alias("total_watch_time_s"),
            pl.len().cast(pl.Int64).alias("event_count"),
            (name == "heart").any().cast(pl.Int32).alias("has_heart"),
            (name == "like").any().cast(pl.Int32).alias("has_like"),
            *(earliest(column).alias(alias) for alias, column in FIRSTS.items()),
        )
        .join(
            videos.lazy().rename(
                {
                    "video_id": "first_video_id",
                    "title": "first_video_title",
                    "genre": "first_genre",
                    "duration_seconds": "first_video_duration_s",
                }
            ),
            on="first_video_id",
            how="left",
        )
        .join(users.lazy(), on="user_id", how="left")
        .sort("user_id", "session_start_ts", "session_id")
        .with_columns(
            pl.int_range(1, pl.len() + 1, dtype=pl.Int32)
            .over(user)
            .alias("session_number"),
            pl.col("session_start_ts").dt.date().alias("session_start_day"),
        )
        .select(SESSION_COLUMNS)
        .collect(engine="streaming")
    )


def with_retention(sessions: pl.DataFrame, newest: object) -> pl.DataFrame:
    """The sessions, by user and in order, each with its next one and retention."""
    watched, start = pl.col("total_watch_time_s"), pl.col("session_start_ts")
    has_next = pl.col("user_id") == pl.col("user_id").shift(-1)
    retained = pl.col("retained_next_session_within_3d")
    three_days = pl.duration(hours=72)
    following = pl.col("next_session_start_ts")
    return (
        sessions.with_columns(
            (watched >= 30).cast(pl.Int32).alias("reached_30s"),
            (watched < 10).cast(pl.Int32).alias("dropoff_under_10s"),
            pl.when(has_next).then(start.shift(-1)).alias("next_session_start_ts"),
            pl.when(has_next)
            .then(pl.col("session_number").shift(-1))
            .alias("next_session_number"),
        )
        .with_columns(
            (following - start <= three_days)
            .fill_null(False)
            .cast(pl.Int32)
            .alias("retained_next_session_within_3d"),
        )
        .with_columns(
            ((retained == 1) | (pl.lit(newest, INSTANT) - start >= three_days)).alias(
                "retention_observed"
            ),
        )
    )


def monday(column: str) -> pl.Expr:
    return pl.col(column).dt.truncate("1w").dt.date()


def weekly_tables(
    registrations: pl.DataFrame, loads: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """weekly_summary and weekly_retention."""
    registered = registrations.group_by("initiator_id").agg(
        monday("time").min().alias("week_start")
    )
    active_weeks = loads.select(
        "initiator_id", monday("time").alias("load_monday")
    ).unique()
    week = pl.col("week_start").dt.to_string("%G-%V").alias("registration_week")
    total, converted = pl.col("total_registered"), pl.col("total_converted")
    week_after = pl.col("week_start").dt.offset_by("1w")
    is_converted = pl.col("load_monday") == week_after
    newest = pl.concat([registrations["time"], loads["time"]]).max()
    newest_monday = pl.lit(newest, INSTANT).dt.truncate("1w").dt.date()
    summary = (
        registered.join(
            active_weeks.group_by("initiator_id").agg(pl.col("load_monday").min()),
            on="initiator_id",
            how="left",
        )
        .group_by("week_start")
        .agg(
            pl.len().cast(pl.Int64).alias("total_registered"),
            is_converted.sum().cast(pl.Int64).alias("total_converted"),
        )
        .select(
            "week_start",
            total,
            converted,
            ((200 * converted + total) // (2 * total))
            .cast(pl.Int32)
            .alias("conversion_rate"),
            (week_after < newest_monday).alias("is_complete"),
            week,
        )
    )
    weeks_after = (
        ((pl.col("load_monday") - pl.col("week_start")).dt.total_days() // 7)
        .cast(pl.Int32)
        .alias("weeks_after")
    )
    active = (
        registered.join(active_weeks, on="initiator_id")
        .group_by("week_start", weeks_after)
        .agg(pl.len().cast(pl.Int64).alias("active_users"))
    )
    this_week = pl.col("week_start") + pl.duration(weeks=pl.col("weeks_after"))
    is_complete = this_week < newest_monday
    retention = (
        registered.group_by("week_start")
        .agg(pl.len().cast(pl.Int64).alias("total_registered"))
        .join(
            pl.DataFrame({"weeks_after": range(13)}, {"weeks_after": pl.Int32}),
            how="cross",
        )
        .filter(this_week <= newest_monday)
        .join(active, on=["week_start", "weeks_after"], how="left")
        .with_columns(
            pl.col("active_users").fill_null(0), is_complete.alias("is_complete")
        )
        .select(
            "week_start",
            "weeks_after",
            total,
            "active_users",
            pl.when("is_complete")
            .then(pl.col("active_users") / total)
            .alias("retention_rate"),
            "is_complete",
            week,
        )
    )
    return summary, retention


def write(output: Path, table: str, rows: pl.DataFrame, partition: str | None) -> None:
    """Write one table as Parquet, a file for each partition."""
    folder = output / table / "format=parquet"
    target = (
        pl.PartitionBy(folder, key=partition, include_key=False)
        if partition
        else folder / "part-0.parquet"
    )
    rows.lazy().sink_parquet(
        target,
        compression="zstd",
        compression_level=1,
        mkdir=True,
        maintain_order=False,
    )


def run(source: Path, output: Path) -> None:
    """Write every table from the events and CSV files of a directory."""
    events = read_events(source)
    registrations = app_events(events, "registered", "channel")
    loads = app_events(events, "app_loaded", "device_type")
    playback = playback_events(events)
    del events
    users = read_attributes(
        source / "users.csv",
        "user_id",
        pl.col("signup_date").str.to_date("%Y-%m-%d", strict=False),
        "subscription_tier",
        "age_group",
        "gender",
    )
    videos = read_attributes(
        source / "videos.csv",
        "video_id",
        "title",
        "genre",
        pl.col("duration_seconds")
        .cast(pl.Float64, strict=False)
        .floor()
        .cast(pl.Int32, strict=False),
    )
    write(output, "user_registration", registrations, "derived_tstamp_day")
    write(output, "app_loaded", loads, "derived_tstamp_day")
    write(output, "playback_events", playback, "derived_tstamp_day")
    write(output, "users", users, None)
    write(output, "videos", videos, None)
    sessions = make_sessions(playback, users, videos)
    write(output, "user_sessions", sessions, "session_start_day")
    facts = with_retention(sessions, playback["timestamp"].max())
    write(output, "fact_user_session", facts, "session_start_day")
    summary, retention = weekly_tables(registrations, loads)
    write(output, "weekly_summary", summary, "registration_week")
    write(output, "weekly_retention", retention, "registration_week")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
