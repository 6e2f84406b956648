"""Settings of events_split."""

from dataclasses import dataclass

from jobs.settings import RATIO, secret, setting


@dataclass(frozen=True)
class EventsSplitSettings:
    max_rejected_ratio: float = setting(
        "0.1", RATIO, "the share of rejected lines above which nothing is published"
    )
    pseudonym_key: str | None = setting(
        "",
        secret(shortest=16),
        "replaces user_id, account_id and initiator_id by hashes with this key; "
        "unset: the ids stay as they are",
        is_secret=True,
    )
