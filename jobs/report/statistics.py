"""How sure a rate is, and whether one is abnormally high: pure functions of counts."""

from collections.abc import Sequence
from fractions import Fraction

# SciPy takes half a second to import, so only the one job that needs this imports it.
from scipy import stats

from jobs.report.config import ReportSettings

_CONFIDENCE = 0.95
_LEAST_EXPECTED = 5

Z_TEST = "two-proportion z-test"
FISHER = "Fisher's exact test"


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a rate, after Wilson (1927); total is at least 1."""
    interval = stats.binomtest(count, total).proportion_ci(_CONFIDENCE, "wilson")
    return float(interval.low), float(interval.high)


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
    table = [[count, total - count], [others_count, others_total - others_count]]
    hits, misses = (sum(column) for column in zip(*table, strict=True))
    if min(total, others_total) * min(hits, misses) < _LEAST_EXPECTED * (hits + misses):
        return float(stats.fisher_exact(table).pvalue), FISHER
    # Of two by two counts, chi-square is the square of that z.
    return float(stats.chi2_contingency(table, correction=True).pvalue), Z_TEST


def q_values(p_values: Sequence[float]) -> list[float]:
    """Each p, corrected for how many were looked at (Benjamini and Hochberg, 1995).

    Flagging what is at most 0.05 keeps the expected share of false alarms among the
    flags at 5 % or less.
    """
    return [float(q) for q in stats.false_discovery_control(p_values)]


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
    if q is None or q > limits.dropoff_max_q or group[1] < limits.dropoff_min_sessions:
        return False
    # Exactly, so that a rate that just reaches a limit does.
    rate, other_rate = Fraction(*group), Fraction(*others)
    points = Fraction(str(limits.dropoff_min_points))
    ratio = Fraction(str(limits.dropoff_min_ratio))
    return rate > other_rate and (
        100 * (rate - other_rate) >= points or rate >= ratio * other_rate
    )
