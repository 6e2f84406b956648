"""``python -m benchmarks.peers.duckdb_sql INPUT OUTPUT``: SQL, written by hand."""

import sys
from pathlib import Path

import duckdb

# {events}, {users}, {videos} and {output} are quoted paths.
SCRIPT = r"""
SET TimeZone = 'UTC';
SET preserve_insertion_order = false;

-- The type JSON keeps the difference between a number and a string of digits.
CREATE TEMP TABLE events AS
SELECT
    event_name IS NOT NULL AS is_playback, instant, instant::DATE AS day,
    event, trim(initiator_id, '"') AS initiator_id, nullif(event_id, '') AS event_id,
    nullif(channel, '') AS channel, nullif(device_type, '') AS device_type,
    nullif(account_id, '') AS account_id, trim(user_id, '"') AS user_id,
    nullif(video_id, '') AS video_id, nullif(session_id, '') AS session_id,
    event_name, try_cast(value AS DECIMAL(18, 6)) AS value,
    nullif(device, '') AS device, nullif(device_os, '') AS device_os,
    nullif(app_version, '') AS app_version, nullif(country, '') AS country
FROM (
    SELECT * REPLACE (nullif(event, '') AS event, nullif(event_name, '') AS event_name),
        CASE WHEN strlen("timestamp") >= 19 THEN try_cast("timestamp" AS TIMESTAMPTZ)
            END AS instant
    FROM read_json(
        {events}, format = 'newline_delimited', ignore_errors = true, columns = {{
            event: 'VARCHAR', "timestamp": 'VARCHAR', initiator_id: 'JSON',
            event_id: 'VARCHAR',
            channel: 'VARCHAR', device_type: 'VARCHAR', account_id: 'VARCHAR',
            user_id: 'JSON', video_id: 'VARCHAR', session_id: 'VARCHAR',
            event_name: 'VARCHAR', value: 'JSON', device: 'VARCHAR',
            device_os: 'VARCHAR', app_version: 'VARCHAR', country: 'VARCHAR'
        }}
    )
)
WHERE instant >= '2000-01-01' AND instant < '2100-01-01' AND CASE
    WHEN event_name IS NULL THEN event IN ('registered', 'app_loaded')
        AND regexp_full_match(initiator_id, '-?[0-9]+|"[^"]+"')
        AND initiator_id <> '"undefined"'
    ELSE regexp_full_match(user_id, '-?[0-9]+|"[^"]+"')
        AND (value IS NULL OR value = 'null' OR try_cast(value AS DOUBLE) >= 0
            AND value NOT IN ('true', 'false') AND NOT starts_with(value, '"'))
END;

CREATE TEMP TABLE registrations AS
SELECT DISTINCT event, instant AS "time", initiator_id, event_id, channel,
    day AS derived_tstamp_day
FROM events WHERE NOT is_playback AND event = 'registered';

CREATE TEMP TABLE loads AS
SELECT DISTINCT event, instant AS "time", initiator_id, event_id, device_type,
    day AS derived_tstamp_day
FROM events WHERE NOT is_playback AND event = 'app_loaded';

CREATE TEMP TABLE playback AS
SELECT DISTINCT instant AS "timestamp", event_id, account_id, user_id, video_id,
    session_id, event_name, value, device, device_os, app_version, country,
    day AS derived_tstamp_day
FROM events WHERE is_playback;

DROP TABLE events;

CREATE TEMP TABLE users AS
SELECT DISTINCT ON (user_id) *
FROM (
    SELECT user_id, try_cast(signup_date AS DATE) AS signup_date,
        nullif(subscription_tier, '') AS subscription_tier,
        nullif(age_group, '') AS age_group, nullif(gender, '') AS gender
    FROM read_csv({users}, header = true, all_varchar = true)
    WHERE user_id <> ''
)
ORDER BY user_id, signup_date DESC NULLS LAST, subscription_tier DESC NULLS LAST,
    age_group DESC NULLS LAST, gender DESC NULLS LAST;

CREATE TEMP TABLE videos AS
SELECT DISTINCT ON (video_id) *
FROM (
    SELECT video_id, nullif(title, '') AS title, nullif(genre, '') AS genre,
        try_cast(floor(try_cast(duration_seconds AS DOUBLE)) AS INTEGER)
            AS duration_seconds
    FROM read_csv({videos}, header = true, all_varchar = true)
    WHERE video_id <> ''
)
ORDER BY video_id, title DESC NULLS LAST, genre DESC NULLS LAST,
    duration_seconds DESC NULLS LAST;

CREATE TEMP TABLE sessions AS
WITH identified AS (
    SELECT * EXCLUDE (derived_tstamp_day) FROM playback WHERE session_id IS NOT NULL
    UNION ALL BY NAME
    SELECT * EXCLUDE (derived_tstamp_day, opened_at)
        REPLACE (concat(user_id, '-', max(opened_at) OVER (
            PARTITION BY user_id ORDER BY "timestamp"
            RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )) AS session_id)
    FROM (
        SELECT *, CASE
            WHEN "timestamp" - lag("timestamp") OVER in_order <= INTERVAL 30 MINUTE
                THEN NULL
            ELSE epoch_us("timestamp")
        END AS opened_at
        FROM playback WHERE session_id IS NULL
        WINDOW in_order AS (PARTITION BY user_id ORDER BY "timestamp")
    )
), grouped AS (
    SELECT
        user_id, session_id,
        coalesce(
            min("timestamp") FILTER (event_name = 'session_start'), min("timestamp")
        ) AS session_start_ts,
        count(*) FILTER (event_name = 'session_start') > 0 AS start_observed,
        coalesce(
            max("timestamp") FILTER (event_name = 'session_end'), max("timestamp")
        ) AS latest_end_ts,
        CASE WHEN latest_end_ts >= session_start_ts THEN latest_end_ts
            ELSE max("timestamp") END AS session_end_ts,
        floor(coalesce(sum(value) FILTER (event_name = 'watch_time'), 0))::BIGINT
            AS total_watch_time_s,
        count(*) AS event_count,
        (count(*) FILTER (event_name = 'heart') > 0)::INTEGER AS has_heart,
        (count(*) FILTER (event_name = 'like') > 0)::INTEGER AS has_like,
        {earliest}
    FROM identified
    GROUP BY user_id, session_id
)
SELECT
    grouped.*, title AS first_video_title, genre AS first_genre,
    duration_seconds AS first_video_duration_s,
    signup_date, subscription_tier, age_group, gender,
    row_number() OVER (
        PARTITION BY user_id ORDER BY session_start_ts, session_id
    )::INTEGER AS session_number,
    session_start_ts::DATE AS session_start_day
FROM grouped
LEFT JOIN videos ON first_video_id = video_id
LEFT JOIN users USING (user_id);

CREATE TEMP TABLE first_registrations AS
SELECT initiator_id, date_trunc('week', min("time"))::DATE AS registration_monday
FROM registrations GROUP BY initiator_id;

CREATE TEMP TABLE active_weeks AS
SELECT DISTINCT initiator_id, date_trunc('week', "time")::DATE AS load_monday
FROM loads;

CREATE TEMP VIEW facts AS
SELECT
    * EXCLUDE (session_start_day),
    (total_watch_time_s >= 30)::INTEGER AS reached_30s,
    (total_watch_time_s < 10)::INTEGER AS dropoff_under_10s,
    lead(session_start_ts) OVER in_order AS next_session_start_ts,
    lead(session_number) OVER in_order AS next_session_number,
    coalesce(next_session_start_ts - session_start_ts <= INTERVAL 72 HOUR, false)
        ::INTEGER AS retained_next_session_within_3d,
    retained_next_session_within_3d = 1
        OR newest - session_start_ts >= INTERVAL 72 HOUR AS retention_observed,
    session_start_day
FROM sessions, (SELECT max("timestamp") AS newest FROM playback)
WINDOW in_order AS (PARTITION BY user_id ORDER BY session_start_ts, session_id);

CREATE TEMP TABLE newest AS
SELECT date_trunc('week', max("time"))::DATE AS newest_monday
FROM (SELECT "time" FROM registrations UNION ALL SELECT "time" FROM loads);

CREATE TEMP VIEW weekly_summary AS
SELECT
    registration_monday AS week_start, count(*) AS total_registered,
    count(*) FILTER (load_monday = registration_monday + 7) AS total_converted,
    ((200 * total_converted + total_registered) // (2 * total_registered))::INTEGER
        AS conversion_rate,
    registration_monday + 7 < newest_monday AS is_complete,
    strftime(registration_monday, '%G-%V') AS registration_week
FROM newest, first_registrations
LEFT JOIN (
    SELECT initiator_id, min(load_monday) AS load_monday
    FROM active_weeks GROUP BY initiator_id
) USING (initiator_id)
GROUP BY registration_monday, newest_monday;

CREATE TEMP VIEW weekly_retention AS
WITH cohort_weeks AS (
    SELECT registration_monday, total_registered, weeks_after::INTEGER AS weeks_after,
        registration_monday + 7 * weeks_after::INTEGER < newest_monday AS is_complete
    FROM (
        SELECT registration_monday, count(*) AS total_registered
        FROM first_registrations GROUP BY registration_monday
    ), newest, range(13) AS weeks(weeks_after)
    WHERE registration_monday + 7 * weeks_after::INTEGER <= newest_monday
), active AS (
    SELECT registration_monday, (load_monday - registration_monday) // 7 AS weeks_after,
        count(*) AS active_users
    FROM first_registrations JOIN active_weeks USING (initiator_id)
    GROUP BY ALL
)
SELECT
    registration_monday AS week_start, weeks_after, total_registered,
    coalesce(active_users, 0) AS active_users,
    CASE WHEN is_complete
        THEN coalesce(active_users, 0)::DOUBLE / total_registered END AS retention_rate,
    is_complete, strftime(registration_monday, '%G-%V') AS registration_week
FROM cohort_weeks LEFT JOIN active USING (registration_monday, weeks_after);
"""

