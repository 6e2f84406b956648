"""The days of instants and the instants of local times, by the rules of a zone."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest

from jobs import zones
from jobs.local_time import instant_of_local_time, local_day
from tests.support.engine import micros
from tests.support.reference import zone_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE = timedelta(microseconds=1)

DAYS = [
    ("UTC", "2021-01-03T23:59:59.999999Z", "2021-01-03"),
    ("UTC", "1969-12-31T23:59:59.999999Z", "1969-12-31"),
    ("Asia/Kolkata", "2021-01-06T18:30:00Z", "2021-01-07"),
    ("America/New_York", "2021-01-04T04:59:59.999999Z", "2021-01-03"),
    ("America/New_York", "2021-07-05T04:00:00Z", "2021-07-05"),
    # Java 17 and some versions of DuckDB have winter time here, or not the zone.
    ("America/Vancouver", "2026-12-07T07:00:00Z", "2026-12-07"),
    ("America/Coyhaique", "2025-07-07T03:00:00Z", "2025-07-07"),
    ("Africa/Casablanca", "2026-10-04T23:59:59.999999Z", "2026-10-04"),
    # 30 December 2011 never was in Samoa.
    ("Pacific/Apia", "2011-12-30T09:59:59.999999Z", "2011-12-29"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),
    # Noon was when the sun said so, until the railways had their times.
    ("America/New_York", "1880-01-05T04:56:01.999999Z", "1880-01-04"),
    ("America/New_York", "1880-01-05T04:56:02Z", "1880-01-05"),
    ("America/New_York", "0001-01-01T04:56:02Z", "0001-01-01"),
    ("America/New_York", "9998-07-05T03:59:59.999999Z", "9998-07-04"),
    ("Asia/Tokyo", "9999-12-31T14:59:59.999999Z", "9999-12-31"),
]


@pytest.mark.long_on_spark
@pytest.mark.parametrize(("zone", "instant", "day"), DAYS)
def test_a_day_is_that_of_the_zone(table, rows_of, zone, instant, day):
    at = micros(instant)
    of_event = zones.offsets(zone, at, at + 1)
    rows = table("at TIMESTAMP", [[instant]])
    found = rows_of(rows.select(local_day("at", of_event).alias("day")))
    assert found == [(date.fromisoformat(day),)]


LOCAL_TIMES = [
    ("America/New_York", "2021-03-14T01:59:59.999999", "2021-03-14T06:59:59.999999Z"),
    # These never were: they go by the offset before the change.
    ("America/New_York", "2021-03-14T02:00:00", "2021-03-14T07:00:00Z"),
    ("America/New_York", "2021-03-14T02:59:59.999999", "2021-03-14T07:59:59.999999Z"),
    ("America/New_York", "2021-03-14T03:00:00", "2021-03-14T07:00:00Z"),
    # These exist twice: they are the earlier instant.
    ("America/New_York", "2021-11-07T01:00:00", "2021-11-07T05:00:00Z"),
    ("America/New_York", "2021-11-07T01:59:59.999999", "2021-11-07T05:59:59.999999Z"),
    ("America/New_York", "2021-11-07T02:00:00", "2021-11-07T07:00:00Z"),
    ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00Z"),
    ("Africa/Monrovia", "1972-01-06T23:15:30", "1972-01-07T00:00:00Z"),
    ("America/Vancouver", "2026-12-07T00:00:00", "2026-12-07T07:00:00Z"),
]


@pytest.mark.long_on_spark
@pytest.mark.parametrize(("zone", "local", "instant"), LOCAL_TIMES)
def test_a_local_time_is_an_instant_of_the_zone(table, rows_of, zone, local, instant):
    at = micros(instant)
    of_event = zones.offsets(zone, at, at + 1)
    rows = table("local TIMESTAMP", [[f"{local}Z"]])
    found = instant_of_local_time("local", of_event).alias("instant")
    assert rows_of(rows.select(found)) == [(at,)]


ZONES = (
    *("America/New_York", "Europe/Dublin", "Africa/Casablanca", "Pacific/Apia"),
    *("America/Coyhaique", "America/St_Johns", "Australia/Lord_Howe"),
)


@pytest.mark.parametrize("years", [(1850, 1930), (2000, 2040), (2400, 2420)], ids=str)
def test_days_and_instants_are_those_of_python(table, rows_of, years):
    first, until = (micros(f"{year}-01-01T00:00:00Z") for year in years)
    of_zone = {name: zones.offsets(name, first, until) for name in ZONES}
    times = near_changes(of_zone.values())
    rows = table("at TIMESTAMP", [[at.isoformat()] for at in times])
    found = rows.select(
        "at",
        *(
            local_day("at", offsets).alias(f"day_{number}")
            for number, offsets in enumerate(of_zone.values())
        ),
        *(
            instant_of_local_time("at", offsets).alias(f"instant_{number}")
            for number, offsets in enumerate(of_zone.values())
        ),
    )
    python_zones = [zone_of(name) for name in ZONES]
    expected = [
        (
            (at - EPOCH) // ONE,
            *(at.astimezone(zone).date() for zone in python_zones),
            *((at.replace(tzinfo=zone) - EPOCH) // ONE for zone in python_zones),
        )
        for at in times
    ]
    assert rows_of(found) == sorted(expected, key=repr)


def near_changes(found: Iterable[zones.Offsets]) -> list[datetime]:
    """Instants around each fourth change of some zones."""
    return [
        EPOCH + (change.at + shift) * ONE
        for offsets in found
        for change in offsets.changes[::4]
        for shift in (-1, 0, 1, change.before, change.after - 1)
    ]


@pytest.mark.slow
@pytest.mark.long_on_spark
def test_a_range_of_thousands_of_years_has_the_changes_of_400(table, rows_of):
    zone = "Europe/Dublin"
    years = (micros(f"{day}T00:00:00Z") for day in ("0001-01-01", "9999-12-30"))
    offsets = zones.offsets(zone, *years)
    assert len(offsets.changes) < 1000
    times = [
        datetime.fromisoformat(f"{year}-{day}T23:30:00Z")
        for year in ("0002", "1900", "2021", "2409", "2810", "9998")
        for day in ("03-25", "03-26", "03-31", "10-24", "10-25", "10-31")
    ]
    rows = table("at TIMESTAMP", [[at.isoformat()] for at in times])
    found = rows.select("at", local_day("at", offsets).alias("day"))
    days = [at.astimezone(zone_of(zone)).date() for at in times]
    expected = [((at - EPOCH) // ONE, day) for at, day in zip(times, days, strict=True)]
    assert rows_of(found) == sorted(expected, key=repr)


def test_every_zone_of_the_package_has_offsets():
    year = [micros(f"{year}-01-01T00:00:00Z") for year in (2026, 2027)]
    assert len(zones.names()) > 500
    for name in zones.names():
        assert len(zones.offsets(name, *year).changes) <= 4
    assert zones.offsets("UTC", *year).is_utc
    assert zones.offsets("Etc/GMT", *year).is_utc
    assert not zones.offsets("Asia/Kolkata", *year).is_utc
