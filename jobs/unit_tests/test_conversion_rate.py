"""The users who convert, and the weeks of cohorts."""

from datetime import date

import pytest

from jobs.conversion_rate import model
from jobs.ledger import percent
from jobs.zones import UTC_OFFSETS, offsets_of_days
from tests.support.engine import micros

REGISTRATIONS = "time TIMESTAMP, initiator_id STRING, channel STRING"
LOADS = "time TIMESTAMP, initiator_id STRING"
MONDAY = "2020-12-28T00:00:00Z"


@pytest.fixture
def summary_of(table, rows_of):
    """Gives weekly_summary as (week, registered, converted, percent)."""

    def summarize(registrations, loads, mode="first", offset=1):
        registered, loaded = table(REGISTRATIONS, registrations), table(LOADS, loads)
        rows = summary(registered, loaded, mode, offset)
        return rows_of(
            rows.select(
                "registration_week",
                "total_registered",
                "total_converted",
                "conversion_rate",
            )
        )

    return summarize


@pytest.fixture
def weeks_of(table, rows_of):
    """Gives weekly_summary as (week, week_start, is_complete)."""

    def weeks(registrations, loads, mode="first", offset=1):
        registered, loaded = table(REGISTRATIONS, registrations), table(LOADS, loads)
        rows = summary(registered, loaded, mode, offset)
        return rows_of(rows.select("registration_week", "week_start", "is_complete"))

    return weeks


def summary(registrations, loads, mode, offset, zone=UTC_OFFSETS):
    return model.weekly_summary(
        model.first_registrations(registrations, zone),
        loads,
        model.newest_event(registrations, loads, zone),
        mode,
        offset,
        zone,
    )


@pytest.fixture
def retention_of(table, rows_of):
    """Gives weekly_retention, from the registration week to is_complete."""

    def follow(registrations, loads, weeks=12):
        registered, loaded = table(REGISTRATIONS, registrations), table(LOADS, loads)
        rows = model.weekly_retention(
            model.first_registrations(registered, UTC_OFFSETS),
            loaded,
            model.newest_event(registered, loaded, UTC_OFFSETS),
            weeks,
            UTC_OFFSETS,
        )
        return rows_of(
            rows.select(
                "registration_week",
                "week_start",
                "weeks_after",
                "total_registered",
                "active_users",
                "retention_rate",
                "is_complete",
            )
        )

    return follow


def test_a_registration_is_the_earliest_and_at_equal_times_has_the_smallest_channel(
    table, rows_of
):
    rows = table(
        REGISTRATIONS,
        [
            ["2021-01-05T00:00:00Z", "1", "a"],
            [MONDAY, "1", None],
            [MONDAY, "1", "c"],
            [MONDAY, "1", "b"],
            [MONDAY, "2", None],
        ],
    )
    assert rows_of(model.first_registrations(rows, UTC_OFFSETS)) == [
        ("1", micros(MONDAY), "b", date(2020, 12, 28)),
        ("2", micros(MONDAY), None, date(2020, 12, 28)),
    ]


def test_a_week_is_the_iso_week(summary_of):
    week_of = {
        "2018-12-31T00:00:00Z": "2019-01",
        "2019-12-30T00:00:00Z": "2020-01",
        "2020-12-28T00:00:00Z": "2020-53",
        "2021-01-10T23:59:59.999999Z": "2021-01",
        "2021-01-11T00:00:00Z": "2021-02",
        "2022-01-01T00:00:00Z": "2021-52",
    }
    registered = [[instant, instant, None] for instant in week_of]
    assert summary_of(registered, []) == [(w, 1, 0, 0) for w in week_of.values()]


def test_the_week_after_is_counted_in_weeks_not_in_days(summary_of):
    sunday, monday = "2021-01-03T23:59:59Z", "2021-01-04T00:00:00Z"
    next_sunday = "2021-01-10T23:59:59Z"
    registered = [[sunday, "1", None], [MONDAY, "2", None], [MONDAY, "3", None]]
    loads = [[monday, "1"], [next_sunday, "2"], ["2021-01-11T00:00:00Z", "3"]]
    assert summary_of(registered, loads) == [("2020-53", 3, 2, 67)]


def test_with_first_only_the_earliest_load_counts(summary_of):
    registered = [[MONDAY, "1", None], [MONDAY, "2", None]]
    loads = [
        ["2020-12-20T00:00:00Z", "1"],
        ["2021-01-05T00:00:00Z", "1"],
        ["2021-01-05T00:00:00Z", "2"],
        ["2021-01-12T00:00:00Z", "2"],
    ]
    assert summary_of(registered, loads) == [("2020-53", 2, 1, 50)]
    assert summary_of(registered, loads, mode="any") == [("2020-53", 2, 2, 100)]


def test_the_week_that_counts_is_a_setting(summary_of):
    registered, loads = [[MONDAY, "1", None]], [["2021-01-12T00:00:00Z", "1"]]
    assert summary_of(registered, loads, offset=2) == [("2020-53", 1, 1, 100)]
    assert summary_of(registered, loads, offset=0) == [("2020-53", 1, 0, 0)]
    before = [["2020-12-27T00:00:00Z", "1"]]
    assert summary_of(registered, before, offset=-1) == [("2020-53", 1, 1, 100)]


