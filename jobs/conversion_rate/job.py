"""Registrations and app loads to weekly tables."""

from jobs.conversion_rate.config import ConversionRateSettings
from jobs.ledger import percent
from jobs.publishing.run import Run
from jobs.runner import Job, JobResult
from jobs.tables import (
    APP_LOADED,
    USER_REGISTRATION,
    WEEKLY_RETENTION,
    WEEKLY_SUMMARY,
)


def run(run: Run, settings: ConversionRateSettings) -> JobResult:
    """Stage weekly_summary and weekly_retention, and report the rate over all weeks.

    Raises:
        InputError: a staging table is not there.
    """
    from jobs.conversion_rate import model

    registrations = run.table(USER_REGISTRATION)
    loads = run.table(APP_LOADED)
    first_registrations = run.engine.cache(model.first_registrations(registrations))
    summary = run.engine.cache(
        model.weekly_summary(
            first_registrations,
            loads,
            settings.conversion_mode,
            settings.conversion_week_offset,
        )
    )
    run.stage(WEEKLY_SUMMARY, summary)
    run.stage(
        WEEKLY_RETENTION,
        model.weekly_retention(
            first_registrations,
            loads,
            model.newest_event(registrations, loads),
            settings.retention_weeks,
        ),
    )
    [(registered, converted)] = run.engine.collect(model.overall(summary))
    return JobResult(
        figures={"total_registered": registered, "total_converted": converted},
        headline=f"Metric: {percent(converted, registered)}",
    )


JOB = Job(
    "conversion_rate",
    "Registrations and app loads to weekly conversion and retention.",
    ConversionRateSettings,
    run,
    reads=(USER_REGISTRATION, APP_LOADED),
)
