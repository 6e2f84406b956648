"""Playback events to sessions and facts."""

from jobs.engine import Engine
from jobs.runner import Job, JobResult
from jobs.sessionize.config import SessionizeSettings
from jobs.tables import (
    FACT_USER_SESSION,
    PLAYBACK_EVENTS,
    USER_SESSIONS,
    USERS,
    VIDEOS,
)


def run(engine: Engine, settings: SessionizeSettings) -> JobResult:
    """Stage user_sessions and fact_user_session.

    Raises:
        InputError: a staging table is not there.
    """
    from jobs.sessionize import model

    events = engine.read(PLAYBACK_EVENTS)
    sessions = model.sessionize(
        events,
        engine.read(USERS),
        engine.read(VIDEOS),
        settings.session_timeout_minutes,
    )
    # They have all that the sessions have, and so what both need is computed once.
    facts = engine.hold(model.with_retention(sessions, events))
    engine.stage(USER_SESSIONS, facts.select(*USER_SESSIONS.column_names))
    engine.stage(FACT_USER_SESSION, facts)
    return JobResult()


JOB = Job(
    "sessionize",
    "Playback events to sessions and the session fact table.",
    SessionizeSettings,
    run,
)