def test_percents_round_halves_up(summary_of):
    registered = [[MONDAY, str(i), None] for i in range(8)]
    loads = [["2021-01-05T00:00:00Z", "0"]]
    assert summary_of(registered, loads) == [("2020-53", 8, 1, 13)]
    assert summary_of(registered[:1] * 2, loads) == [("2020-53", 1, 1, 100)]


def test_a_load_of_somebody_who_never_registered_does_not_count(summary_of):
    assert summary_of([], [[MONDAY, "1"]]) == []


def test_weeks_are_those_of_the_reporting_time_zone(table, rows_of):
    zone = offsets_of_days("America/New_York", [date(2021, 1, 1)])
    late_on_sunday = "2021-01-04T04:59:59Z"
    registered = table(REGISTRATIONS, [[late_on_sunday, "1", None]])
    loads = table(LOADS, [["2021-01-04T05:00:00Z", "1"]])
    rows = summary(registered, loads, "first", 1, zone)
    start = date(2020, 12, 28)
    assert rows_of(rows) == [(start, 1, 1, 100, False, "2020-53")]
    # The week after 2020-53 ends at the end of Sunday in New York.
    for newest, is_complete in (("04:59:59", False), ("05:00:00", True)):
        later = table(LOADS, [[f"2021-01-11T{newest}Z", "2"]])
        rows = summary(registered, loads.union(later), "first", 1, zone)
        assert rows_of(rows.select("is_complete")) == [(is_complete,)]


@pytest.mark.long_on_spark
@pytest.mark.parametrize(
    ("mode", "offset", "newest", "is_complete"),
    [
        ("first", 1, "2021-01-10T23:59:59.999999Z", False),
        ("first", 1, "2021-01-11T00:00:00Z", True),
        ("any", 1, "2021-01-10T23:59:59.999999Z", False),
        ("any", 1, "2021-01-11T00:00:00Z", True),
        ("first", 0, "2021-01-03T23:59:59.999999Z", False),
        ("first", 0, "2021-01-04T00:00:00Z", True),
        ("any", 2, "2021-01-17T23:59:59.999999Z", False),
        ("any", 2, "2021-01-18T00:00:00Z", True),
        ("first", 5200, "2021-01-18T00:00:00Z", False),
        ("first", -1, MONDAY, True),
    ],
)
def test_a_week_is_complete_when_the_week_that_decides_is_over(
    weeks_of, mode, offset, newest, is_complete
):
    rows = weeks_of([[MONDAY, "1", None]], [[newest, "1"], [newest, "1"]], mode, offset)
    assert rows == [("2020-53", date(2020, 12, 28), is_complete)]


def test_a_registration_also_ends_a_week(weeks_of):
    registered = [[MONDAY, "1", None], ["2021-01-11T00:00:00Z", "2", None]]
    assert weeks_of(registered, []) == [
        ("2020-53", date(2020, 12, 28), True),
        ("2021-02", date(2021, 1, 11), False),
    ]


def test_an_unfinished_week_has_no_rate_and_a_future_week_no_row(retention_of):
    registered = [
        [MONDAY, "1", None],
        [MONDAY, "2", None],
        ["2021-01-11T00:00:00Z", "3", None],
    ]
    loads = [
        [MONDAY, "1"],
        ["2021-01-05T00:00:00Z", "1"],
        ["2021-01-05T09:00:00Z", "1"],
    ]
    first, second = date(2020, 12, 28), date(2021, 1, 11)
    assert retention_of(registered, loads) == [
        ("2020-53", first, 0, 2, 1, 0.5, True),
        ("2020-53", first, 1, 2, 1, 0.5, True),
        ("2020-53", first, 2, 2, 0, None, False),
        ("2021-02", second, 0, 1, 0, None, False),
    ]


def test_a_week_has_ended_with_the_first_event_of_the_next(retention_of):
    late = [["2021-01-03T23:59:59.999999Z", "9"]]
    assert retention_of([[MONDAY, "1", None]], late)[0][-1] is False
    next_week = [["2021-01-04T00:00:00Z", "9"]]
    assert retention_of([[MONDAY, "1", None]], next_week)[0][-1] is True


def test_a_cohort_is_followed_for_as_many_weeks_as_set(retention_of):
    rows = retention_of([[MONDAY, "1", None]], [["2021-03-01T00:00:00Z", "1"]], weeks=2)
    assert [row[2] for row in rows] == [0, 1, 2]


def test_no_events_give_no_cohorts(retention_of, weeks_of, table, engine):
    assert retention_of([], []) == []
    assert weeks_of([], []) == []
    empty = table("total_registered BIGINT, total_converted BIGINT", [])
    assert engine.collect(model.overall(empty), model.Overall) == [(0, 0)]


def test_the_rate_over_all_weeks_rounds_halves_up():
    assert percent(1, 3) == "33.33%"
    assert percent(2, 3) == "66.67%"
    assert percent(1, 8) == "12.50%"
    assert percent(5, 100_000) == "0.01%"
    assert percent(0, 0) == "n/a"
