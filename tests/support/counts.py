"""Counts for a report, from rows as plain tuples."""

from collections.abc import Sequence
from typing import Any

from jobs.report.answers import Counts
from jobs.report.model import (
    CohortWeek,
    GenreCount,
    NewestEvent,
    SystemCount,
    VersionCount,
    WeekConversion,
)

Rows = Sequence[tuple[Any, ...]]


def counts(
    first_sessions_by_genre: Rows = (),
    dropoff_by_version: Rows = (),
    dropoff_by_os: Sequence[SystemCount] | None = None,
    conversion_by_week: Rows = (),
    retention_by_week: Rows = (),
    newest_events: Rows = (),
) -> Counts:
    """The results that the models of the report would give.

    By default, the counts of an OS are those of its versions.
    """
    return Counts(
        [GenreCount(*row) for row in first_sessions_by_genre],
        systems(dropoff_by_version) if dropoff_by_os is None else dropoff_by_os,
        [VersionCount(*row) for row in dropoff_by_version],
        list(map(WeekConversion._make, conversion_by_week)),
        list(map(CohortWeek._make, retention_by_week)),
        list(map(NewestEvent._make, newest_events)),
    )


def systems(versions: Rows) -> list[SystemCount]:
    """The counts of each OS, from those of its versions."""
    added: dict[str | None, list[int]] = {}
    for name, _, *numbers in versions:
        before = added.get(name, [0] * len(numbers))
        added[name] = [sum(pair) for pair in zip(before, numbers, strict=True)]
    return [SystemCount(name, *numbers) for name, numbers in added.items()]
