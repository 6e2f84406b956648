"""The rules of time zones, from the tzdata package of the lock file.

DuckDB, Java and the system have rules of their own, which are older or newer. So that
both engines give the same days, the offsets of a zone are computed here, once a run.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]

VERSION: str = tzdata.IANA_VERSION
"""The version of the rules, such as 2026f."""

SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND
# The calendar repeats after 400 years, and so do the changes of an offset by its rule.
_PERIOD = 146_097 * DAY
_PROBES = 7 * DAY  # no rule changes the offset twice in a week

_HEADER = ">20x6l"  # of a table in a zone's file: six counts
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Python knows the local times of these instants in every zone.
_FIRST_SECOND = -62_135_596_800 + 2 * 86_400
_LAST_SECOND = 253_402_300_799 - 2 * 86_400


class Change(NamedTuple):
    """A change of a zone's offset from UTC, in microseconds.

    Attributes:
        at: the first instant, or the first local time, with the new offset.
        before: the offset until then.
        after: the new offset.
    """

    at: int
    before: int
    after: int


@dataclass(frozen=True)
class Offsets:
    """The offsets of a time zone from UTC over a range of time, in microseconds.

    Attributes:
        first: the offset before the first change.
        changes: the changes of the offset in their order.
        repeats_from: from then on, everything repeats after a period of 400 years, and
            changes has the first period alone. None: the range ends before that.
    """

    first: int
    changes: tuple[Change, ...] = ()
    repeats_from: int | None = None

    @property
    def is_utc(self) -> bool:
        return not self.first and not self.changes

    def of_local_times(self) -> "Offsets":
        """The offsets by local time, which counts microseconds as if it were UTC.

        A local time that exists twice has the offset of the earlier instant. A local
        time that never was has the offset before the change.
        """
        changes = (
            change._replace(at=change.at + max(change.before, change.after))
            for change in self.changes
        )
        return Offsets(self.first, tuple(changes), self.repeats_from)

    def sql(self, micros: str) -> str:
        """SQL for the offset at an instant, for any engine.

        Args:
            micros: SQL for the microseconds from 1970 to the instant.
        """
        if self.repeats_from is None:
            return _chosen(micros, self.first, self.changes)
        start = self.repeats_from
        before = [change for change in self.changes if change.at < start]
        after = [c._replace(at=c.at - start) for c in self.changes if c.at >= start]
        in_period = f"(({micros} - {start}) % {_PERIOD})"
        return (
            f"CASE WHEN {micros} < {start} THEN {_chosen(micros, self.first, before)}"
            f" ELSE {_chosen(in_period, after[0].before, after)} END"
        )


def _chosen(micros: str, first: int, changes: Sequence[Change]) -> str:
    """SQL for the offset, in as few comparisons as a binary search takes."""
    if not changes:
        return str(first)
    middle = len(changes) // 2
    at, _, after = changes[middle]
    return (
        f"CASE WHEN {micros} < {at} THEN {_chosen(micros, first, changes[:middle])}"
        f" ELSE {_chosen(micros, after, changes[middle + 1 :])} END"
    )


UTC_OFFSETS = Offsets(0)


@cache
def names() -> frozenset[str]:
    """The names of all time zones, without the one of a system that has none."""
    return frozenset((files(tzdata) / "zones").read_text().split()) - {"Factory"}


@cache
def zone(name: str) -> ZoneInfo:
    """A time zone by the rules of the package, not of the system."""
    with _file(name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def offsets(name: str, first: int, until: int) -> Offsets:
    """The offsets of a time zone.

    Args:
        name: the zone.
        first: the first instant to have an offset, in microseconds since 1970. The
            local times of these instants have an offset as well.
        until: the first instant that needs none.
    """
    first, until = first - 2 * DAY, until + 2 * DAY
    in_table = _instants_of_changes(name)
    # After the last change of the table, the zone has a rule for all years.
    ruled = max((*in_table, _FIRST_SECOND * SECOND)) + 2 * DAY
    repeats = until - max(first, ruled) > _PERIOD
    if repeats:
        first, until = min(first, ruled), ruled + _PERIOD + 2 * DAY
    by_rule = [*_found_changes(name, max(first, ruled), until)]
    within = (at for at in (*in_table, *by_rule) if first < at < until)
    changes = (_change(name, at) for at in within)
    return Offsets(
        _offset(name, first),
        tuple(change for change in changes if change.before != change.after),
        ruled if repeats and by_rule else None,
    )


def offsets_of_days(name: str, days: Iterable[date]) -> Offsets:
    """The offsets of a time zone from the first to the last of some local days.

    The days may also be those of another zone.
    """
    numbers = [day.toordinal() - _EPOCH.toordinal() for day in days] or [0]
    return offsets(name, (min(numbers) - 2) * DAY, (max(numbers) + 3) * DAY)


def instant(name: str, local: datetime) -> int:
    """The instant of a local time in a zone, in microseconds since 1970.

    For a local time that is no instant, or two, see :meth:`Offsets.of_local_times`.
    """
    offset = local.replace(tzinfo=zone(name)).utcoffset() or timedelta()
    return micros(local.replace(tzinfo=timezone(offset)))


def micros(at: datetime) -> int:
    """The microseconds from 1970 to an instant."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _file(name: str) -> Traversable:
    return files(tzdata).joinpath("zoneinfo", *name.split("/"))


def _instants_of_changes(name: str) -> list[int]:
    """The instants in the table of a zone's file, as RFC 8536 describes it."""
    content = _file(name).read_bytes()
    # The first table has 32 bits for an instant; the second one, with 64, has them all.
    *flags, leaps, times, types, letters = struct.unpack_from(_HEADER, content)
    second = 44 + 5 * times + 6 * types + letters + 8 * leaps + sum(flags)
    *_, times, _, _ = struct.unpack_from(_HEADER, content, second)
    seconds = struct.unpack_from(f">{times}q", content, second + 44)
    return [at * SECOND for at in seconds]


def _found_changes(name: str, first: int, until: int) -> Iterator[int]:
    """The instants at which the offset changes, found by trying."""
    first, until = first // SECOND * SECOND, until // SECOND * SECOND
    for low, high in pairwise([*range(first, until, _PROBES), until]):
        if _offset(name, low) != _offset(name, high):
            while high - low > SECOND:
                middle = (low + high) // (2 * SECOND) * SECOND
                if _offset(name, middle) == _offset(name, low):
                    low = middle
                else:
                    high = middle
            yield high


def _change(name: str, at: int) -> Change:
    return Change(at, _offset(name, at - SECOND), _offset(name, at))


def _offset(name: str, micros: int) -> int:
    """The offset at an instant, both in microseconds."""
    second = min(max(micros // SECOND, _FIRST_SECOND), _LAST_SECOND)
    at = (_EPOCH + timedelta(seconds=second)).astimezone(zone(name))
    return (at.utcoffset() or timedelta()) // timedelta(microseconds=1)
