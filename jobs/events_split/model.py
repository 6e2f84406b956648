"""The rules for a line: which table it belongs to, or why it is rejected.

``lines`` has the rows that ``Engine.read_lines`` gives to a rule: raw, source_file,
file, at, is_object, and every one of FIELDS as text.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.fields import FIELDS, INVALID_ID, NO_ID
from jobs.local_time import instant_of_local_time, local_day
from jobs.tables import (
    APP_LOADED,
    EVENT_TABLES,
    PLAYBACK_EVENTS,
    USER_REGISTRATION,
    USERS,
    VIDEOS,
    Table,
)
from jobs.zones import Offsets

IGNORED = "ignored"
NOT_MAPPED = "not mapped"
REJECTED = "rejected"
NOT_KEPT = (IGNORED, NOT_MAPPED, REJECTED)

KEPT_APP_EVENTS = {
    USER_REGISTRATION: "registered",
    APP_LOADED: "app_loaded",
}
ANONYMOUS_LOAD = "app_loaded (anonymous)"
_NAMES_KEPT = 100

# An event_id identifies an event within these columns.
EVENT_KEYS = {
    USER_REGISTRATION: ("derived_tstamp_day", "initiator_id", "event", "event_id"),
    APP_LOADED: ("derived_tstamp_day", "initiator_id", "event", "event_id"),
    PLAYBACK_EVENTS: ("derived_tstamp_day", "user_id", "event_name", "event_id"),
}

_STORED_TEXTS = tuple(name for name in FIELDS if name not in ("timestamp", "value"))

_FEW_DIGITS = r"^[0-9]{1,12}(\.[0-9]{1,6})?\z"
_NUMBER_FROM_0 = r"^[ \t]*([0-9]+(\.[0-9]+)?|-0+(\.0+)?)[ \t]*\z"
_NUMBER_IN_JSON = r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_DECIMAL = r"^-?[0-9]+(\.[0-9]+)?\z"
_WHOLE_WITH_FRACTION = r"^-?[0-9]+\.0+\z"
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
_FIRST_YEAR = "0001"
_DATE = rf"^{_DAY}({_BETWEEN}{_TIME}(:{_SECONDS})?{_END}|\z)"
# The spellings of a time without an offset; some that are no instant are among them.
_LOCAL = rf"^[ \t]*({_DAY}|[0-9]{{8}}){_BETWEEN}[0-9:.,]+[ \t]*\z"
_BLANK = r"^[ \t]*\z"
_NUMBER_SINCE_1970 = rf"^[ \t]*{_NUMBER_IN_JSON}[ \t]*\z"
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_OF_MAPPING = ("rule", "type", "found")
_FIRST_MICROS = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z
_LAST_MICROS = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z


@dataclass(frozen=True)
class MappedLines:
    """The rules of a mapping, by their numbers, as far as lines are judged by them.

    Attributes:
        no_type: the name by which lines are counted that no rule takes, and that have
            no value there by which they could be counted.
        units: the digits that the unit of a number has more than seconds.
        formats: the regular expression of the instants, and strptime's directive of
            each of its groups.
    """

    no_type: str
    units: Mapping[int, int] = field(default_factory=dict)
    formats: Mapping[int, tuple[str, Sequence[str]]] = field(default_factory=dict)


def judge(
    lines: DataFrame,
    first_micros: int,
    until_micros: int,
    input_zone: Offsets,
    mapped: MappedLines | None = None,
) -> DataFrame:
    """One row per line, with the reason if the line is rejected.

    Args:
        lines: the lines.
        first_micros: the first instant that a line may have, in microseconds since
            1970.
        until_micros: the first instant after it that a line may not have.
        input_zone: the zone of times without an offset.
        mapped: the rules by which the lines are mapped, if they are. The result then
            also has rule, type (not NULL if no rule takes the line) and found.

    Columns: reason (NULL if the line is accepted), raw, source_file and at (of rejected
    lines only), size INT (its bytes, if nothing of the line is kept), file INT,
    field_without_id TINYINT, instant TIMESTAMP, value DECIMAL(18,6), and the other
    fields as texts. These rows are cached, so columns that can be derived from them are
    computed later, where they are used.
    """
    return (
        lines.transform(with_typed_fields, input_zone, mapped)
        .withColumn("reason", rejection(first_micros, until_micros, mapped is not None))
        .select(
            "reason",
            F.when(is_rejected(), F.col("raw")).alias("raw"),
            F.when(is_rejected(), F.col("source_file")).alias("source_file"),
            F.when(is_rejected(), F.col("at")).alias("at"),
            F.when(is_rejected() | is_anonymous_load(), F.col("size")).alias("size"),
            "file",
            "field_without_id",
            "instant",
            "value",
            *_STORED_TEXTS,
            *(_OF_MAPPING if mapped else ()),
        )
    )


def with_gap_digits(judged: DataFrame) -> DataFrame:
    """The judged lines with the digits of a session_id that is a gap session's."""
    digits = F.regexp_extract("session_id", "[0-9]+$", 0)
    is_of_gap = F.col("session_id") == F.concat_ws("-", "user_id", digits)
    return judged.withColumn("gap_digits", F.when(is_of_gap & (digits != ""), digits))


