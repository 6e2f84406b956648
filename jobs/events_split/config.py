"""Settings of events_split."""

from dataclasses import dataclass

from jobs.settings import RATIO, setting


@dataclass(frozen=True)
class EventsSplitSettings:
    max_rejected_ratio: float = setting(
        "0.1", RATIO, "the share of rejected lines above which nothing is published"
    )
