"""Collects what the findings of events_split are made from."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from jobs import findings
from jobs.events_split.attributes import Attributes
from jobs.events_split.causes import Shown, near_names
from jobs.fields import FIELDS, OPTIONAL_ID
from jobs.findings import Finding
from jobs.lines.mapped import MOST_PATHS
from jobs.mapping import EventMapping, as_text
from jobs.publishing.run import Run
from jobs.tables import (
    APP_LOADED,
    EVENT_TABLES,
    PLAYBACK_EVENTS,
    USER_REGISTRATION,
    USERS,
    VIDEOS,
)

if TYPE_CHECKING:

    from jobs.events_split.model import RuleTally, SharedEventId, Tally

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES_COMPARED = 1000
_LIKENESS = 0.85  # so that likes is near like, and dislike is not
_PLAYBACK_NAMES = ("watch_time", "session_start", "session_end", "heart", "like")


def findings_of_lines(
    tally: Sequence["Tally"],
    without_id: Mapping[int, int],
    shared: Sequence["SharedEventId"],
    shown: Shown,
) -> Iterator[Finding | None]:
    """What looks wrong in the lines of a run.

    Args:
        tally: the lines of each outcome and detail.
        without_id: the lines in which a field, by its number, has no id but a text.
        shared: the event_ids that different rows of a table share.
        shown: shows values.
    """
    from jobs.events_split import model

    lines = Counter({each.outcome: each.lines for each in tally})
    ignored = model.by_detail(tally, model.IGNORED)
    app_events = lines[USER_REGISTRATION.name] + lines[APP_LOADED.name]
    yield findings.all_app_events_ignored(ignored, app_events)
    for table, name in model.KEPT_APP_EVENTS.items():
        near = [] if lines[table.name] else near_names(name, ignored, _LIKENESS)
        yield findings.missing_name(name, {other: ignored[other] for other in near})
    names = list(FIELDS)
    for number, count in without_id.items():
        is_dropped = FIELDS[names[number]] is not OPTIONAL_ID
        yield findings.texts_without_id(names[number], count, is_dropped)
    if shared:
        largest = max(shared, key=lambda each: each.different_rows)
        different = sum(each.different_rows for each in shared)
        yield findings.event_ids_shared(different, shown.id(largest.example))


def findings_of_mapping(
    mapping: EventMapping, rules: Sequence["RuleTally"]
) -> Iterator[Finding | None]:
    """What looks wrong in a mapping, by the lines that its rules take.

    Rules of a preset are left out: they know more names and paths than a file has.
    """
    by_number = {each.rule: each for each in rules}
    unused = []
    missing: dict[str, str] = {}
    found: set[str] = set()
    for number, rule in enumerate(mapping.rules):
        if rule.is_of_preset:
            continue
        tally = by_number.get(number)
        if tally is None:
            unused.append(f"{number + 1}, {rule.family}")
            continue
        there = {
            path
            for bit, path in enumerate(rule.paths)
            if bit >= MOST_PATHS or tally.found >> bit & 1
        }
        found |= {as_text(path) for path in there}
        for name, paths in rule.fields.items():
            missing |= {as_text(path): name for path in paths if path not in there}
    yield findings.rules_without_lines(unused)
    yield findings.missing_paths(
        {path: name for path, name in missing.items() if path not in found}
    )


def findings_of_tables(run: Run, shown: Shown) -> Iterator[Finding | None]:
    """What looks wrong in the event tables that the run has staged."""
    from jobs.events_split import model

    engine = run.engine
    rows = {table: engine.read(table, run.files(table)) for table in EVENT_TABLES}
    events = rows[PLAYBACK_EVENTS]
    frequent = model.most_frequent(events, "event_name", _NAMES_COMPARED)
    names = dict(engine.collect(frequent, Count))
    for name in _PLAYBACK_NAMES:
        near = [] if name in names else near_names(name, names, _LIKENESS)
        yield findings.missing_name(name, {other: names[other] for other in near})
    for of, table, column in (
        ("viewer", PLAYBACK_EVENTS, "user_id"),
        ("session", PLAYBACK_EVENTS, "session_id"),
        ("user of the app", APP_LOADED, "initiator_id"),
    ):
        show = shown.id if column == "session_id" else shown.text
        frequent = model.most_frequent(rows[table], column, findings.LEAST_EVENTS)
        ids = engine.collect(frequent, Count)
        for name, count in ids[:1]:
            all_events = run.rows(table)
            yield findings.large_share(of, show(name), count, all_events, len(ids))
    days = _events_by_day(run)
    yield findings.many_days(len(days))
    newest = engine.collect(model.newest_instants(rows), Instant)
    if len(newest) > 1:
        first, second = sorted((_time(each.micros) for each in newest), reverse=True)
        if late := findings.late_event(first, second):
            yield late
            del days[max(days)]  # or all days before it would seem to be lost
    yield findings.few_events(days)


class Count(NamedTuple):
    """How many events have a name."""

    name: str
    events: int


class Instant(NamedTuple):
    """An instant in microseconds since 1970."""

    micros: int


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _events_by_day(run: Run) -> Counter[date]:
    """The number of stored events of each day."""
    days: Counter[date] = Counter()
    for table in EVENT_TABLES:
        for file in run.files(table).files:
            if file.partition is not None:
                days[date.fromisoformat(file.partition)] += file.rows
    return days


def findings_of_attributes(
    run: Run, users: Attributes, videos: Attributes, shown: Shown
) -> Iterator[Finding | None]:
    """What looks wrong in the CSV files, and in the events beside them."""
    from jobs.events_split import model

    engine = run.engine
    events = engine.read(PLAYBACK_EVENTS, run.files(PLAYBACK_EVENTS))
    for table, attributes, name, typed, takes in (
        (USERS, users, "signup_date", model.day, "a date such as 2021-01-31"),
        (VIDEOS, videos, "duration_seconds", model.whole_int, "a number of seconds"),
    ):
        if attributes.path is None:
            continue
        file, key = attributes.path.name, table.key[0]
        for missing in attributes.missing:
            yield findings.missing_column(file, missing.name, missing.near)
        values = model.unreadable(attributes.rows, name, typed)
        [unreadable] = engine.collect(values, model.Unreadable)
        example = shown.text(unreadable.example or "")
        yield findings.unreadable_values(file, name, takes, unreadable.values, example)
        rows = engine.read(table, run.files(table))
        [ids] = engine.collect(model.known_ids(events, rows, key), model.Ids)
        yield findings.unknown_ids(file, key, *ids)
