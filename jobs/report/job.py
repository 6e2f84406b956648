"""Tables to answers: as numbers, as a page, as SQL."""

import json

from jobs.publishing.run import Run
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
from jobs.warehouse import stage_warehouse

ANSWERS = "report/answers.json"
PAGE = "report/index.html"


def run(run: Run, settings: ReportSettings) -> JobResult:
    """Stage the answers as numbers and as a page, and views of all tables.

    Raises:
        InputError: a table does not exist.
    """
    from jobs.report import answers, model
    from jobs.report.page import page

    sessions = run.table(FACT_USER_SESSION)
    genres = model.first_sessions_by_genre(sessions)
    versions = run.engine.cache(model.dropoff_by_version(sessions))
    systems = model.dropoff_by_os(versions)
    counts = answers.Counts(
        run.engine.collect(model.largest(genres, "genre"), model.GenreCount),
        run.engine.collect(model.largest(systems, "device_os"), model.SystemCount),
        run.engine.collect(
            model.largest(versions, *model.VERSION_NAMES), model.VersionCount
        ),
        run.engine.collect(
            model.conversion_by_week(run.table(WEEKLY_SUMMARY)), model.WeekConversion
        ),
        run.engine.collect(
            model.retention_by_week(run.table(WEEKLY_RETENTION)), model.CohortWeek
        ),
        run.engine.collect(
            model.newest_events(
                run.table(USER_REGISTRATION),
                run.table(APP_LOADED),
                run.table(PLAYBACK_EVENTS),
            ),
            model.NewestEvent,
        ),
    )
    events_ledger = run.ledger_of(PLAYBACK_EVENTS)
    weeks_ledger = run.ledger_of(WEEKLY_SUMMARY)
    found = answers.answers(
        counts,
        events_ledger.lines if events_ledger else None,
        weeks_ledger.settings if weeks_ledger else {},
        settings,
        events_ledger.findings if events_ledger else (),
        events_ledger.mapping if events_ledger else None,
    )
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    run.stage_file(ANSWERS).write_text(text, encoding="utf-8")
    run.stage_file(PAGE).write_text(page(found), encoding="utf-8")
    return JobResult(files=(ANSWERS, PAGE, stage_warehouse(run)))


JOB = Job(
    "report",
    "Sessions and weekly tables to answers: as numbers, as a page, as SQL.",
    ReportSettings,
    run,
    reads=(
        FACT_USER_SESSION,
        WEEKLY_SUMMARY,
        WEEKLY_RETENTION,
        USER_REGISTRATION,
        APP_LOADED,
        PLAYBACK_EVENTS,
    ),
)
