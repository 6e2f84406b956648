"""The interval of a rate, and whether a rate is abnormally high: functions of counts.

SciPy has all of these tests, but importing SciPy takes longer than a job on a small
input. The unit tests compare this module with SciPy.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import erfc, fsum, sqrt
from operator import mul
from statistics import NormalDist

from jobs.report.config import ReportSettings

_CONFIDENCE = 0.95
_LEAST_EXPECTED = 5

# Rounding makes equal probabilities differ by less; R's fisher.test uses the same.
_TIE = 1e-7

Z_TEST = "two-proportion z-test"
FISHER = "Fisher's exact test"


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a rate, after Wilson (1927); total is at least 1.

    The formula is method 3 of Newcombe (1998), without a continuity correction.
    """
    z = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
    centre = 2 * count + z**2
    spread = z * sqrt(4 * count * (total - count) / total + z**2)
    whole = 2 * (total + z**2)
    # Here an end is known exactly, and the formula would give a rounded number.
    low = 0.0 if count == 0 else (centre - spread) / whole
    high = 1.0 if count == total else (centre + spread) / whole
    return low, high


def difference(
    group: tuple[int, int], others: tuple[int, int]
) -> tuple[float, str] | None:
    """The probability that chance sets a group's rate so far apart from the others'.

    The test is two-sided and has a continuity correction, although only a high rate is
    flagged. The reason is that the normal approximation underestimates how likely a
    high count is: a one-sided test flags a group in more than 5 % of simulated runs
    without any effect.

    Args:
        group: count and total of the group.
        others: count and total of all others.

    Returns: p and the name of the test: Fisher's exact test if the pooled rate gives an
    expected count below 5, else the two-proportion z-test with pooled variance. None if
    there is nothing to compare: no row in the group, or no row outside it.
    """
    (count, total), (others_count, others_total) = group, others
    if not total or not others_total:
        return None
    hits, everybody = count + others_count, total + others_total
    fewest = min(total, others_total) * min(hits, everybody - hits)
    if fewest < _LEAST_EXPECTED * everybody:
        return fisher(group, others), FISHER
    return z_test(group, others), Z_TEST


def z_test(group: tuple[int, int], others: tuple[int, int]) -> float:
    """The two-sided p of two proportions, by their pooled variance.

    The test has a continuity correction: z is the root of the chi-square of Yates
    (1934) for a table of two by two counts.

    Args:
        group: count and total. In both groups together, there are hits and others.
        others: count and total.
    """
    (count, total), (others_count, others_total) = group, others
    hits, everybody = count + others_count, total + others_total
    # This whole number, and so exact, is twice the distance of the counts from the
    # expected counts, times everybody.
    apart = max(0, 2 * abs(count * others_total - others_count * total) - everybody)
    variance = total * others_total * hits * (everybody - hits) / everybody
    return erfc(apart / sqrt(8 * variance))


def fisher(group: tuple[int, int], others: tuple[int, int]) -> float:
    """The two-sided p of Fisher's exact test.

    It is the probability of all tables with the same margins that are at most as likely
    as this one. The probability of a table follows from that of its neighbour, starting
    at the likeliest table, so no factorial is computed. The number of tables is at most
    the smallest margin. If the z-test cannot be used, it is at most √(5 · all rows).

    Args:
        group: count and total.
        others: count and total.
    """
    (count, total), (others_count, others_total) = group, others
    hits, everybody = count + others_count, total + others_total
    least, most = max(0, hits - others_total), min(hits, total)
    likeliest = (hits + 1) * (total + 1) // (everybody + 2)

    def rise(hit: int) -> float:
        """The factor by which one more hit in the group is likelier."""
        return ((hits - hit) * (total - hit)) / (
            (hit + 1) * (others_total - hits + hit + 1)
        )

    above = accumulate(map(rise, range(likeliest, most)), mul, initial=1.0)
    falls = (1 / rise(hit) for hit in reversed(range(least, likeliest)))
    below = list(accumulate(falls, mul, initial=1.0))
    weights = [*reversed(below[1:]), *above]
    limit = weights[count - least] * (1 + _TIE)
    return fsum(weight for weight in weights if weight <= limit) / fsum(weights)


def q_values(p_values: Sequence[float]) -> list[float]:
    """Each p, corrected for the number of tests (Benjamini and Hochberg, 1995).

    If groups with q up to 0.05 are flagged, the expected share of false alarms among
    the flagged groups is 5 % or less.
    """
    largest_first = sorted(
        range(len(p_values)), key=lambda n: p_values[n], reverse=True
    )
    corrected = [0.0] * len(p_values)
    least = 1.0
    for larger, place in enumerate(largest_first):
        # A smaller p never gets a larger q.
        least = min(least, p_values[place] * len(p_values) / (len(p_values) - larger))
        corrected[place] = least
    return corrected


def is_abnormally_high(
    q: float | None,
    group: tuple[int, int],
    others: tuple[int, int],
    limits: ReportSettings,
) -> bool:
    """Whether a rate is beyond chance, of enough sessions, and high enough to matter.

    Args:
        q: as :func:`q_values` gives it; None if there is nothing to compare.
        group: count and total of the group.
        others: count and total of all others.
        limits: the limits of chance, of enough sessions and of a high rate.
    """
    if group[1] < limits.dropoff_min_sessions:
        return False
    if not _is_high_beyond_chance(q, group, others, limits):
        return False
    # Fractions are exact, so a rate that just reaches a limit counts as high.
    rate, other_rate = Fraction(*group), Fraction(*others)
    points = Fraction(str(limits.dropoff_min_points))
    ratio = Fraction(str(limits.dropoff_min_ratio))
    return 100 * (rate - other_rate) >= points or rate >= ratio * other_rate


def is_suspiciously_high(
    q: float | None,
    group: tuple[int, int],
    others: tuple[int, int],
    limits: ReportSettings,
) -> bool:
    """Whether a rate is high beyond chance, but of too few sessions for a flag.

    Args:
        q: as :func:`q_values` gives it; None if there is nothing to compare.
        group: count and total of the group.
        others: count and total of all others.
        limits: the limits of chance and of enough sessions.
    """
    has_too_few = group[1] < limits.dropoff_min_sessions
    return has_too_few and _is_high_beyond_chance(q, group, others, limits)


def _is_high_beyond_chance(
    q: float | None,
    group: tuple[int, int],
    others: tuple[int, int],
    limits: ReportSettings,
) -> bool:
    if q is None or q > limits.dropoff_max_q:
        return False
    return Fraction(*group) > Fraction(*others)
