"""The findings of a run: what looks wrong in its data, though it has broken no rule.

Each rule is a function of small results that jobs have collected. It returns a finding,
or None if nothing looks wrong.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import comb, exp, lgamma, log
from statistics import median

from jobs.quoting import counted, short, some

MOST_UNKNOWN = 0.2
"""The share of users or videos without attributes above which there is a finding."""

LARGE_SHARE = 0.2
"""The share of events of one user or session above which there is a finding."""

LEAST_EVENTS = 100
"""Among fewer events, a large share of them has to be rare by chance."""

LONGEST_LEAD = timedelta(days=3)
"""A newest event that is later than every other one by more than this is a finding."""

LEAST_WEEKDAYS = 4
"""A weekday has to be seen so often to know how many events it usually has."""

_RARE = 0.0025
"""The probability of a finding in an input in which all comes by chance."""

_USUAL_PART = 0.8
_FARTHER = 2.25
"""A day of few events is so much farther from the median than four days of five are."""

_NEARLY_ALL = 0.9

MOST_DAYS = 10_000
"""The number of days with events above which there is a finding."""

KINDS = (
    "all_app_events_ignored",
    "missing_name",
    "rules_without_lines",
    "missing_paths",
    "event_ids_shared",
    "late_event",
    "few_events",
    "large_share",
    "texts_without_id",
    "unknown_ids",
    "missing_column",
    "unreadable_values",
    "many_days",
    "passed_over",
)
"""The kinds of findings, the most serious first."""

_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong.

    Attributes:
        kind: one of KINDS.
        text: one or two sentences that say how much is wrong, and what to do.
        count: how many lines, rows or values look wrong; None if nothing is counted.
    """

    kind: str
    text: str
    count: int | None = None


def _seriousness(finding: Finding) -> tuple[int, int, str]:
    return KINDS.index(finding.kind), -(finding.count or 0), finding.text


def most_serious_first(findings: Iterable[Finding | None]) -> tuple[Finding, ...]:
    """The findings in the order of KINDS; the largest of a kind first."""
    found = (finding for finding in findings if finding is not None)
    return tuple(sorted(found, key=_seriousness))


def missing_column(file: str, column: str, near: Sequence[str]) -> Finding:
    """A column that a CSV file does not have, and names that resemble it."""
    if near:
        names = " or ".join(map(short, near))
        advice = f"Its header has {names}: if that is meant, rename it to {column}."
    else:
        advice = "Nothing in its header resembles that name."
    return Finding(
        "missing_column", f"{file} has no column {column}, which is NULL. {advice}"
    )


def unreadable_values(
    file: str, column: str, takes: str, count: int, example: str | None
) -> Finding | None:
    """Values of a column of a CSV file that are not what the column takes."""
    if not count:
        return None
    return Finding(
        "unreadable_values",
        f"{file}: {counted(count, 'value')} of {column} cannot be read and became NULL,"
        f" such as {short(example or '')}. The column takes {takes}.",
        count,
    )


def unknown_ids(file: str, column: str, ids: int, known: int) -> Finding | None:
    """Ids of the events that a CSV file does not have, if they are many."""
    unknown = ids - known
    if unknown <= MOST_UNKNOWN * ids:
        return None
    share = f"{100 * unknown / ids:.0f} %"
    return Finding(
        "unknown_ids",
        f"{unknown:,} of {counted(ids, 'value')} of {column} in the events"
        f" {'has' if unknown == 1 else 'have'} no row in {file} ({share}), so"
        f" {'its' if unknown == 1 else 'their'} attributes are NULL."
        f" Compare how both write {column}.",
        unknown,
    )


def all_app_events_ignored(ignored: Mapping[str, int], kept: int) -> Finding | None:
    """App events of which no table keeps any."""
    lines = sum(ignored.values())
    if kept or not lines:
        return None
    names = some([f'"{short(name)}"' for name in ignored], _NAMES_SHOWN)
    events, are = (
        ("The only app event", "is")
        if lines == 1
        else (f"All {lines:,} app events", "are")
    )
    return Finding(
        "all_app_events_ignored",
        f"{events} {are} ignored, so no user registers or comes back. The rules need"
        f" registered and app_loaded, and not {names}.",
        lines,
    )


def missing_name(name: str, near: Mapping[str, int]) -> Finding | None:
    """A name of events that the rules need and that never occurs.

    Args:
        name: the name.
        near: the events of each name that resembles it.
    """
    if not near:
        return None
    events = sum(near.values())
    names = some(
        [f'"{short(other)}" ({near[other]:,})' for other in near], _NAMES_SHOWN
    )
    return Finding(
        "missing_name",
        f"No event is named {name}, but some are {names}. Names are compared as they"
        f" are written, so no rule takes these for {name}.",
        events,
    )


def rules_without_lines(rules: Sequence[str]) -> Finding | None:
    """Rules of a mapping that take no line."""
    if not rules:
        return None
    count = "1 rule takes" if len(rules) == 1 else f"{len(rules):,} rules take"
    return Finding(
        "rules_without_lines",
        f"{count} no line, of the mapping: {some(rules, _NAMES_SHOWN)}. Compare the"
        " texts of such a rule with those of an event.",
        len(rules),
    )


def missing_paths(paths: Mapping[str, str]) -> Finding | None:
    """Paths of a mapping that no line has.

    Args:
        paths: the field that each path is meant for.
    """
    if not paths:
        return None
    count = "1 path" if len(paths) == 1 else f"{len(paths):,} paths"
    names = [f"{short(path)} ({field})" for path, field in paths.items()]
    return Finding(
        "missing_paths",
        f"No line has {count} of the mapping: {some(names, _NAMES_SHOWN)}. Compare them"
        " with an event, since names are compared as they are written.",
        len(paths),
    )


