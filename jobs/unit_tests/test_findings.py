"""What looks wrong, and what does not."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from jobs import findings

MONDAY = date(2021, 1, 4)
NOON = datetime(2021, 1, 4, 12, tzinfo=UTC)


def days(*counts):
    return {MONDAY + timedelta(days=n): count for n, count in enumerate(counts)}


def test_a_day_with_less_than_half_of_its_weekdays_median_is_named():
    usual = days(*[100, 100, 100, 100, 100, 10, 10] * 5)
    assert findings.few_events(usual) is None
    few = MONDAY + timedelta(days=15)
    found = findings.few_events(usual | {few: 49})
    assert found is not None
    assert (found.kind, found.count) == ("few_events", 1)
    assert f"{few} (49)" in found.text
    assert findings.few_events(usual | {few: 50}) is None


def test_a_day_without_events_is_named():
    usual = days(*[20] * 40)
    del usual[MONDAY + timedelta(days=3)], usual[MONDAY + timedelta(days=4)]
    found = findings.few_events(usual)
    assert found is not None
    assert found.count == 2
    assert "2021-01-07 (0), 2021-01-08 (0)" in found.text


def test_the_first_and_the_newest_day_are_not_whole():
    assert findings.few_events(days(1, *[20] * 40, 1)) is None


def test_a_weekday_that_was_seen_three_times_has_no_usual_number():
    assert findings.few_events(days(*[20] * 21, 0, 20)) is None
    assert findings.few_events({}) is None


@pytest.mark.parametrize("events_a_day", [3, 20, 200])
def test_days_that_differ_by_chance_are_not_named(events_a_day):
    chance = random.Random(1)
    for _ in range(50):
        counts = [chance.gauss(events_a_day, events_a_day**0.5) for _ in range(90)]
        assert findings.few_events(days(*(max(0, round(n)) for n in counts))) is None


def test_a_newest_event_more_than_three_days_after_every_other_one_is_named():
    three_days = timedelta(days=3)
    assert findings.late_event(NOON + three_days, NOON) is None
    later = findings.late_event(NOON + three_days + timedelta(microseconds=1), NOON)
    assert later is not None
    assert later.kind == "late_event"


def test_a_share_above_a_fifth_of_at_least_100_events_is_named():
    assert findings.large_share("viewer", "u", 20, 100) is None
    assert findings.large_share("viewer", "u", 99, 99) is None
    found = findings.large_share("viewer", "u", 21, 100)
    assert found is not None
    assert "21 of 100 events (21 %)" in found.text


def test_app_events_are_all_ignored_only_if_none_is_kept():
    assert findings.all_app_events_ignored({"Registered": 3}, 1) is None
    assert findings.all_app_events_ignored({}, 0) is None
    found = findings.all_app_events_ignored({"Registered": 3, "view": 4}, 0)
    assert found is not None
    assert found.count == 7


def test_many_days_are_named():
    assert findings.many_days(findings.MOST_DAYS) is None
    assert findings.many_days(findings.MOST_DAYS + 1) is not None


def test_the_most_serious_finding_comes_first():
    found = [
        findings.passed_over(["a.txt"]),
        None,
        findings.texts_without_id("user_id", 2, True),
        findings.texts_without_id("session_id", 3, True),
        findings.all_app_events_ignored({"x": 1}, 0),
    ]
    kinds = [(f.kind, f.count) for f in findings.most_serious_first(found)]
    assert kinds == [
        ("all_app_events_ignored", 1),
        ("texts_without_id", 3),
        ("texts_without_id", 2),
        ("passed_over", 1),
    ]
