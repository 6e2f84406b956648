"""Settings of sessionize."""

from dataclasses import dataclass

from jobs.settings import setting, whole_number


@dataclass(frozen=True)
class SessionizeSettings:
    session_timeout_minutes: int = setting(
        "30",
        whole_number(1, 525_600),
        "a longer pause opens a new session, for events without a session_id",
    )
