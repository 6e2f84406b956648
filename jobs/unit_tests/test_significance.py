"""Intervals, tests and flags, compared with SciPy and published examples."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from jobs.report.significance import (
    FISHER,
    Z_TEST,
    difference,
    fisher,
    is_abnormally_high,
    is_suspiciously_high,
    q_values,
    wilson,
    z_test,
)
from tests.support.simulation import DEFAULTS, simulate
from tests.support.timing import grows_no_faster

# Benjamini and Hochberg (1995), section 4.1: 15 endpoints of a trial of thrombolysis.
P_VALUES_OF_THE_TRIAL = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
    *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]


def near(p):
    """Equal to a billionth: SciPy loses digits as counts grow."""
    return pytest.approx(p, rel=1e-9, abs=1e-290)


@st.composite
def counted(draw):
    """A count of hits and its total."""
    total = draw(st.integers(1, 40) | st.integers(1, 20_000))
    return draw(st.integers(0, min(total, 40)) | st.integers(0, total)), total


def in_table(group, others):
    return [[count, total - count] for count, total in (group, others)]


@given(counted())
def test_an_interval_is_that_of_scipy(rate):
    expected = stats.binomtest(*rate).proportion_ci(0.95, "wilson")
    assert wilson(*rate) == pytest.approx((expected.low, expected.high), rel=1e-9)


@given(counted(), counted())
def test_fishers_exact_p_is_that_of_scipy(group, others):
    expected = stats.fisher_exact(in_table(group, others)).pvalue
    assert fisher(group, others) == near(expected)


@given(counted(), counted())
def test_the_p_of_z_is_that_of_scipy(group, others):
    table = in_table(group, others)
    assume(all(map(sum, zip(*table, strict=True))))
    expected = stats.chi2_contingency(table, correction=True).pvalue
    assert z_test(group, others) == near(expected)


@given(st.lists(st.floats(0, 1) | st.sampled_from(P_VALUES_OF_THE_TRIAL)))
def test_q_values_are_those_of_scipy(p_values):
    expected = stats.false_discovery_control(p_values)
    assert q_values(p_values) == near(list(expected))


@given(counted(), counted())
def test_p_is_the_same_for_exchanged_groups_and_for_misses(group, others):
    def misses(counted):
        return counted[1] - counted[0], counted[1]

    p, test = difference(group, others) or (-1, None)
    assert 0 <= p <= 1
    for other_way in ((others, group), (misses(group), misses(others))):
        assert difference(*other_way) == (near(p), test)


def test_fishers_exact_p_of_a_hundred_million_rows_is_exact():
    # This is a sum of exact binomial coefficients; SciPy has only eight digits right.
    p = fisher((5, 22_000), (17, 100_000_000))
    assert p == pytest.approx(1.3508345937510158e-14, rel=1e-13)


def test_time_grows_no_faster_than_the_root_of_all_rows():
    def largest(rows):
        """The largest table of this many rows that Fisher's test is used for."""
        group = int((4.84 * rows) ** 0.5)
        assert difference((group, group), (0, rows)) == (0, FISHER)

    assert grows_no_faster(largest, 1_000_000, 100_000_000, times=10)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_an_interval_is_that_of_newcombe_1998(count, total, low, high):
    assert wilson(count, total) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_contains_the_rate_and_stays_between_0_and_1():
    assert wilson(0, 1)[0] == 0
    assert wilson(1, 1)[1] == 1
    low, high = wilson(500_000_000, 1_000_000_000)
    assert low < 0.5 < high < 0.5001


def test_a_lady_tasting_tea_is_tested_exactly():
    p, test = difference((3, 4), (1, 4)) or (None, None)
    assert test == FISHER
    assert p == pytest.approx(34 / 70)


def test_two_large_groups_are_compared_by_z():
    # R's prop.test: 490 of 500 smokers with lung cancer, 400 of 500 without.
    p, test = difference((490, 500), (400, 500)) or (None, None)
    assert test == Z_TEST
    assert p == pytest.approx(2.363e-19, rel=1e-3)


