"""Registrations and app loads to weekly tables."""

from jobs.conversion_rate.config import ConversionRateSettings
from jobs.engine import Engine
from jobs.ledger import percent
from jobs.runner import Job, JobResult
from jobs.tables import (
    APP_LOADED,
    USER_REGISTRATION,
    WEEKLY_RETENTION,
    WEEKLY_SUMMARY,
)


def run(engine: Engine, settings: ConversionRateSettings) -> JobResult:
    """Stage weekly_summary and weekly_retention, and report the rate over all weeks.

    Raises:
        InputError: a staging table is not there.
    """
    from jobs.conversion_rate import model

    registrations = engine.read(USER_REGISTRATION)
    loads = engine.read(APP_LOADED)
    first_registrations = engine.hold(model.first_registrations(registrations))
    newest_event = engine.hold(model.newest_event(registrations, loads))
    summary = engine.hold(
        model.weekly_summary(
            first_registrations,
            loads,
            newest_event,
            settings.conversion_mode,
            settings.conversion_week_offset,
        )
    )
    engine.stage(WEEKLY_SUMMARY, summary)
    engine.stage(
        WEEKLY_RETENTION,
        model.weekly_retention(
            first_registrations,
            loads,
            newest_event,
            settings.retention_weeks,
        ),
    )
    [overall] = engine.collect(model.overall(summary), model.Overall)
    rate = percent(overall.total_converted, overall.total_registered)
    return JobResult(figures=overall._asdict(), headline=f"Metric: {rate}")


JOB = Job(
    "conversion_rate",
    "Registrations and app loads to weekly conversion and retention.",
    ConversionRateSettings,
    run,
)
