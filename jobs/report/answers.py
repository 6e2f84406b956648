"""Turns counts into answers.json, which docs/answers.md explains."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobs.findings import Finding
from jobs.ledger import LineAccount
from jobs.report import significance
from jobs.report.config import ReportSettings

if TYPE_CHECKING:
    from jobs.report.model import (
        CohortWeek,
        GenreCount,
        NewestEvent,
        SystemCount,
        VersionCount,
        WeekConversion,
    )

    DropoffCount = SystemCount | VersionCount

Answer = dict[str, Any]
Counted = tuple[int, int]
"""A count, and the total that it is a part of."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMALS = 6


@dataclass(frozen=True)
class Counts:
    """The rows of the models with the same names, of the largest groups."""

    first_sessions_by_genre: Sequence["GenreCount"]
    dropoff_by_os: Sequence["SystemCount"]
    dropoff_by_version: Sequence["VersionCount"]
    conversion_by_week: Sequence["WeekConversion"]
    retention_by_week: Sequence["CohortWeek"]
    newest_events: Sequence["NewestEvent"]


@dataclass(frozen=True)
class Group:
    """Sessions of one device_os, and of one app_version unless it is a whole OS.

    Attributes:
        names: its names; an unknown name is None.
        sessions: how many of all its sessions dropped off.
        first_sessions: how many of its users' first sessions dropped off.
    """

    names: Mapping[str, str | None]
    sessions: Counted
    first_sessions: Counted


def answers(
    counts: Counts,
    lines: LineAccount | None,
    rules: Mapping[str, Any],
    limits: ReportSettings,
    findings: Sequence[Finding] = (),
    mapping: str | None = None,
) -> Answer:
    """All answers; the same counts give the same bytes.

    Args:
        counts: the counts of the tables.
        lines: the account of the lines of the tables; None if it is unknown.
        rules: the settings of the run that made the weekly tables; empty if unknown.
        limits: the limits of an abnormal drop-off.
        findings: what looks wrong in the data.
        mapping: the mapping that made the lines our events, if there was one.
    """
    newest = {event.family: event.newest_micros for event in counts.newest_events}
    return {
        "format": 1,
        "data": {
            "newest_app_event": _instant(newest.get("app")),
            "newest_playback_event": _instant(newest.get("playback")),
            "time_zone": rules.get("reporting_timezone"),
            "mapping": mapping,
        },
        "lines": lines and _lines(lines),
        "findings": [asdict(finding) for finding in findings],
        "conversion": _conversion(counts.conversion_by_week, rules),
        "retention": _retention(counts.retention_by_week),
        **_first_sessions(counts.first_sessions_by_genre),
        "dropoff": dropoff(counts.dropoff_by_os, counts.dropoff_by_version, limits),
    }


def rate(count: int, total: int) -> Answer:
    """A rate with its 95 % interval; these are None if the total is 0."""
    low, high = significance.wilson(count, total) if total else (None, None)
    return {
        "count": count,
        "total": total,
        "rate": _rounded(count / total) if total else None,
        "low": _rounded(low),
        "high": _rounded(high),
    }


def dropoff(
    systems: Sequence["SystemCount"],
    versions: Sequence["VersionCount"],
    limits: ReportSettings,
) -> Answer:
    """Each group's drop-off, over all sessions and over first sessions alone.

    Args:
        systems: rows of ``model.dropoff_by_os``, of the largest.
        versions: rows of ``model.dropoff_by_version``, of the largest.
        limits: the limits of an abnormal drop-off.
    """
    groups = _groups(systems, versions)
    everything = _group({}, systems)
    compared = [
        {**group.names, "sessions": of_all, "first_sessions": of_first}
        for group, of_all, of_first in zip(
            groups,
            _compared([g.sessions for g in groups], everything.sessions, limits),
            _compared(
                [g.first_sessions for g in groups], everything.first_sessions, limits
            ),
            strict=True,
        )
    ]
    compared.sort(key=_highest_first)
    return {
        "limits": asdict(limits),
        "sessions": rate(*everything.sessions),
        "first_sessions": rate(*everything.first_sessions),
        "by_device_os": [g for g in compared if "app_version" not in g],
        "other_device_os": _other_groups(systems),
        "by_app_version": [g for g in compared if "app_version" in g],
        "other_app_versions": _other_groups(versions),
    }


def _lines(account: LineAccount) -> Answer:
    outcomes = asdict(account)
    read = outcomes.pop("read")
    return {"read": read} | {o: dict(sorted(n.items())) for o, n in outcomes.items()}


def _instant(micros: int | None) -> str | None:
    if micros is None:
        return None
    return f"{_EPOCH + timedelta(microseconds=micros):%Y-%m-%dT%H:%M:%S.%fZ}"


def _conversion(weeks: Sequence["WeekConversion"], rules: Mapping[str, Any]) -> Answer:
    by_week = [
        {
            "registration_week": week.registration_week,
            "week_start": week.week_start.isoformat(),
            "is_finished": week.is_complete,
            **rate(week.total_converted, week.total_registered),
        }
        for week in sorted(weeks, key=lambda week: week.week_start)
    ]
    return {
        "mode": rules.get("conversion_mode"),
        "week_offset": rules.get("conversion_week_offset"),
        "overall": _together(by_week),
        "finished": _together(week for week in by_week if week["is_finished"]),
        "by_week": by_week,
    }


