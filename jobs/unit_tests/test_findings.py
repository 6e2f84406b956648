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


def some_days(chance, usual, spread):
    counts = (chance.uniform(usual - spread, usual + spread) for _ in range(60))
    return days(*map(round, counts))


@pytest.mark.parametrize(
    ("usual", "spread", "few"),
    [(20, 0, 9), (50, 10, 12), (20, 3, 5), (20, 8, 0), (1000, 300, 200), (9, 2, 0)],
)
def test_a_day_is_named_that_is_farther_from_the_median_than_days_are(
    usual, spread, few
):
    chance = random.Random(1)
    for _ in range(50):
        lost = MONDAY + timedelta(days=chance.randrange(8, 50))
        counts = some_days(chance, usual, spread)
        assert findings.few_events(counts) is None
        found = findings.few_events(counts | {lost: few})
        assert found is not None
        assert found.count == 1


@pytest.mark.parametrize("events_a_day", [3, 20, 30, 50, 200, 1_000_000])
@pytest.mark.parametrize("growth", [1, 10])
def test_days_that_differ_by_chance_or_grow_are_not_named(events_a_day, growth):
    chance = random.Random(1)
    for _ in range(50):
        usual = [events_a_day * (1 + (growth - 1) * n / 90) for n in range(90)]
        counts = (chance.gauss(number, number**0.5) for number in usual)
        assert findings.few_events(days(*(max(0, round(n)) for n in counts))) is None


def test_a_newest_event_more_than_three_days_after_every_other_one_is_named():
    three_days = timedelta(days=3)
    assert findings.late_event(NOON + three_days, NOON) is None
    later = findings.late_event(NOON + three_days + timedelta(microseconds=1), NOON)
    assert later is not None
    assert later.kind == "late_event"


@pytest.mark.parametrize(
    ("events", "all_events", "ids", "is_found"),
    [
        (20, 100, 80, False),
        (21, 100, 80, True),
        (100, 100, 1, True),
        (21, 99, 70, True),
        (99, 99, 1, False),
        (9, 12, 4, True),
        (8, 12, 4, False),
        (3, 5, 3, False),
        (30, 99, 5, False),
        (42, 99, 5, True),
    ],
)
def test_a_share_above_a_fifth_is_named_that_is_rare_if_events_are_few(
    events, all_events, ids, is_found
):
    found = findings.large_share("viewer", "u", events, all_events, ids)
    assert (found is not None) == is_found
    if found is not None:
        assert found.count == events
        assert f"{events} of {all_events} events" in found.text


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