def with_pseudonym_of_gap(judged: DataFrame) -> DataFrame:
    """The judged lines with the user's pseudonym in the ids of gap sessions."""
    of_gap = F.concat_ws("-", "user_id", "gap_digits")
    return judged.withColumn(
        "session_id",
        F.when(F.col("gap_digits").isNotNull(), of_gap).otherwise(F.col("session_id")),
    ).drop("gap_digits")


def with_typed_fields(
    lines: DataFrame, input_zone: Offsets, mapped: MappedLines | None = None
) -> DataFrame:
    """The lines with instant and value as typed, and empty texts as NULL.

    A field that breaks its rule is NULL. The columns written_time and written_value
    keep the texts of timestamp and value. An id that is neither a text nor a number is
    INVALID_ID.

    Args:
        lines: the lines.
        input_zone: the zone of times without an offset.
        mapped: the rules by which the lines are mapped, if they are.
    """
    typed = lines.select(
        "raw",
        "source_file",
        "file",
        "at",
        "size",
        "is_object",
        "field_without_id",
        (written_time(mapped) if mapped else F.col("timestamp")).alias("written_time"),
        amount("value").alias("value"),
        F.col("value").alias("written_value"),
        *(empty_as_null(name).alias(name) for name in _STORED_TEXTS),
        *(columns_of_mapping(mapped) if mapped else ()),
    )
    return typed.transform(with_instant, input_zone, mapped.units if mapped else {})


def columns_of_mapping(mapped: MappedLines) -> tuple[Column, ...]:
    """The rule, the type and the paths of mapped lines; see :func:`judge`."""
    is_not_mapped = F.col("is_object") & F.col("rule").isNull()
    type_ = F.when(is_not_mapped, F.coalesce(F.col("type"), F.lit(mapped.no_type)))
    return F.col("rule"), type_.alias("type"), F.col("found")


def written_time(mapped: MappedLines) -> Column:
    """The field timestamp, with an instant of a rule's format in ISO 8601.

    A text in another format than its rule's is one that is no instant.
    """
    written = F.col("timestamp")
    trimmed = F.expr("trim(BOTH ' \t' FROM timestamp)")
    for number, (pattern, directives) in mapped.formats.items():
        whole = rf"^{pattern}\z"
        iso = F.when(trimmed.rlike(whole), iso_time(trimmed, whole, directives))
        is_of_rule = (F.col("rule") == number) & ~is_blank("timestamp")
        written = F.when(is_of_rule, F.coalesce(iso, F.lit("-"))).otherwise(written)
    return written


def rejection(first_micros: int, until_micros: int, is_mapped: bool = False) -> Column:
    """The reason of the first rule that a line breaks; NULL if it breaks none."""
    malformed = F.when(~F.col("is_object"), F.lit("malformed_json"))
    if is_mapped:
        malformed = malformed.when(is_not_mapped(), F.lit(None))
    return (
        malformed.when(
            ~is_playback_event() & F.col("event").isNull(), F.lit("missing_event")
        )
        .when(is_ignored_app_event(), F.lit(None))
        .when(
            F.col("instant").isNull(),
            F.when(is_blank("written_time"), missing("timestamp")).otherwise(
                invalid("timestamp")
            ),
        )
        .when(F.unix_micros("instant") < first_micros, F.lit("past_timestamp"))
        .when(F.unix_micros("instant") >= until_micros, F.lit("future_timestamp"))
        .when(~is_playback_event(), rejection_of_id("initiator_id"))
        .otherwise(F.coalesce(rejection_of_id("user_id"), rejection_of_value()))
    )


