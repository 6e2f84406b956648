"""The catalogue: every table's columns, key, partition, and the job that writes it.

Types are those of Spark SQL. A TIMESTAMP is an instant in UTC with microseconds; a DATE
is a day of REPORTING_TIMEZONE. The checks of each row are derived from the catalogue.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Numbers from the least to the most. If most is None, there is no upper limit."""

    least: int
    most: int | None = None


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its name, which is unique in its table.
        type: its type in Spark SQL.
        means: its meaning, with the unit.
        allowed: the values that it may have beside NULL; None allows all values.
        nullable: whether it may be NULL.
    """

    name: str
    type: str
    means: str = ""
    allowed: Range | tuple[int, ...] | None = None
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: its folder's name below OUTPUT_DATA_PATH_PREFIX.
        layer: staging, intermediate or mart.
        written_by: the job that writes it, together with that job's other tables.
        columns: the columns of its files.
        partition: the column that its folders are named after, or None.
        key: the columns that are unique together. If there is no key, all columns are
            unique together.
        shown_by: the columns that identify a row in a message, if not the key.
    """

    name: str
    layer: str
    written_by: str
    columns: tuple[Column, ...]
    partition: Column | None = None
    key: tuple[str, ...] = ()
    shown_by: tuple[str, ...] = ()

    @property
    def schema(self) -> tuple[Column, ...]:
        """Every column, the partition's last."""
        return self.columns + ((self.partition,) if self.partition else ())

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.schema]


def _optional(
    name: str, type_: str, means: str, allowed: Range | None = None
) -> Column:
    """A column that may be NULL."""
    return Column(name, type_, means, allowed, nullable=True)


_FLAG = (0, 1)
_AT_LEAST_0 = Range(0)
_AT_LEAST_1 = Range(1)
_SHARE = Range(0, 1)
_PERCENT = Range(0, 100)

_EVENT_ID = _optional("event_id", "STRING", "id of the event, unique for the user")
_EVENT_DAY = Column("derived_tstamp_day", "DATE", "day of the event")
_SESSION_DAY = Column("session_start_day", "DATE", "day on which the session starts")
_WEEK = Column("registration_week", "STRING", "ISO year and week, as 2020-53")

USER_REGISTRATION = Table(
    "user_registration",
    "staging",
    "events_split",
    (
        Column("event", "STRING", "always registered"),
        Column("time", "TIMESTAMP", "when the user registered"),
        Column("initiator_id", "STRING", "the user"),
        _EVENT_ID,
        _optional("channel", "STRING", "where the user came from"),
    ),
    _EVENT_DAY,
    shown_by=("initiator_id", "time"),
)
APP_LOADED = Table(
    "app_loaded",
    "staging",
    "events_split",
    (
        Column("event", "STRING", "always app_loaded"),
        Column("time", "TIMESTAMP", "when the app was loaded"),
        Column("initiator_id", "STRING", "the user"),
        _EVENT_ID,
        _optional("device_type", "STRING", "kind of device, such as a phone"),
    ),
    _EVENT_DAY,
    shown_by=("initiator_id", "time"),
)
PLAYBACK_EVENTS = Table(
    "playback_events",
    "staging",
    "events_split",
    (
        Column("timestamp", "TIMESTAMP", "when it happened"),
        _EVENT_ID,
        _optional("account_id", "STRING", "account that the user belongs to"),
        Column("user_id", "STRING", "the viewer"),
        _optional("video_id", "STRING", "the video, as in videos"),
        _optional("session_id", "STRING", "session that the event itself names"),
        Column("event_name", "STRING", "what happened, such as watch_time"),
        _optional("value", "DECIMAL(18,6)", "of watch_time: seconds", _AT_LEAST_0),
        _optional("device", "STRING", "model of the device"),
        _optional("device_os", "STRING", "operating system of the device"),
        _optional("app_version", "STRING", "version of the app"),
        _optional("country", "STRING", "country of the viewer"),
    ),
    _EVENT_DAY,
    shown_by=("user_id", "timestamp", "event_name"),
)
_USER_ATTRIBUTES = (
    _optional("signup_date", "DATE", "day of signing up, as users.csv has it"),
    _optional("subscription_tier", "STRING", "what the user subscribes to"),
    _optional("age_group", "STRING", "age of the user, in years from and to"),
    _optional("gender", "STRING", "gender of the user"),
)
USERS = Table(
    "users",
    "staging",
    "events_split",
    (Column("user_id", "STRING", "the viewer"), *_USER_ATTRIBUTES),
    key=("user_id",),
)
VIDEOS = Table(
    "videos",
    "staging",
    "events_split",
    (
        Column("video_id", "STRING", "the video"),
        _optional("title", "STRING", "title of the video"),
        _optional("genre", "STRING", "genre of the video"),
        _optional("duration_seconds", "INT", "length of the video, in whole seconds"),
    ),
    key=("video_id",),
)
REJECTED_EVENTS = Table(
    "rejected_events",
    "staging",
    "events_split",
    (
        Column("raw", "STRING", "the line, with addresses masked"),
        Column(
            "source_file",
            "STRING",
            "the line's file: the input's last part, and the path below",
        ),
    ),
    Column("reason", "STRING", "the first rule that the line breaks"),
    shown_by=("source_file",),  # never by a value of a rejected line
)

