"""Counts for a report, from rows as plain tuples."""

from collections.abc import Sequence
from typing import Any

from jobs.report.answers import Counts
from jobs.report.model import (
    CohortWeek,
    GenreCount,
    NewestEvent,
    VersionCount,
    WeekConversion,
)

Rows = Sequence[tuple[Any, ...]]


def counts(
    first_sessions_by_genre: Rows = (),
    dropoff_by_version: Rows = (),
    conversion_by_week: Rows = (),
    retention_by_week: Rows = (),
    newest_events: Rows = (),
) -> Counts:
    """The results that the models of the report would give."""
    return Counts(
        list(map(GenreCount._make, first_sessions_by_genre)),
        list(map(VersionCount._make, dropoff_by_version)),
        list(map(WeekConversion._make, conversion_by_week)),
        list(map(CohortWeek._make, retention_by_week)),
        list(map(NewestEvent._make, newest_events)),
    )
