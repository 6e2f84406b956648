"""The rules for a line: which table it belongs to, or why it is rejected.

``lines`` has the rows that ``Engine.read_lines`` gives to a rule: raw, source_file,
is_object, and every one of FIELDS as text.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.fields import FIELDS, TEXT
from jobs.tables import (
    APP_LOADED,
    EVENT_TABLES,
    PLAYBACK_EVENTS,
    USER_REGISTRATION,
    USERS,
    VIDEOS,
    Table,
)

IGNORED = "ignored"
REJECTED = "rejected"

KEPT_APP_EVENTS = {
    USER_REGISTRATION: "registered",
    APP_LOADED: "app_loaded",
}

_STORED_TEXTS = tuple(name for name, kind in FIELDS.items() if kind is TEXT)

_DIGITS = r"^-?[0-9]+\z"
_DIGITS_WITHOUT_SIGN = r"^[0-9]+\z"
_NUMBER_IN_JSON = r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_NUMBER = rf"^{_NUMBER_IN_JSON}\z"
_DECIMAL = r"^-?[0-9]+(\.[0-9]+)?\z"
_INT_RANGE = (-(2**31), 2**31 - 1)
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"
# The usual spelling of a date and time. Any other takes longer to read.
_CLOCK = rf"{_DAY}[T ]{_TIME}:[0-5][0-9](\.[0-9]+)?"
# The ends of frequent spellings, each with SQL for the same time in ISO 8601.
_FREQUENT_ENDS = {
    r"(Z|[+-](0[0-9]|1[0-7]):[0-5][0-9])": "written_time",
    "": "concat(written_time, 'Z')",
    r"[+-](0[0-9]|1[0-7])[0-5][0-9]": (
        "concat(substr(written_time, 1, length(written_time) - 2), ':',"
        " substr(written_time, length(written_time) - 1))"
    ),
    " ?(UTC|GMT|z)": "concat(trim(TRAILING ' UTCGMz' FROM written_time), 'Z')",
}
# The other spellings, in ISO 8601's extended form and in its basic form.
_BETWEEN = r"([Tt]|[ \t]+)"
_SECONDS = r"[0-5][0-9]([.,][0-9]+)?"
_END = r"[ \t]?(Z|z|UTC|GMT|[+-](0[0-9]|1[0-7])(:?[0-5][0-9])?)?[ \t]*\z"
_EXTENDED_FORM = rf"^[ \t]*{_DAY}{_BETWEEN}{_TIME}(:{_SECONDS})?{_END}"
_BASIC_TIME = r"([01][0-9]|2[0-3])[0-5][0-9]"
_BASIC_FORM = rf"^[ \t]*[0-9]{{8}}{_BETWEEN}{_BASIC_TIME}({_SECONDS})?{_END}"
_BLANK = r"^[ \t]*\z"
_NUMBER_SINCE_1970 = rf"^[ \t]*{_NUMBER_IN_JSON}[ \t]*\z"
_FIRST_MICROS = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z
_LAST_MICROS = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z
_TWO_TO_THE_63 = float(2**63)


def judge(lines: DataFrame, first_micros: int, until_micros: int) -> DataFrame:
    """One row per line, with the reason if the line is rejected.

    Args:
        lines: the lines.
        first_micros: the first instant that a line may have, in microseconds since
            1970.
        until_micros: the first instant after it that a line may not have.

    Columns: reason (NULL if the line is accepted), raw and source_file (of rejected
    lines only), instant TIMESTAMP, initiator_id and value BIGINT, user_id and the other
    text fields. These rows are cached, so columns that can be derived from them are
    computed later, where they are used.
    """
    return (
        lines.transform(with_typed_fields)
        .withColumn("reason", rejection(first_micros, until_micros))
        .select(
            "reason",
            F.when(is_rejected(), F.col("raw")).alias("raw"),
            F.when(is_rejected(), F.col("source_file")).alias("source_file"),
            "instant",
            "initiator_id",
            "value",
            "user_id",
            *_STORED_TEXTS,
        )
    )


def with_typed_fields(lines: DataFrame) -> DataFrame:
    """The lines with instant, initiator_id and value as typed, empty texts as NULL.

    A field that breaks its rule is NULL. The columns written_time and written_value
    keep the texts of timestamp and value.
    """
    return lines.select(
        "raw",
        "source_file",
        "is_object",
        F.col("timestamp").alias("written_time"),
        whole_number("initiator_id").alias("initiator_id"),
        whole_seconds("value").alias("value"),
        empty_as_null("value").alias("written_value"),
        empty_as_null("user_id").alias("user_id"),
        *(empty_as_null(name).alias(name) for name in _STORED_TEXTS),
    ).transform(with_instant)


def rejection(first_micros: int, until_micros: int) -> Column:
    """The reason of the first rule that a line breaks; NULL if it breaks none."""
    written_time = F.coalesce(F.col("written_time"), F.lit(""))
    return (
        F.when(~F.col("is_object"), F.lit("malformed_json"))
        .when(~is_playback_event() & F.col("event").isNull(), F.lit("missing_event"))
        .when(is_ignored_app_event(), F.lit(None))
        .when(
            F.col("instant").isNull(),
            F.when(written_time.rlike(_BLANK), F.lit("missing_timestamp")).otherwise(
                reason_of("timestamp")
            ),
        )
        .when(F.unix_micros("instant") < first_micros, F.lit("past_timestamp"))
        .when(F.unix_micros("instant") >= until_micros, F.lit("future_timestamp"))
        .when(
            ~is_playback_event() & F.col("initiator_id").isNull(),
            reason_of("initiator_id"),
        )
        .when(is_playback_event() & F.col("user_id").isNull(), reason_of("user_id"))
        .when(
            is_playback_event()
            & F.col("written_value").isNotNull()
            & F.col("value").isNull(),
            reason_of("value"),
        )
    )


def reason_of(field: str) -> Column:
    """The reason to reject a line in which this field breaks its rule."""
    return F.lit(FIELDS[field].reason)


def outcome() -> Column:
    """The name of the table that a line belongs to, ``ignored`` or ``rejected``."""
    found = F.when(is_rejected(), F.lit(REJECTED))
    for table in EVENT_TABLES:
        found = found.when(is_event_of(table), F.lit(table.name))
    return found.otherwise(F.lit(IGNORED))


def detail() -> Column:
    """The reason of a rejected line, the name of an ignored event, else NULL."""
    return F.when(is_rejected(), F.col("reason")).when(
        is_ignored_app_event(), F.col("event")
    )


def is_rejected() -> Column:
    """Whether a judged line broke a rule."""
    return F.col("reason").isNotNull()


def is_playback_event() -> Column:
    """Whether a line has an event_name, whatever its event is."""
    return F.col("event_name").isNotNull()


def is_event_of(table: Table) -> Column:
    """Whether a line belongs to the table, if it breaks no rule."""
    if table is PLAYBACK_EVENTS:
        return is_playback_event()
    return ~is_playback_event() & (F.col("event") == KEPT_APP_EVENTS[table])


def is_ignored_app_event() -> Column:
    """Whether a line is an app event that no table keeps; only its name is judged."""
    return ~is_playback_event() & ~F.col("event").isin(*KEPT_APP_EVENTS.values())


def empty_as_null(name: str) -> Column:
    """A text; NULL if it is empty."""
    return F.nullif(F.col(name), F.lit(""))


def with_instant(lines: DataFrame) -> DataFrame:
    """The lines with the instant of written_time; NULL for a text that has none.

    This is a date and time, or a number since 1970. A time without an offset is in UTC.
    A fraction is cut to microseconds.
    """
    text, trimmed = F.col("written_time"), "trim(BOTH ' \t' FROM written_time)"
    is_other = F.col("instant").isNull()
    return (
        lines.withColumn("instant", instant_of_frequent_spelling())
        .withColumn(
            "usual_time",
            F.when(
                is_other & text.rlike(_EXTENDED_FORM), F.expr(usual_spelling(trimmed))
            ).when(
                is_other & text.rlike(_BASIC_FORM),
                F.expr(usual_spelling(extended_form(trimmed))),
            ),
        )
        .withColumn(
            "number",
            F.when(
                is_other & text.rlike(_NUMBER_SINCE_1970),
                F.expr(exact_number(trimmed)),
            ),
        )
        .withColumn(
            "instant",
            F.when(F.col("instant").isNotNull(), F.col("instant"))
            .when(
                F.col("usual_time").isNotNull(),
                F.expr("try_cast(usual_time as timestamp)"),
            )
            .when(
                text.rlike(_NUMBER_SINCE_1970), F.expr(since_1970("number", trimmed))
            ),
        )
    )


def instant_of_frequent_spelling() -> Column:
    """The instant of written_time in a spelling that many files have, else NULL.

    These read faster so than by the general way.
    """
    instant = F.lit(None)
    for end, at in reversed(_FREQUENT_ENDS.items()):
        is_written_so = F.col("written_time").rlike(rf"^{_CLOCK}{end}\z")
        at_instant = F.expr(f"try_cast({at} as timestamp)")
        instant = F.when(is_written_so, at_instant).otherwise(instant)
    return instant


def extended_form(text: str) -> str:
    """SQL for ``20210105T100000Z`` as ``2021-01-05T10:00:00Z``."""
    clock = f"trim(LEADING 'Tt \t' FROM substr({text}, 9))"
    return (
        f"concat(substr({text}, 1, 4), '-', substr({text}, 5, 2), '-',"
        f" substr({text}, 7, 2), 'T',"
        f" substr({clock}, 1, 2), ':', substr({clock}, 3, 2),"
        f" CASE WHEN {clock} RLIKE '^[0-9]{{6}}' THEN ':' ELSE '' END,"
        f" substr({clock}, 5))"
    )


def usual_spelling(text: str) -> str:
    """SQL for a date and time in ISO 8601's extended form, in its usual spelling."""
    clock = f"trim(LEADING 'Tt \t' FROM substr({text}, 11))"
    has_seconds = f"substr({clock}, 6, 1) = ':'"
    end = f"substr({clock}, CASE WHEN {has_seconds} THEN 9 ELSE 6 END)"
    zone = f"regexp_extract({end}, '[A-Za-z+-].*$', 0)"
    minutes = f"substr({zone}, length({zone}) - 1)"
    return (
        f"concat(substr({text}, 1, 10), 'T', substr({clock}, 1, 5),"
        f" CASE WHEN {has_seconds} THEN substr({clock}, 6, 3) ELSE ':00' END,"
        f" '.', regexp_extract({end}, '^[.,]([0-9]+)', 1), '0',"
        f" CASE WHEN {zone} RLIKE '^[+-]' THEN concat(substr({zone}, 1, 3), ':',"
        f" CASE WHEN length({zone}) > 3 THEN {minutes} ELSE '00' END) ELSE 'Z' END)"
    )