def event_ids_shared(different: int, example: str) -> Finding | None:
    """Events that differ from another one with their event_id, and are not stored."""
    if not different:
        return None
    events = "1 event differs" if different == 1 else f"{different:,} events differ"
    return Finding(
        "event_ids_shared",
        f"{events} from another one of the same user, day, name and event_id, such as"
        f" {short(example)}; the smallest of each is stored. With EVENT_ID=ignore,"
        " all of them are.",
        different,
    )


def late_event(newest: datetime, second: datetime) -> Finding | None:
    """A newest event that is much later than every other one."""
    if newest - second <= LONGEST_LEAD:
        return None
    days = (newest - second) / timedelta(days=1)
    return Finding(
        "late_event",
        f"The newest event, of {newest:%Y-%m-%d %H:%M} UTC, is {days:,.1f} days later"
        " than every other one. If its clock was wrong, weeks look complete that are"
        " not: set DATA_UNTIL before it.",
        1,
    )


def few_events(events: Mapping[date, int]) -> Finding | None:
    """Whole days with less than half of the events of their weekday's median.

    Days differ by chance, and more if a product grows. So such a day also has to be
    farther from the median than other days are, and rare by chance.

    Args:
        events: the number of events of each day; other days have none.
    """
    first, newest = min(events, default=date.min), max(events, default=date.min)
    if (newest - first).days > MOST_DAYS:
        return None
    whole = [first + timedelta(days=n) for n in range(1, (newest - first).days)]
    of_weekday: dict[int, list[int]] = defaultdict(list)
    for day in whole:
        of_weekday[day.weekday()].append(events.get(day, 0))
    usual = {
        weekday: median(counts)
        for weekday, counts in of_weekday.items()
        if len(counts) >= LEAST_WEEKDAYS and median(counts)
    }
    compared = [
        (day, events.get(day, 0), usual[day.weekday()])
        for day in whole
        if day.weekday() in usual
    ]
    differences = sorted(abs(usual - number) for _, number, usual in compared)
    shares = sorted(abs(1 - number / usual) for _, number, usual in compared)
    few = [
        (day, number)
        for day, number, usual in compared
        if 2 * number < usual
        and 1 - number / usual > _FARTHER * _at(shares, _USUAL_PART)
        and (
            _at(differences, _NEARLY_ALL) < usual**0.5
            or _chance(number, usual) < _RARE / len(compared)
        )
    ]
    if not few:
        return None
    days = some([f"{day} ({number:,})" for day, number in few], _NAMES_SHOWN)
    count = "1 day has" if len(few) == 1 else f"{len(few):,} days have"
    return Finding(
        "few_events",
        f"{count} less than half of the events that this weekday usually has: {days}."
        " Files of such days may be missing.",
        len(few),
    )


def _at(numbers: Sequence[float], part: float) -> float:
    """The number below which this part of sorted numbers lies."""
    return numbers[int(part * len(numbers))]


def _chance(events: int, usual: float) -> float:
    """The probability of at most so many events, if they come by chance (Poisson).

    Each number has less than half of the probability of the next one, so the sum of
    all is hardly below that of a geometric series.
    """
    last = exp(events * log(usual) - usual - lgamma(events + 1))
    return last / (1 - events / usual)


def many_days(days: int) -> Finding | None:
    """More days with events than a product has."""
    if days <= MOST_DAYS:
        return None
    return Finding(
        "many_days",
        f"The events lie on {days:,} days, and each day is a folder. If these times are"
        " not meant, set DATA_FROM and DATA_UNTIL.",
        days,
    )


def large_share(
    of: str, example: str, events: int, all_events: int, ids: int
) -> Finding | None:
    """A user or a session with a large share of all events.

    Args:
        of: what has the events, such as ``user``.
        example: its id.
        events: its events.
        all_events: the events of all.
        ids: how many users or sessions have events, if the events are few.
    """
    if events <= LARGE_SHARE * all_events:
        return None
    if all_events < LEAST_EVENTS and not _is_rare_share(events, all_events, ids):
        return None
    return Finding(
        "large_share",
        f"One {of}, {short(example)}, has {events:,} of {all_events:,} events"
        f" ({100 * events / all_events:.0f} %). A test, a robot or a default value may"
        " have this id.",
        events,
    )


def _is_rare_share(events: int, all_events: int, ids: int) -> bool:
    """Whether hardly ever one of so many ids has so many events, if all are alike."""
    each = 1 / ids
    chance = sum(
        comb(all_events, n) * each**n * (1 - each) ** (all_events - n)
        for n in range(events, all_events + 1)
    )
    return ids * chance < _RARE


def texts_without_id(field: str, lines: int, is_dropped: bool) -> Finding | None:
    """Texts such as ``undefined`` in a field of an id."""
    if not lines:
        return None
    becomes = "They count as missing" if is_dropped else "They are stored as they are"
    count = "1 line has" if lines == 1 else f"{lines:,} lines have"
    return Finding(
        "texts_without_id",
        f"{count} undefined, null or the like as {field}, which is no id. {becomes}.",
        lines,
    )


def passed_over(files: Sequence[str]) -> Finding | None:
    """Files of the input that have no events."""
    if not files:
        return None
    count = "1 file was" if len(files) == 1 else f"{len(files):,} files were"
    names = some([short(name) for name in files], _NAMES_SHOWN)
    return Finding(
        "passed_over",
        f"{count} passed over: {names}. The notes and the ledger say why.",
        len(files),
    )
