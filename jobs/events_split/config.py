"""Settings of events_split."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from jobs.errors import SettingError
from jobs.settings import RATIO, Kind, one_of, secret, setting

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _limit(text: str) -> str | None:
    if text:
        _local_and_zone(text)
    return text or None


def _local_and_zone(text: str) -> tuple[datetime, bool]:
    """A local time, and whether it is one of REPORTING_TIMEZONE, not of UTC."""
    at = datetime.fromisoformat(text)
    if _DAY.fullmatch(text):
        return at, True
    if at.tzinfo is None or "T" not in text:
        raise ValueError(text)
    return at.astimezone(UTC).replace(tzinfo=None), False


FILE = Kind(lambda text: text or None, "the path of a file")
LIMIT = Kind(_limit, "a date such as 2021-01-31, or an instant: 2021-01-31T10:00:00Z")


USE = "use"
LEAST_LINES = 100
"""In a run of fewer lines, no share of them ends the run."""


@dataclass(frozen=True)
class EventsSplitSettings:
    users_path: str | None = setting(
        "", FILE, "the CSV file of users; unset: users.csv at the top of the input"
    )
    videos_path: str | None = setting(
        "", FILE, "the CSV file of videos; unset: videos.csv at the top of the input"
    )
    max_rejected_ratio: float = setting(
        "0.1", RATIO, "the share of rejected lines above which nothing is published"
    )
    data_from: str = setting(
        "2000-01-01", LIMIT, "an event before it is rejected, as of a wrong clock"
    )
    data_until: str | None = setting(
        "",
        LIMIT,
        "an event from it on is rejected, as of a wrong clock; unset: a day after the"
        " run's start",
    )
    event_id: str = setting(
        "use",
        one_of(USE, "ignore"),
        "use: rows with one event_id are one event; ignore: only equal rows are",
    )
    pseudonym_key: str | None = setting(
        "",
        secret(shortest=16),
        "replaces user_id, account_id and initiator_id by hashes with this key; "
        "unset: the ids stay as they are",
        is_secret=True,
    )

    def limits(self, time_zone: str, started: datetime) -> tuple[int, int]:
        """The first instant of the data, and the first one after the data.

        Both are in microseconds since 1970.

        Args:
            time_zone: REPORTING_TIMEZONE, which has the midnight of a date.
            started: when the run began.

        Raises:
            SettingError: there is no instant between them.
        """
        zone = ZoneInfo(time_zone)
        first = _micros(self.data_from, zone)
        if self.data_until:
            until = _micros(self.data_until, zone)
        else:
            local = (started + timedelta(days=1)).astimezone(UTC).replace(tzinfo=None)
            until = (local - _EPOCH) // _MICROSECOND
        if until <= first:
            raise SettingError(
                f"DATA_UNTIL={self.data_until or 'unset'}: it takes an instant after"
                f" DATA_FROM={self.data_from}"
            )
        return first, until


def _micros(text: str, zone: ZoneInfo) -> int:
    local, is_of_zone = _local_and_zone(text)
    offset = local.replace(tzinfo=zone).utcoffset() if is_of_zone else None
    return (local - _EPOCH - (offset or timedelta())) // _MICROSECOND