# The value at the earliest event that has one; at equal times the smallest.
EARLIEST = """
min({{'at': "timestamp", 'value': {column}}}) FILTER ({column} IS NOT NULL)['value']
    AS {name}
"""
FIRSTS = {
    **{n: n for n in ("account_id", "device", "device_os", "app_version", "country")},
    "first_video_id": "video_id",
}

# Each table's name, the relation that has its rows, and its partition column.
COPIES = (
    ("user_registration", "registrations", "derived_tstamp_day"),
    ("app_loaded", "loads", "derived_tstamp_day"),
    ("playback_events", "playback", "derived_tstamp_day"),
    ("users", "users", None),
    ("videos", "videos", None),
    ("user_sessions", "sessions", "session_start_day"),
    ("fact_user_session", "facts", "session_start_day"),
    ("weekly_summary", "weekly_summary", "registration_week"),
    ("weekly_retention", "weekly_retention", "registration_week"),
)


def run(source: Path, output: Path) -> None:
    """Write every table from the events and CSV files of a directory."""
    script = SCRIPT.format(
        events=quoted(source / "events-*.jsonl"),
        users=quoted(source / "users.csv"),
        videos=quoted(source / "videos.csv"),
        earliest=", ".join(
            EARLIEST.format(column=column, name=name) for name, column in FIRSTS.items()
        ),
    )
    with duckdb.connect() as database:
        database.execute(script)
        for table, relation, partition in COPIES:
            folder = output / table / "format=parquet"
            folder.mkdir(parents=True)
            options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
            target = folder / "part-0.parquet"
            if partition:
                target = folder
                options += f", PARTITION_BY ({partition})"
            database.execute(f"COPY {relation} TO {quoted(target)} ({options})")


def quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
