"""Tables to answers: as numbers, as a page, as SQL."""

import json

from jobs.engine import Engine
from jobs.ledger import LineAccount
from jobs.report.config import ReportSettings
from jobs.runner import Job, JobResult
from jobs.tables import (
    APP_LOADED,
    FACT_USER_SESSION,
    PLAYBACK_EVENTS,
    USER_REGISTRATION,
    WEEKLY_RETENTION,
    WEEKLY_SUMMARY,
)

ANSWERS = "report/answers.json"
PAGE = "report/index.html"


def run(engine: Engine, settings: ReportSettings) -> JobResult:
    """Write the answers as numbers and as a page, and views of all tables.

    Raises:
        InputError: a table is not there.
    """
    from jobs.report import answers, model
    from jobs.report.page import page

    sessions = engine.read(FACT_USER_SESSION)
    counts = answers.Counts(
        engine.collect(model.first_sessions_by_genre(sessions), model.GenreCount),
        engine.collect(model.dropoff_by_version(sessions), model.VersionCount),
        engine.collect(
            model.conversion_by_week(engine.read(WEEKLY_SUMMARY)), model.WeekConversion
        ),
        engine.collect(
            model.retention_by_week(engine.read(WEEKLY_RETENTION)), model.CohortWeek
        ),
        engine.collect(
            model.newest_events(
                engine.read(USER_REGISTRATION),
                engine.read(APP_LOADED),
                engine.read(PLAYBACK_EVENTS),
            ),
            model.NewestEvent,
        ),
    )
    jobs = engine.store.ledger_of(PLAYBACK_EVENTS).get("jobs", [])
    lines = next((LineAccount(**job["lines"]) for job in jobs if job["lines"]), None)
    rules = engine.store.ledger_of(WEEKLY_SUMMARY).get("settings", {})
    found = answers.answers(counts, lines, rules, settings)
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    engine.store.file_aside(ANSWERS).write_text(text, encoding="utf-8")
    engine.store.file_aside(PAGE).write_text(page(found), encoding="utf-8")
    return JobResult(files=(ANSWERS, PAGE, engine.stage_warehouse()))


JOB = Job(
    "report",
    "Sessions and weekly tables to answers: as numbers, as a page, as SQL.",
    ReportSettings,
    run,
)