def _together(rates: Iterable[Answer]) -> Answer:
    counted = [(known["count"], known["total"]) for known in rates]
    return rate(sum(some for some, _ in counted), sum(all_ for _, all_ in counted))


def _retention(weeks: Sequence["CohortWeek"]) -> list[Answer]:
    cohorts: dict[date, list[CohortWeek]] = defaultdict(list)
    for week in sorted(weeks, key=lambda week: (week.week_start, week.weeks_after)):
        cohorts[week.week_start].append(week)
    return [
        {
            "registration_week": cohort[0].registration_week,
            "week_start": start.isoformat(),
            "registered": cohort[0].total_registered,
            "weeks": list(map(_cohort_week, cohort)),
        }
        for start, cohort in cohorts.items()
    ]


def _cohort_week(week: "CohortWeek") -> Answer:
    known = rate(week.active_users, week.total_registered)
    if not week.is_complete:
        known |= {"rate": None, "low": None, "high": None}
    return {"weeks_after": week.weeks_after, "is_complete": week.is_complete, **known}


def _first_sessions(genres: Sequence["GenreCount"]) -> Answer:
    sessions = sum(genre.sessions for genre in genres)
    retained = sum(genre.retained for genre in genres)
    observed = sum(genre.observed for genre in genres)
    by_genre = [
        {
            "genre": genre.genre,
            "all": rate(genre.retained, genre.sessions),
            "observed": rate(genre.retained, genre.observed),
        }
        for genre in genres
        if not genre.others
    ]
    return {
        "reached_30s": rate(sum(genre.reached_30s for genre in genres), sessions),
        "retained_within_3d": {
            "all": rate(retained, sessions),
            "observed": rate(retained, observed),
            "by_genre": sorted(by_genre, key=_best_observed_first),
            "other_genres": _other_genres(genres),
        },
    }


def _other_genres(genres: Sequence["GenreCount"]) -> Answer | None:
    """The genres together that have no row of their own; None if there are none."""
    for genre in genres:
        if genre.others:
            return {
                "groups": genre.others,
                "all": rate(genre.retained, genre.sessions),
                "observed": rate(genre.retained, genre.observed),
            }
    return None


def _groups(
    systems: Sequence["SystemCount"], versions: Sequence["VersionCount"]
) -> list[Group]:
    """Every device_os, and then every app_version of one."""
    groups = [_group({"device_os": s.device_os}, [s]) for s in systems if not s.others]
    for version in versions:
        names = {"device_os": version.device_os, "app_version": version.app_version}
        if not version.others:
            groups.append(_group(names, [version]))
    return groups


def _group(names: Mapping[str, str | None], counts: Sequence["DropoffCount"]) -> Group:
    """The sessions of these counts together."""
    return Group(
        names,
        (sum(c.dropped for c in counts), sum(c.sessions for c in counts)),
        (
            sum(c.first_dropped for c in counts),
            sum(c.first_sessions for c in counts),
        ),
    )


def _other_groups(counts: Sequence["DropoffCount"]) -> Answer | None:
    """The groups together that have no row of their own; None if there are none."""
    for count in counts:
        if count.others:
            together = _group({}, [count])
            return {
                "groups": count.others,
                "sessions": rate(*together.sessions),
                "first_sessions": rate(*together.first_sessions),
            }
    return None


def _compared(
    groups: Sequence[Counted], everything: Counted, limits: ReportSettings
) -> list[Answer]:
    """Each group's rate against that of all others, and whether it is abnormal."""
    others = [(everything[0] - some, everything[1] - all_) for some, all_ in groups]
    tests = list(map(significance.difference, groups, others))
    q_values = iter(significance.q_values([test[0] for test in tests if test]))
    found = []
    for group, other, test in zip(groups, others, tests, strict=True):
        p, name = test or (None, None)
        q = next(q_values) if test else None
        judged = (q, group, other, limits)
        found.append(
            {
                **rate(*group),
                "others_rate": _rounded(other[0] / other[1]) if other[1] else None,
                "test": name,
                "p": _shortened(p),
                "q": _shortened(q),
                "is_flagged": significance.is_abnormally_high(*judged),
                "is_suspicious": significance.is_suspiciously_high(*judged),
            }
        )
    return found


def _best_observed_first(genre: Answer) -> tuple[Any, ...]:
    known = genre["observed"]
    return -(known["rate"] or 0), -known["total"], *_unknown_last(genre["genre"])


def _highest_first(group: Answer) -> tuple[Any, ...]:
    names = (group["device_os"], group.get("app_version", ""))
    known = group["sessions"]
    return -known["rate"], -known["total"], *map(_unknown_last, names)


def _unknown_last(name: str | None) -> tuple[bool, str]:
    return name is None, name or ""


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, _DECIMALS)


def _shortened(probability: float | None) -> float | None:
    """A probability with a few significant digits, since it may be tiny."""
    return None if probability is None else float(f"{probability:.{_DECIMALS}g}")
