"""Settings of sessionize."""

from dataclasses import dataclass

from jobs.settings import setting, whole_number


@dataclass(frozen=True)
class SessionizeSettings:
    session_timeout_minutes: int = setting(
        "30",
        whole_number(at_least=1),
        "a longer pause opens a new session, for events without a session_id",
    )
