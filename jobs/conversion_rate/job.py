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
    """Stage weekly_summary and weekly_retention; the headline is the rate overall.

    Raises:
        InputError: a staging table does not exist.
    """
    from jobs.conversion_rate import model

    registrations = run.table(USER_REGISTRATION)
    loads = run.table(APP_LOADED)
    zone = run.zone_of_days(USER_REGISTRATION, APP_LOADED)
    first_registrations = run.engine.cache(
        model.first_registrations(registrations, zone)
    )
    newest_event = run.engine.cache(model.newest_event(registrations, loads, zone))
    summary = run.engine.cache(
        model.weekly_summary(
            first_registrations,
            loads,
            newest_event,
            settings.conversion_mode,
            settings.conversion_week_offset,
            zone,
        )
    )
    run.stage(WEEKLY_SUMMARY, summary)
    run.stage(
        WEEKLY_RETENTION,
        model.weekly_retention(
            first_registrations,
            loads,
            newest_event,
            settings.retention_weeks,
            zone,
        ),
    )
    [overall] = run.engine.collect(model.overall(summary), model.Overall)
    rate = percent(overall.total_converted, overall.total_registered)
    return JobResult(figures=overall._asdict(), headline=f"Metric: {rate}")


JOB = Job(
    "conversion_rate",
    "Registrations and app loads to weekly conversion and retention.",
    ConversionRateSettings,
    run,
    reads=(USER_REGISTRATION, APP_LOADED),
)