def exact_number(text: str) -> str:
    """SQL for a number; NULL if it has more than 20 digits before its fraction."""
    # A cast rounds, so further digits are cut before. A number with an exponent has no
    # match.
    cut = f"regexp_extract({text}, '^(-?[0-9]+([.][0-9]{{1,18}})?)[0-9]*$', 1)"
    return f"try_cast(coalesce(nullif({cut}, ''), {text}) as decimal(38, 18))"


def since_1970(number: str, text: str) -> str:
    """SQL for the instant of a number of seconds, or of a smaller unit if it is large.

    A number beyond all dates is the first or the last instant of the calendar.
    """
    seconds, milliseconds, microseconds, nanoseconds = (
        f"cast(floor({units}) as bigint)"
        for units in (
            f"{number} * 1000000",
            f"{number} * 1000",
            number,
            f"cast(floor({number}) as decimal(38, 3)) * 0.001",
        )
    )
    micros = (
        f"CASE WHEN {number} > -1e11 AND {number} < 1e11 THEN {seconds}"
        f" WHEN {number} >= 1e11 AND {number} < 1e14 THEN {milliseconds}"
        f" WHEN {number} >= 1e14 AND {number} < 1e17 THEN {microseconds}"
        f" WHEN {number} >= 1e17 AND {number} < 1e20 THEN {nanoseconds}"
        f" WHEN {text} LIKE '-%' THEN {_FIRST_MICROS} ELSE {_LAST_MICROS} END"
    )
    within = f"greatest({_FIRST_MICROS}, least({_LAST_MICROS}, {micros}))"
    epoch = "cast('1970-01-01T00:00:00Z' as timestamp)"
    return f"timestampadd(MICROSECOND, {within}, {epoch})"


