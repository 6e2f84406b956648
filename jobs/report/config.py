"""Settings of report: when a group of sessions drops off abnormally often.

A group is flagged if the first two settings and one of the last two allow it.
"""

from dataclasses import dataclass

from jobs.settings import NUMBER, RATIO, setting, whole_number


@dataclass(frozen=True)
class ReportSettings:
    dropoff_max_q: float = setting(
        "0.05", RATIO, "the share of false alarms to accept among flagged groups"
    )
    dropoff_min_sessions: int = setting(
        "30",
        whole_number(1, 999_999_999),
        "a group of fewer sessions is never flagged",
    )
    dropoff_min_points: float = setting(
        "5.0",
        NUMBER,
        "a group is flagged from this many points above the other sessions' drop-off",
    )
    dropoff_min_ratio: float = setting(
        "1.2",
        NUMBER,
        "a group is also flagged from this many times the other sessions' drop-off",
    )
