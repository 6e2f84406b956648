"""Settings of events_split."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.errors import SettingError
from jobs.mapping import EventMapping, presets, read_mapping
from jobs.settings import RATIO, TIME_ZONE, Kind, one_of, secret, setting
from jobs.zones import DAY, instant, micros

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _limit(text: str) -> str | None:
    if text:
        _instant(text, "UTC")
    return text or None


def _instant(text: str, time_zone: str) -> int:
    """The instant of a limit; the midnight of a date is that of the time zone."""
    at = datetime.fromisoformat(text)
    if _DAY.fullmatch(text):
        return instant(time_zone, at)
    if at.tzinfo is None or "T" not in text:
        raise ValueError(text)
    return micros(at)


def _mapping(text: str) -> str | None:
    if text:
        read_mapping(text)  # names what is wrong
    return text or None


MAPPING = Kind(
    _mapping, f"the name of a preset ({', '.join(presets())}) or a TOML file's path"
)
FILE = Kind(lambda text: text or None, "the path of a file")
LIMIT = Kind(_limit, "a date such as 2021-01-31, or an instant: 2021-01-31T10:00:00Z")


USE = "use"


@dataclass(frozen=True)
class EventsSplitSettings:
    users_path: str | None = setting(
        "", FILE, "the CSV file of users; unset: users.csv at the top of the input"
    )
    videos_path: str | None = setting(
        "", FILE, "the CSV file of videos; unset: videos.csv at the top of the input"
    )
    event_mapping: str | None = setting(
        "",
        MAPPING,
        "how other events become ours; unset: the events are ours",
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
    input_timezone: str = setting(
        "UTC", TIME_ZONE, "the time zone of timestamps that have no offset"
    )
    pseudonym_key: str | None = setting(
        "",
        secret(shortest=16),
        "replaces user_id, account_id and initiator_id by hashes with this key; "
        "unset: the ids stay as they are",
        is_secret=True,
    )

    @property
    def mapping(self) -> EventMapping | None:
        """The mapping that EVENT_MAPPING names, if it is set."""
        return read_mapping(self.event_mapping) if self.event_mapping else None

    def limits(self, time_zone: str, started: datetime) -> tuple[int, int]:
        """The first instant of the data, and the first one after the data.

        Both are in microseconds since 1970. Their days have years from 1 to 9999.

        Args:
            time_zone: REPORTING_TIMEZONE, which has the midnight of a date.
            started: when the run began.

        Raises:
            SettingError: there is no instant between them.
        """
        first = max(
            _instant(self.data_from, time_zone), _instant("0001-01-01", time_zone)
        )
        if self.data_until:
            until = _instant(self.data_until, time_zone)
        else:
            until = micros(started + timedelta(days=1))
        until = min(until, _instant("9999-12-31", time_zone) + DAY)
        if until <= first:
            raise SettingError(
                f"DATA_UNTIL={self.data_until or 'unset'}: it takes an instant after"
                f" DATA_FROM={self.data_from}"
            )
        return first, until