def whole_number(name: str) -> Column:
    """Digits, with or without a minus, as BIGINT; NULL for anything else."""
    return F.when(F.col(name).rlike(_DIGITS), F.expr(f"try_cast({name} as bigint)"))


def whole_seconds(name: str) -> Column:
    """A number of at least 0, rounded down to BIGINT; NULL for anything else."""
    number = F.expr(f"try_cast({name} as double)")
    is_in_bigint = (number >= 0) & (number < _TWO_TO_THE_63)
    return F.when(
        F.col(name).rlike(_DIGITS_WITHOUT_SIGN), F.expr(f"try_cast({name} as bigint)")
    ).when(
        F.col(name).rlike(_NUMBER), F.when(is_in_bigint, F.floor(number).cast("bigint"))
    )


def only_registrations(judged: DataFrame) -> DataFrame:
    """Distinct ``registered`` events: the rows of user_registration."""
    return (
        only(judged, USER_REGISTRATION)
        .select(
            "event",
            F.col("instant").alias("time"),
            "initiator_id",
            "channel",
        )
        .distinct()
        .withColumn("derived_tstamp_day", F.to_date("time"))
    )


def only_app_loads(judged: DataFrame) -> DataFrame:
    """Distinct ``app_loaded`` events: the rows of app_loaded."""
    return (
        only(judged, APP_LOADED)
        .select(
            "event",
            F.col("instant").alias("time"),
            "initiator_id",
            "device_type",
        )
        .distinct()
        .withColumn("derived_tstamp_day", F.to_date("time"))
    )