_SESSION_COLUMNS = (
    Column("user_id", "STRING", "the viewer"),
    Column("session_id", "STRING", "id of the session, unique for the user"),
    Column("session_start_ts", "TIMESTAMP", "when the session starts"),
    Column("start_observed", "BOOLEAN", "whether there is a session_start event"),
    Column("session_end_ts", "TIMESTAMP", "when the session ends"),
    Column("total_watch_time_s", "BIGINT", "seconds watched", _AT_LEAST_0),
    Column("event_count", "BIGINT", "events of the session", _AT_LEAST_1),
    Column("has_heart", "INT", "1 if there is a heart event", _FLAG),
    Column("has_like", "INT", "1 if there is a like event", _FLAG),
    _optional("account_id", "STRING", "of the earliest event that has one"),
    _optional("device", "STRING", "of the earliest event that has one"),
    _optional("device_os", "STRING", "of the earliest event that has one"),
    _optional("app_version", "STRING", "of the earliest event that has one"),
    _optional("country", "STRING", "of the earliest event that has one"),
    _optional("first_video_id", "STRING", "first video of the session"),
    _optional("first_video_title", "STRING", "title of the first video"),
    _optional("first_genre", "STRING", "genre of the first video"),
    _optional("first_video_duration_s", "INT", "seconds that the first video takes"),
    *_USER_ATTRIBUTES,
    Column("session_number", "INT", "the user's 1st, 2nd, … session", _AT_LEAST_1),
)
USER_SESSIONS = Table(
    "user_sessions",
    "intermediate",
    "sessionize",
    _SESSION_COLUMNS,
    _SESSION_DAY,
    key=("user_id", "session_id"),
)
FACT_USER_SESSION = Table(
    "fact_user_session",
    "mart",
    "sessionize",
    (
        *_SESSION_COLUMNS,
        Column("reached_30s", "INT", "1 if 30 seconds or more were watched", _FLAG),
        Column("dropoff_under_10s", "INT", "1 if less than 10 seconds were", _FLAG),
        _optional("next_session_start_ts", "TIMESTAMP", "start of the user's next one"),
        _optional("next_session_number", "INT", "session_number of the next one"),
        Column(
            "retained_next_session_within_3d",
            "INT",
            "1 if the next one starts within 72 hours of this one's start",
            _FLAG,
        ),
        Column("retention_observed", "BOOLEAN", "whether a 0 of retention is final"),
    ),
    _SESSION_DAY,
    key=("user_id", "session_id"),
)
WEEKLY_SUMMARY = Table(
    "weekly_summary",
    "mart",
    "conversion_rate",
    (
        Column("week_start", "DATE", "Monday of the registration week"),
        Column("total_registered", "BIGINT", "users who registered in the week"),
        Column("total_converted", "BIGINT", "how many of them converted", _AT_LEAST_0),
        Column("conversion_rate", "INT", "percent converted, halves up", _PERCENT),
        Column("is_complete", "BOOLEAN", "whether the week that decides is over"),
    ),
    _WEEK,
    key=("registration_week",),
)
WEEKLY_RETENTION = Table(
    "weekly_retention",
    "mart",
    "conversion_rate",
    (
        Column("week_start", "DATE", "Monday of the registration week"),
        Column("weeks_after", "INT", "weeks since the registration week", _AT_LEAST_0),
        Column("total_registered", "BIGINT", "users who registered in the week"),
        Column("active_users", "BIGINT", "how many loaded the app then", _AT_LEAST_0),
        _optional("retention_rate", "DOUBLE", "active share, once it is over", _SHARE),
        Column("is_complete", "BOOLEAN", "whether the week weeks_after is over"),
    ),
    _WEEK,
    key=("registration_week", "weeks_after"),
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


def names(tables: Iterable[Table]) -> str:
    """The names of tables in a sentence."""
    return ", ".join(table.name for table in tables)
