"""Playback events to sessions and facts."""

from jobs.publishing.run import Run
from jobs.runner import Job, JobResult
from jobs.sessionize.config import SessionizeSettings
from jobs.tables import (
    FACT_USER_SESSION,
    PLAYBACK_EVENTS,
    USER_SESSIONS,
    USERS,
    VIDEOS,
)


def run(run: Run, settings: SessionizeSettings) -> JobResult:
    """Stage user_sessions and fact_user_session.

    Raises:
        InputError: a staging table does not exist.
    """
    from jobs.sessionize import model

    events = run.table(PLAYBACK_EVENTS)
    sessions = model.sessionize(
        events,
        run.table(USERS),
        run.table(VIDEOS),
        settings.session_timeout_minutes,
        run.zone_of_days(PLAYBACK_EVENTS),
    )
    # The facts have all columns of the sessions, so one cache serves both tables.
    facts = run.engine.cache(model.with_retention(sessions, events))
    run.stage(USER_SESSIONS, facts.select(*USER_SESSIONS.column_names))
    run.stage(FACT_USER_SESSION, facts)
    return JobResult()


JOB = Job(
    "sessionize",
    "Playback events to sessions and the session fact table.",
    SessionizeSettings,
    run,
    reads=(PLAYBACK_EVENTS, USERS, VIDEOS),
)