def rejection_of_id(field: str) -> Column:
    """The reason to reject a line without an id in this field, else NULL."""
    return F.when(F.col(field).isNull(), missing(field)).when(
        F.col(field) == INVALID_ID, invalid(field)
    )


def rejection_of_value() -> Column:
    """The reason to reject a line with a value that is no amount, else NULL."""
    is_invalid = F.col("value").isNull() & ~is_blank("written_value")
    return F.when(is_invalid, invalid("value"))


def missing(field: str) -> Column:
    """The reason to reject a line that lacks this field."""
    return F.lit(FIELDS[field].missing)


def invalid(field: str) -> Column:
    """The reason to reject a line in which this field breaks its rule."""
    return F.lit(FIELDS[field].invalid)


def is_blank(field: str) -> Column:
    """Whether a text is NULL, empty or blanks."""
    return F.coalesce(F.col(field), F.lit("")).rlike(_BLANK)


def outcome(is_mapped: bool = False) -> Column:
    """The name of the table that a line belongs to, or why it belongs to none.

    This is ``ignored``, ``rejected`` or ``not mapped``.
    """
    found = F.when(is_rejected(), F.lit(REJECTED))
    if is_mapped:
        found = found.when(is_not_mapped(), F.lit(NOT_MAPPED))
    for table in EVENT_TABLES:
        found = found.when(is_event_of(table), F.lit(table.name))
    return found.otherwise(F.lit(IGNORED))


def detail(is_mapped: bool = False) -> Column:
    """The reason of a rejected line, the name of an ignored event, else NULL.

    A line that no rule of the mapping takes has its type.
    """
    ignored = F.when(is_anonymous_load(), F.lit(ANONYMOUS_LOAD))
    found = F.when(is_rejected(), F.col("reason")).when(
        is_ignored_app_event(), F.coalesce(ignored, F.col("event"))
    )
    return found.otherwise(F.col("type")) if is_mapped else found


def is_not_mapped() -> Column:
    """Whether no rule of the mapping takes a line."""
    return F.col("type").isNotNull()


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
    is_event = ~is_playback_event() & (F.col("event") == KEPT_APP_EVENTS[table])
    return is_event & ~is_anonymous_load() if table is APP_LOADED else is_event


def is_ignored_app_event() -> Column:
    """Whether a line is an app event that no table keeps; only its name is judged."""
    is_other = ~F.col("event").isin(*KEPT_APP_EVENTS.values())
    return ~is_playback_event() & (is_other | is_anonymous_load())


def is_anonymous_load() -> Column:
    """Whether an app event is a load of nobody known."""
    is_load = F.col("event") == KEPT_APP_EVENTS[APP_LOADED]
    return is_load & F.col("initiator_id").isNull()


def empty_as_null(name: str) -> Column:
    """A text; NULL if it is empty."""
    return F.nullif(F.col(name), F.lit(""))


def with_instant(
    lines: DataFrame, input_zone: Offsets, units: Mapping[int, int] = {}
) -> DataFrame:
    """The lines with the instant of written_time; NULL for a text that has none.

    This is a date and time, or a number since 1970. A fraction is cut to microseconds.

    Args:
        lines: the lines.
        input_zone: the zone of times without an offset.
        units: the digits that a unit has more than seconds, by the rules of mapped
            lines. Other numbers tell their unit by their size.
    """
    in_utc = lines.transform(with_instant_in_utc, units)
    if input_zone.is_utc:
        return in_utc
    is_local = F.col("written_time").rlike(_LOCAL)
    instant = instant_of_local_time("instant", input_zone)
    return in_utc.withColumn(
        "instant", F.when(is_local, instant).otherwise(F.col("instant"))
    )


