"""Settings of conversion_rate."""

from dataclasses import dataclass

from jobs.settings import one_of, setting, whole_number


@dataclass(frozen=True)
class ConversionRateSettings:
    conversion_mode: str = setting(
        "first",
        one_of("first", "any"),
        "whether a user's earliest app_loaded counts, or any of them",
    )
    conversion_week_offset: int = setting(
        "1",
        whole_number(-5200, 5200),
        "weeks between registration and the load that counts; 0 is the same week",
    )
    retention_weeks: int = setting(
        "12",
        whole_number(0, 5200),
        "how many weeks after registration weekly_retention follows a cohort",
    )
