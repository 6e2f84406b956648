"""Column functions for local times, by the offsets that ``jobs.zones`` computes."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.zones import DAY, Offsets

_FIRST_DAY = "0001-01-01"
_MICROS_BEFORE_1970 = 62_135_596_800_000_000  # from the first day on


def local_day(instant: str, zone: Offsets) -> Column:
    """The local DATE of an instant.

    Args:
        instant: the instant's column. No local day is before the year 1.
        zone: the offsets of the zone.
    """
    micros = f"unix_micros({instant})"
    # A count from the first day is not negative, so the division rounds down.
    local = f"{micros} + ({zone.sql(micros)}) + {_MICROS_BEFORE_1970}"
    days = F.expr(f"cast(({local}) div {DAY} as int)")
    return F.date_add(F.lit(_FIRST_DAY).cast("date"), days)


def instant_of_local_time(local: str, zone: Offsets) -> Column:
    """The instant of a local time.

    Args:
        local: the column of the local time, as if it were in UTC.
        zone: the offsets of the zone.
    """
    offset = zone.of_local_times().sql(f"unix_micros({local})")
    return F.expr(f"timestampadd(MICROSECOND, -({offset}), {local})")