def only_playback_events(judged: DataFrame) -> DataFrame:
    """Distinct playback events: the rows of playback_events."""
    return (
        only(judged, PLAYBACK_EVENTS)
        .select(
            F.col("instant").alias("timestamp"),
            "account_id",
            "user_id",
            "video_id",
            "session_id",
            "event_name",
            "value",
            "device",
            "device_os",
            "app_version",
            "country",
        )
        .distinct()
        .withColumn("derived_tstamp_day", F.to_date("timestamp"))
    )


def only_rejected(judged: DataFrame) -> DataFrame:
    """Distinct rejected lines: the rows of rejected_events."""
    return judged.where(is_rejected()).select("raw", "source_file", "reason").distinct()


def only(judged: DataFrame, table: Table) -> DataFrame:
    """The judged lines that belong to a table."""
    return judged.where(~is_rejected() & is_event_of(table))


class Tally(NamedTuple):
    """The number of lines with one outcome and detail."""

    outcome: str
    detail: str | None
    lines: int


def tally(judged: DataFrame) -> DataFrame:
    """One row per outcome and detail, as :class:`Tally`."""
    return (
        judged.select(outcome().alias("outcome"), detail().alias("detail"))
        .groupBy("outcome", "detail")
        .agg(F.count(F.lit(1)).alias("lines"))
    )


def by_detail(tally: Sequence[Tally], outcome: str) -> dict[str, int]:
    """The lines of one outcome by their detail."""
    return {
        counted.detail: counted.lines
        for counted in tally
        if counted.outcome == outcome and counted.detail is not None
    }


def users(rows: DataFrame) -> DataFrame:
    """One row per user_id: the rows of users, typed from text."""
    typed = rows.select(
        empty_as_null("user_id").alias("user_id"),
        day("signup_date").alias("signup_date"),
        *(
            empty_as_null(name).alias(name)
            for name in ("subscription_tier", "age_group", "gender")
        ),
    )
    return typed.transform(greatest_of_each, USERS)


def videos(rows: DataFrame) -> DataFrame:
    """One row per video_id: the rows of videos, typed from text."""
    seconds = F.floor(F.expr("try_cast(duration_seconds as double)"))
    typed = rows.select(
        *(empty_as_null(name).alias(name) for name in ("video_id", "title", "genre")),
        F.when(
            F.col("duration_seconds").rlike(_DECIMAL) & seconds.between(*_INT_RANGE),
            seconds.cast("int"),
        ).alias("duration_seconds"),
    )
    return typed.transform(greatest_of_each, VIDEOS)


def day(name: str) -> Column:
    """A day written YYYY-MM-DD, else NULL."""
    return F.when(F.col(name).rlike(rf"^{_DAY}\z"), F.expr(f"try_cast({name} as date)"))


def greatest_of_each(rows: DataFrame, table: Table) -> DataFrame:
    """The greatest row of each key, which is the first column; NULL is lowest."""
    key, *others = table.column_names
    order = Window.partitionBy(key).orderBy(
        *(F.col(name).desc_nulls_last() for name in others)
    )
    return (
        rows.where(F.col(key).isNotNull())
        .distinct()
        .withColumn("place", F.row_number().over(order))
        .where(F.col("place") == 1)
        .select(*table.column_names)
    )
