"""The catalogue: every table's name, layer, columns and partition.

Types are those of Spark SQL. A TIMESTAMP is an instant in UTC with microseconds; a DATE
is a day of REPORTING_TIMEZONE.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    name: str
    type: str


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: its folder's name below OUTPUT_DATA_PATH_PREFIX.
        layer: staging, intermediate or mart.
        columns: name and type of each column that its files hold.
        partition: the column that its folders are named after, or None.
    """

    name: str
    layer: str
    columns: tuple[Column, ...]
    partition: Column | None = None

    @property
    def schema(self) -> tuple[Column, ...]:
        """Every column, the partition's last."""
        return self.columns + ((self.partition,) if self.partition else ())

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.schema]


def _columns(*declarations: str) -> tuple[Column, ...]:
    pairs = (column.split() for group in declarations for column in group.split(", "))
    return tuple(Column(name, type_) for name, type_ in pairs)


_DERIVED_DAY = Column("derived_tstamp_day", "DATE")
_SESSION_DAY = Column("session_start_day", "DATE")
_WEEK = Column("registration_week", "STRING")

USER_REGISTRATION = Table(
    "user_registration",
    "staging",
    _columns("event STRING, time TIMESTAMP, initiator_id BIGINT, channel STRING"),
    _DERIVED_DAY,
)
APP_LOADED = Table(
    "app_loaded",
    "staging",
    _columns("event STRING, time TIMESTAMP, initiator_id BIGINT, device_type STRING"),
    _DERIVED_DAY,
)
PLAYBACK_EVENTS = Table(
    "playback_events",
    "staging",
    _columns(
        "timestamp TIMESTAMP, account_id STRING, user_id STRING, video_id STRING",
        "session_id STRING, event_name STRING, value BIGINT, device STRING",
        "device_os STRING, app_version STRING, country STRING",
    ),
    _DERIVED_DAY,
)
USERS = Table(
    "users",
    "staging",
    _columns(
        "user_id STRING, signup_date DATE, subscription_tier STRING",
        "age_group STRING, gender STRING",
    ),
)
VIDEOS = Table(
    "videos",
    "staging",
    _columns("video_id STRING, title STRING, genre STRING, duration_seconds INT"),
)
REJECTED_EVENTS = Table(
    "rejected_events",
    "staging",
    _columns("raw STRING, source_file STRING"),
    Column("reason", "STRING"),
)

_SESSION_COLUMNS = _columns(
    "user_id STRING, session_id STRING, session_start_ts TIMESTAMP",
    "start_observed BOOLEAN, session_end_ts TIMESTAMP, total_watch_time_s BIGINT",
    "event_count BIGINT, has_heart INT, has_like INT, account_id STRING, device STRING",
    "device_os STRING, app_version STRING, country STRING, first_video_id STRING",
    "first_video_title STRING, first_genre STRING, first_video_duration_s INT",
    "signup_date DATE, subscription_tier STRING, age_group STRING, gender STRING",
    "session_number INT",
)
USER_SESSIONS = Table("user_sessions", "intermediate", _SESSION_COLUMNS, _SESSION_DAY)
FACT_USER_SESSION = Table(
    "fact_user_session",
    "mart",
    _SESSION_COLUMNS
    + _columns(
        "reached_30s INT, dropoff_under_10s INT, next_session_start_ts TIMESTAMP",
        "next_session_number INT, retained_next_session_within_3d INT",
        "retention_observed BOOLEAN",
    ),
    _SESSION_DAY,
)
WEEKLY_SUMMARY = Table(
    "weekly_summary",
    "mart",
    _columns(
        "week_start DATE, total_registered BIGINT, total_converted BIGINT",
        "conversion_rate INT, is_complete BOOLEAN",
    ),
    _WEEK,
)
WEEKLY_RETENTION = Table(
    "weekly_retention",
    "mart",
    _columns(
        "week_start DATE, weeks_after INT, total_registered BIGINT",
        "active_users BIGINT, retention_rate DOUBLE, is_complete BOOLEAN",
    ),
    _WEEK,
)

EVENT_TABLES = (USER_REGISTRATION, APP_LOADED, PLAYBACK_EVENTS)
TABLES = (
    *EVENT_TABLES,
    USERS,
    VIDEOS,
    REJECTED_EVENTS,
    USER_SESSIONS,
    FACT_USER_SESSION,
    WEEKLY_SUMMARY,
    WEEKLY_RETENTION,
)

WRITTEN_BY = {
    "events_split": (*EVENT_TABLES, USERS, VIDEOS, REJECTED_EVENTS),
    "sessionize": (USER_SESSIONS, FACT_USER_SESSION),
    "conversion_rate": (WEEKLY_SUMMARY, WEEKLY_RETENTION),
}
"""The tables of each job, which it publishes together."""