def with_instant_in_utc(lines: DataFrame, units: Mapping[int, int] = {}) -> DataFrame:
    """The lines with the instant of written_time, by UTC if it has no offset."""
    text, trimmed = F.col("written_time"), "trim(BOTH ' \t' FROM written_time)"
    number_since_1970 = F.expr(since_1970("number", trimmed))
    for rule, digits in units.items():
        in_unit = F.expr(since_1970_in_unit("number", trimmed, digits))
        number_since_1970 = F.when(F.col("rule") == rule, in_unit).otherwise(
            number_since_1970
        )
    is_other = F.col("instant").isNull()
    return (
        lines.withColumn("instant", instant_of_frequent_spelling())
        .withColumn(
            "other_form",
            F.when(is_other & text.rlike(_EXTENDED_FORM), F.expr(trimmed)).when(
                is_other & text.rlike(_BASIC_FORM), F.expr(extended_form(trimmed))
            ),
        )
        .withColumn(
            "usual_time",
            F.when(
                F.col("other_form").isNotNull(), F.expr(usual_spelling("other_form"))
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
            .when(text.rlike(_NUMBER_SINCE_1970), number_since_1970),
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
    zero = f"regexp_replace({text}, '^-?[0.]+[eE].*$', '0')"  # with any exponent
    return f"try_cast(coalesce(nullif({cut}, ''), {zero}) as decimal(38, 18))"


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
    # These limits are no doubles, to which the number would be rounded.
    micros = (
        f"CASE WHEN {number} > -{10**11} AND {number} < {10**11} THEN {seconds}"
        f" WHEN {number} >= {10**11} AND {number} < {10**14} THEN {milliseconds}"
        f" WHEN {number} >= {10**14} AND {number} < {10**17} THEN {microseconds}"
        f" WHEN {number} >= {10**17} THEN {nanoseconds}"
        f" WHEN {text} LIKE '-%' THEN {_FIRST_MICROS} ELSE {_LAST_MICROS} END"
    )
    within = f"greatest({_FIRST_MICROS}, least({_LAST_MICROS}, {micros}))"
    epoch = "cast('1970-01-01T00:00:00Z' as timestamp)"
    return f"timestampadd(MICROSECOND, {within}, {epoch})"


def since_1970_in_unit(number: str, text: str, digits: int) -> str:
    """SQL for the instant of a number in a unit with so many more digits than seconds.

    A number beyond all dates is the first or the last instant of the calendar.
    """
    micros = {
        0: f"cast(floor({number} * 1000000) as bigint)",
        3: f"cast(floor({number} * 1000) as bigint)",
        6: f"cast(floor({number}) as bigint)",
        9: f"cast(floor(cast(floor({number}) as decimal(38, 3)) * 0.001) as bigint)",
    }[digits]
    limit = 10 ** min(11 + digits, 17)
    # A larger number of nanoseconds is none that exact_number() knows.
    is_near = f"{number} > -{limit} AND {number} < {limit}"
    known = is_near if digits < 9 else f"{number} IS NOT NULL"
    within = (
        f"CASE WHEN {known} THEN greatest({_FIRST_MICROS}, least({_LAST_MICROS},"
        f" {micros})) WHEN {text} LIKE '-%' THEN {_FIRST_MICROS} ELSE {_LAST_MICROS}"
        " END"
    )
    epoch = "cast('1970-01-01T00:00:00Z' as timestamp)"
    return f"timestampadd(MICROSECOND, {within}, {epoch})"


def iso_time(written: Column, pattern: str, directives: Sequence[str]) -> Column:
    """A date and time in ISO 8601, of a text that a pattern matches.

    Args:
        written: the text.
        pattern: the pattern.
        directives: strptime's directive of each group of the pattern.
    """

    def part(directive: str) -> Column:
        return F.regexp_extract(written, pattern, directives.index(directive) + 1)

    def two_digits(directive: str) -> Column:
        return F.lpad(part(directive), 2, "0")

    if "%b" in directives:
        places = F.instr(F.lit(_MONTHS), F.lower(part("%b")))
        month = F.lpad(F.floor((places + 2) / 3).cast("int").cast("string"), 2, "0")
    else:
        month = two_digits("%m")
    if "%I" in directives:
        is_pm = F.lower(part("%p")) == "pm"
        hour_of_12 = part("%I").cast("int") % 12
        hour_of_24 = F.when(is_pm, hour_of_12 + 12).otherwise(hour_of_12)
        hour = F.lpad(hour_of_24.cast("string"), 2, "0")
    else:
        hour = two_digits("%H")
    pieces = [part("%Y"), F.lit("-"), month, F.lit("-"), two_digits("%d"), F.lit("T")]
    pieces += [hour, F.lit(":"), two_digits("%M"), F.lit(":")]
    pieces += [two_digits("%S") if "%S" in directives else F.lit("00")]
    pieces += [F.lit("."), part("%f")] if "%f" in directives else []
    pieces += [part("%z")] if "%z" in directives else []
    return F.concat(*pieces)


def amount(name: str) -> Column:
    """A number of at least 0 as DECIMAL(18,6), cut after the sixth digit, else NULL."""
    digits = f"regexp_extract({name}, '[0-9]+([.][0-9]{{1,6}})?', 0)"
    return F.when(
        F.col(name).rlike(_FEW_DIGITS), F.expr(f"try_cast({name} as decimal(18, 6))")
    ).when(
        F.col(name).rlike(_NUMBER_FROM_0),
        F.expr(f"try_cast({digits} as decimal(18, 6))"),
    )


def instant_of(table: Table) -> str:
    """The column of the instant of an event table."""
    return next(c.name for c in table.columns if c.type == "TIMESTAMP")


def event_rows(judged: DataFrame, table: Table, zone: Offsets) -> DataFrame:
    """The distinct rows of an event table, with their days in a time zone."""
    instant = instant_of(table)
    columns = (
        F.col("instant").alias(instant) if column.name == instant else column.name
        for column in table.columns
    )
    return (
        judged.where(~is_rejected() & is_event_of(table))
        .select(*columns)
        .distinct()
        .withColumn("derived_tstamp_day", local_day(instant, zone))
    )


def only_first_of_event_id(rows: DataFrame, table: Table) -> DataFrame:
    """The smallest row of each day, user, event name and event_id; NULL is lowest.

    Rows without an event_id stay.
    """
    order = Window.partitionBy(*EVENT_KEYS[table]).orderBy(
        *(F.col(name).asc_nulls_first() for name in table.column_names)
    )
    return (
        rows.withColumn("place", F.row_number().over(order))
        .where(F.col("event_id").isNull() | (F.col("place") == 1))
        .select(*table.column_names)
    )


class SharedEventId(NamedTuple):
    """The rows of a table that differ from the one that stays, and an event_id.

    This event_id is one that the most rows share.
    """

    different_rows: int
    example: str


def shared_event_ids(rows: DataFrame, table: Table) -> DataFrame:
    """One row, as SharedEventId, if different rows of an event table share an id."""
    most = F.max(F.struct("different", "event_id")).getField("event_id")
    return (
        rows.where(F.col("event_id").isNotNull())
        .groupBy(*EVENT_KEYS[table])
        .agg((F.count(F.lit(1)) - 1).alias("different"))
        .agg(
            F.sum("different").cast("bigint").alias("different_rows"),
            most.alias("example"),
        )
        .where(F.col("different_rows") > 0)
    )


def only_rejected(judged: DataFrame) -> DataFrame:
    """Distinct rejected lines: the rows of rejected_events."""
    return judged.where(is_rejected()).select("raw", "source_file", "reason").distinct()


def counted(judged: DataFrame) -> DataFrame:
    """One row per file, outcome, detail and field_without_id of the judged lines.

    If the lines are mapped, there is one row per rule, too, and found has a bit for
    each path of the rule that any of the lines has.

    Columns: these, lines, identified (those with an event_id), oldest and newest
    (in microseconds since 1970), and size (the bytes of lines of which nothing is
    kept). All other counts of lines are derived from these rows.
    """
    is_mapped = "type" in judged.columns
    of_mapping = ("rule", "found") if is_mapped else ()
    return (
        judged.select(
            "file",
            "field_without_id",
            "size",
            outcome(is_mapped).alias("outcome"),
            detail(is_mapped).alias("detail"),
            "event_id",
            F.unix_micros("instant").alias("micros"),
            *of_mapping,
        )
        .groupBy("file", "outcome", "detail", "field_without_id", *of_mapping[:1])
        .agg(
            F.count(F.lit(1)).alias("lines"),
            F.count("event_id").alias("identified"),
            F.min("micros").alias("oldest"),
            F.max("micros").alias("newest"),
            F.coalesce(F.sum("size"), F.lit(0)).cast("bigint").alias("size"),
            *(F.expr(f"bit_or({name})").alias(name) for name in of_mapping[1:]),
        )
    )


class Tally(NamedTuple):
    """The lines with one outcome and detail.

    Attributes:
        detail: the name of an ignored event, or the reason of a rejection; None for
            the tables, and for all ignored names but the most frequent ones.
        names: how many details these are.
        identified: how many of the lines have an event_id.
        oldest: the first instant of them, in microseconds since 1970; None if none of
            them has an instant.
        newest: the last instant.
        size: the bytes of the lines of which nothing is kept.
    """

    outcome: str
    detail: str | None
    lines: int
    identified: int = 0
    oldest: int | None = None
    newest: int | None = None
    size: int = 0
    names: int = 1

    @property
    def is_kept(self) -> bool:
        """Whether the lines belong to a table."""
        return self.outcome not in NOT_KEPT


def tally(counts: DataFrame) -> DataFrame:
    """One row per outcome and detail, as :class:`Tally`.

    Only the most frequent ignored names have a row of their own.

    Args:
        counts: rows of :func:`counted`.
    """
    by_lines = Window.partitionBy("outcome").orderBy(F.col("lines").desc(), "detail")
    is_frequent = ~F.col("outcome").isin(IGNORED, NOT_MAPPED) | (
        F.col("place") <= _NAMES_KEPT
    )
    return (
        counts.groupBy("outcome", "detail")
        .agg(*_totals(), F.lit(1).alias("names"))
        .withColumn("place", F.row_number().over(by_lines))
        .withColumn("detail", F.when(is_frequent, F.col("detail")))
        .groupBy("outcome", "detail")
        .agg(*_totals(), F.sum("names").cast("bigint").alias("names"))
    )


def _totals() -> list[Column]:
    return [
        *(F.sum(n).cast("bigint").alias(n) for n in ("lines", "identified", "size")),
        F.min("oldest").alias("oldest"),
        F.max("newest").alias("newest"),
    ]


class FileTally(NamedTuple):
    """The lines of one file, by its number."""

    file: int
    kept: int
    ignored: int
    rejected: int


def file_tally(counts: DataFrame) -> DataFrame:
    """One row per file with lines, as :class:`FileTally`.

    Args:
        counts: rows of :func:`counted`.
    """
    is_other = F.col("outcome").isin(*NOT_KEPT)
    return counts.groupBy("file").agg(
        *(
            F.coalesce(F.sum(F.when(is_counted, F.col("lines"))), F.lit(0))
            .cast("bigint")
            .alias(name)
            for name, is_counted in (
                ("kept", ~is_other),
                ("ignored", F.col("outcome").isin(IGNORED, NOT_MAPPED)),
                ("rejected", F.col("outcome") == REJECTED),
            )
        )
    )


class WithoutId(NamedTuple):
    """The lines in which a field, by its number, has a text that means no id."""

    field_without_id: int
    lines: int


def without_id(counts: DataFrame) -> DataFrame:
    """One row per field that has such texts, as :class:`WithoutId`.

    Args:
        counts: rows of :func:`counted`.
    """
    return (
        counts.where(F.col("field_without_id").isNotNull())
        .groupBy("field_without_id")
        .agg(F.sum("lines").cast("bigint").alias("lines"))
    )


class RejectedLine(NamedTuple):
    """One of the first rejected lines of a reason."""

    reason: str
    file: int
    at: int
    raw: str


def first_rejected(
    judged: DataFrame, most: int, longest: int, longest_first: int
) -> DataFrame:
    """The first rejected lines of each reason, as :class:`RejectedLine`.

    Args:
        judged: the judged lines.
        most: how many lines of each reason.
        longest: a longer line is cut after so many characters.
        longest_first: the same for the first line of each reason.
    """
    rejected = judged.where(is_rejected())
    in_order = Window.partitionBy("reason").orderBy("file", "at")
    # The lines themselves are not sorted, since they may be long.
    first = (
        rejected.select("reason", "file", "at")
        .withColumn("place", F.row_number().over(in_order))
        .where(F.col("place") <= most)
        .select(
            F.col("file").alias("first_file"), F.col("at").alias("first_at"), "place"
        )
    )
    is_first = (F.col("file") == F.col("first_file")) & (
        F.col("at") == F.col("first_at")
    )
    return rejected.join(first, on=is_first, how="inner").select(
        "reason",
        "file",
        "at",
        F.when(F.col("place") == 1, F.substring("raw", 1, longest_first))
        .otherwise(F.substring("raw", 1, longest))
        .alias("raw"),
    )


def by_detail(tally: Sequence[Tally], *outcomes: str) -> dict[str, int]:
    """The lines of some outcomes by their detail, the most frequent detail first.

    Details that were made equal, since they are concealed, count together.
    """
    found = [counted for counted in tally if counted.outcome in outcomes]
    others = sum(counted.names for counted in found if counted.detail is None)
    of_others = f"({others:,} other name{'s' * (others != 1)})"
    lines: Counter[str] = Counter()
    for counted in found:
        lines[counted.detail or of_others] += counted.lines
    return dict(sorted(lines.items(), key=lambda each: (-each[1], each[0])))


class RuleTally(NamedTuple):
    """The lines that a rule of a mapping takes, and a bit for each path they have."""

    rule: int
    lines: int
    found: int


def rule_tally(counts: DataFrame) -> DataFrame:
    """One row per rule that takes a line, as :class:`RuleTally`.

    Args:
        counts: rows of :func:`counted`, of mapped lines.
    """
    return (
        counts.where(F.col("rule").isNotNull())
        .groupBy("rule")
        .agg(
            F.sum("lines").cast("bigint").alias("lines"),
            F.expr("bit_or(found)").alias("found"),
        )
    )


def users(rows: DataFrame) -> DataFrame:
    """One row per user_id: the rows of users, typed from text."""
    typed = rows.select(
        F.when(~F.col("user_id").isin(*NO_ID), id_text("user_id")).alias("user_id"),
        day("signup_date").alias("signup_date"),
        *(
            empty_as_null(name).alias(name)
            for name in ("subscription_tier", "age_group", "gender")
        ),
    )
    return typed.transform(greatest_of_each, USERS)


def videos(rows: DataFrame) -> DataFrame:
    """One row per video_id: the rows of videos, typed from text."""
    typed = rows.select(
        id_text("video_id").alias("video_id"),
        *(empty_as_null(name).alias(name) for name in ("title", "genre")),
        whole_int("duration_seconds").alias("duration_seconds"),
    )
    return typed.transform(greatest_of_each, VIDEOS)


def most_frequent(events: DataFrame, name: str, most: int) -> DataFrame:
    """The most frequent values of a column: name, events."""
    return (
        events.where(F.col(name).isNotNull())
        .groupBy(F.col(name).alias("name"))
        .agg(F.count(F.lit(1)).alias("events"))
        .orderBy(F.col("events").desc(), "name")
        .limit(most)
    )


def newest_instants(events: Mapping[Table, DataFrame]) -> DataFrame:
    """The two newest instants of all events: micros."""
    first, *others = (
        rows.select(F.unix_micros(instant_of(table)).alias("micros"))
        for table, rows in events.items()
    )
    for other in others:
        first = first.union(other)
    return first.orderBy(F.col("micros").desc()).limit(2)


class Unreadable(NamedTuple):
    """How many values of a column cannot be read, and the least of them."""

    values: int
    example: str | None


def unreadable(rows: DataFrame, name: str, typed: Callable[[str], Column]) -> DataFrame:
    """One row for a column of text that this function types, as :class:`Unreadable`."""
    return rows.where(empty_as_null(name).isNotNull() & typed(name).isNull()).agg(
        F.count(F.lit(1)).alias("values"), F.min(name).alias("example")
    )


class Ids(NamedTuple):
    """How many different ids the events have, and how many of them have attributes."""

    ids: int
    known: int


def known_ids(events: DataFrame, attributes: DataFrame, name: str) -> DataFrame:
    """One row for the ids in the column of this name, as :class:`Ids`."""
    ids = events.select(F.col(name).alias("id")).distinct()
    known = attributes.select(F.col(name).alias("known_id"))
    return ids.join(known, F.col("id") == F.col("known_id"), "left").agg(
        F.count("id").alias("ids"), F.count("known_id").alias("known")
    )


def id_text(name: str) -> Column:
    """An id as text: ``101.0`` is ``101``; NULL if it is empty."""
    digits = F.regexp_extract(name, r"^-?[0-9]+", 0)
    is_whole = F.col(name).rlike(_WHOLE_WITH_FRACTION)
    return F.when(is_whole, digits).otherwise(empty_as_null(name))


def day(name: str) -> Column:
    """The day of a date YYYY-MM-DD, with or without a time after it, else NULL."""
    is_date = F.col(name).rlike(_DATE) & (F.col(name) >= _FIRST_YEAR)
    return F.when(is_date, F.expr(f"try_cast(substr({name}, 1, 10) as date)"))


def whole_int(name: str) -> Column:
    """A decimal number, rounded down to INT, else NULL."""
    whole = F.floor(F.expr(f"try_cast({name} as double)"))
    is_in_int = F.col(name).rlike(_DECIMAL) & whole.between(*_INT_RANGE)
    return F.when(is_in_int, whole.cast("int"))


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
