"""How sure a rate is, and whether one is abnormally high: pure functions of counts.

SciPy has all of these tests, but to import it takes longer than a job on a small input.
The tests of this module hold them against it.
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

# Rounding tells equal probabilities apart by less; R's fisher.test takes the same.
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
    # Both ends are known there, but for rounding.
    low = 0.0 if count == 0 else (centre - spread) / whole
    high = 1.0 if count == total else (centre + spread) / whole
    return low, high


def difference(
    group: tuple[int, int], others: tuple[int, int]
) -> tuple[float, str] | None:
    """How likely chance alone sets a group's rate this far apart from the others'.

    Two-sided and with a continuity correction, although only a high rate is flagged:
    the normal approximation takes a high count for rarer than it is, and a one-sided
    test flags something in more than 5 % of simulated runs without any effect.

    Args:
        group: count and total of the group.
        others: count and total of all others.

    Returns: p and the name of the test: Fisher's exact where the pooled rate gives an
    expected count below 5, else the two-proportion z-test with pooled variance. None
    where there is nothing to compare: no row in the group, or none outside it.
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

    With a continuity correction: of two by two counts, z is the root of the chi-square
    of Yates (1934).

    Args:
        group: count and total; of both together, neither all nor none are hits.
        others: count and total.
    """
    (count, total), (others_count, others_total) = group, others
    hits, everybody = count + others_count, total + others_total
    # Twice what the counts are apart from those expected, times everybody: it is exact.
    apart = max(0, 2 * abs(count * others_total - others_count * total) - everybody)
    variance = total * others_total * hits * (everybody - hits) / everybody
    return erfc(apart / sqrt(8 * variance))


def fisher(group: tuple[int, int], others: tuple[int, int]) -> float:
    """The two-sided p of Fisher's exact test.

    It is the probability of all tables with the same margins that are at most as likely
    as this one. Each table's follows from its neighbour's, beginning at the likeliest,
    so nothing is as large as a factorial. There are at most as many tables as the
    smallest margin has rows: where the z-test does not do, √(5 · all rows) of them.

    Args:
        group: count and total.
        others: count and total.
    """
    (count, total), (others_count, others_total) = group, others
    hits, everybody = count + others_count, total + others_total
    least, most = max(0, hits - others_total), min(hits, total)
    likeliest = (hits + 1) * (total + 1) // (everybody + 2)

    def rise(hit: int) -> float:
        """How many times likelier a group with one more hit is."""
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
    """Each p, corrected for how many were looked at (Benjamini and Hochberg, 1995).

    Flagging what is at most 0.05 keeps the expected share of false alarms among the
    flags at 5 % or less.
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
        q: as :func:`q_values` gives it, None where there is nothing to compare.
        group: count and total of the group.
        others: count and total of all others.
        limits: what is beyond chance, enough and high enough.
    """
    if group[1] < limits.dropoff_min_sessions:
        return False
    if not _is_high_beyond_chance(q, group, others, limits):
        return False
    # Exactly, so that a rate that just reaches a limit does.
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
        q: as :func:`q_values` gives it, None where there is nothing to compare.
        group: count and total of the group.
        others: count and total of all others.
        limits: what is beyond chance and enough.
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