def test_an_expected_count_of_just_5_is_enough_for_z():
    for count, test in ((10, Z_TEST), (9, FISHER)):
        assert (difference((count, 20), (0, 20)) or [])[1] == test


@pytest.mark.parametrize(
    ("group", "others"),
    [((0, 0), (1, 2)), ((1, 2), (0, 0)), ((0, 0), (0, 0))],
)
def test_an_empty_group_is_not_compared(group, others):
    assert difference(group, others) is None


@pytest.mark.parametrize("count", [0, 100])
def test_equal_groups_of_only_hits_or_only_misses_do_not_differ(count):
    assert difference((count, 100), (count, 100)) == (1, FISHER)


def test_q_values_reject_what_benjamini_and_hochberg_1995_reject():
    corrected = q_values(P_VALUES_OF_THE_TRIAL)
    assert [q <= 0.05 for q in corrected] == [True] * 4 + [False] * 11
    assert corrected[3] == pytest.approx(0.0095 * 15 / 4)
    assert q_values([]) == []


@pytest.mark.parametrize(
    ("q", "group", "others", "is_flagged"),
    [
        (0.05, (15, 100), (10, 100), True),
        (0.0501, (15, 100), (10, 100), False),
        (None, (15, 100), (10, 100), False),
        (0.01, (29, 29), (10, 100), False),
        (0.01, (30, 30), (10, 100), True),
        # 4 points and 1.1 times, then 1.2 times but 1 point, then 5 points.
        (0.01, (440, 1000), (400, 1000), False),
        (0.01, (60, 1000), (50, 1000), True),
        (0.01, (59, 1000), (50, 1000), False),
        (0.01, (550, 1000), (500, 1000), True),
        (0.01, (549, 1000), (500, 1000), False),
        (0.01, (1, 1000), (0, 1000), True),
        (0.01, (0, 1000), (0, 1000), False),
        (0.01, (10, 100), (15, 100), False),
    ],
)
def test_a_flag_takes_significance_sessions_and_size(q, group, others, is_flagged):
    assert is_abnormally_high(q, group, others, DEFAULTS) is is_flagged


@pytest.mark.parametrize(
    ("q", "group", "others", "is_suspicious"),
    [
        (0.05, (11, 12), (20, 100), True),
        (0.0501, (11, 12), (20, 100), False),
        (None, (11, 12), (20, 100), False),
        (0.01, (29, 29), (10, 100), True),
        (0.01, (30, 30), (10, 100), False),
        # As high as the others, and lower.
        (0.01, (2, 10), (20, 100), False),
        (0.01, (1, 10), (20, 100), False),
        # A little higher: a suspicious rate needs no minimum size.
        (0.01, (3, 14), (214, 1000), True),
        (0.01, (1, 1), (0, 1), True),
    ],
)
def test_a_high_rate_of_too_few_sessions_is_suspicious_and_never_flagged(
    q, group, others, is_suspicious
):
    assert is_suspiciously_high(q, group, others, DEFAULTS) is is_suspicious
    is_flagged = is_abnormally_high(q, group, others, DEFAULTS)
    assert not (is_suspicious and is_flagged)


def test_the_limits_are_settings():
    lenient = replace(
        DEFAULTS, dropoff_max_q=1.0, dropoff_min_sessions=1, dropoff_min_points=0
    )
    assert is_abnormally_high(1.0, (2, 3), (1, 3), lenient)
    assert not is_suspiciously_high(1.0, (2, 3), (1, 3), lenient)
    strict = replace(lenient, dropoff_min_sessions=4)
    assert is_suspiciously_high(1.0, (2, 3), (1, 3), strict)


@pytest.mark.slow
def test_without_an_effect_hardly_a_run_flags_anything():
    assert simulate(runs=200, planted_points=0).any <= 0.05


@pytest.mark.slow
def test_15_points_in_one_version_are_found():
    assert simulate(runs=100, planted_points=15).planted >= 0.95
