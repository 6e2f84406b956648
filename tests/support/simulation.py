"""Simulates how often drop-off is flagged by chance, and by a real effect.

``python -m tests.support.simulation`` prints both shares. A run is a report over
sessions of 4 systems with 4 versions each, drawn at random.
"""

from dataclasses import dataclass

import numpy as np

from jobs.report.answers import dropoff
from jobs.report.config import ReportSettings
from jobs.report.model import VersionCount
from jobs.settings import load
from tests.support.counts import systems

DEFAULTS: ReportSettings
[DEFAULTS] = load((ReportSettings,), "simulation", "", [], environment={})

GROUPS = [(f"OS {n // 4}", f"{n % 4}.0") for n in range(16)]
FAULTY = ("OS 0", "2.0")
PLANTED = {"device_os": FAULTY[0], "app_version": FAULTY[1]}
SESSIONS = 4_000
RATE = 0.2


@dataclass(frozen=True)
class Flagged:
    """The shares of runs that flag any group, and that flag the faulty one."""

    any: float
    planted: float


def simulate(runs: int, planted_points: int) -> Flagged:
    """The flags of this many reports, with more drop-off in one version."""
    random = np.random.default_rng(seed=1995)
    flagged = [flagged_groups(drawn(random, planted_points)) for _ in range(runs)]
    return Flagged(
        any=sum(map(bool, flagged)) / runs,
        planted=sum(PLANTED in groups for groups in flagged) / runs,
    )


def drawn(random: np.random.Generator, planted_points: int) -> list[VersionCount]:
    """Rows of dropoff_by_version, with random numbers of sessions."""
    rates = np.full(len(GROUPS), RATE)
    rates[GROUPS.index(FAULTY)] += planted_points / 100
    totals = random.multinomial(SESSIONS, np.full(len(GROUPS), 1 / len(GROUPS)))
    dropped = random.binomial(totals, rates)
    return [
        VersionCount(*names, int(all_), int(some), 0, 0)
        for names, all_, some in zip(GROUPS, totals, dropped, strict=True)
    ]


def flagged_groups(versions: list[VersionCount]) -> list[dict[str, str]]:
    found = dropoff(systems(versions), versions, DEFAULTS)
    return [
        {name: group[name] for name in ("device_os", "app_version") if name in group}
        for group in found["by_device_os"] + found["by_app_version"]
        if group["sessions"]["is_flagged"]
    ]


def main() -> None:
    runs = 1_000
    print(f"{runs:,} runs of {SESSIONS:,} sessions, of which {RATE:.0%} drop off:")
    print(f"{simulate(runs, 0).any:.1%} flag a group by chance alone")
    print(f"{simulate(runs, 15).planted:.1%} flag the version that has 15 points more")


if __name__ == "__main__":
    main()
