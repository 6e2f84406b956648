"""The findings of a run: what looks wrong in its data, though it has broken no rule.

Each rule is a function of small results that jobs have collected. It returns a finding,
or None if nothing looks wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobs.quoting import printable

MOST_UNKNOWN = 0.2
"""The share of users or videos without attributes above which there is a finding."""

KINDS = ("unknown_ids", "missing_column", "unreadable_values")
"""The kinds of findings, the most serious first."""

_LONGEST_EXAMPLE = 60


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong.

    Attributes:
        kind: one of KINDS.
        text: one or two sentences that say how much is wrong, and what to do.
        count: how many lines, rows or values look wrong; None if nothing is counted.
    """

    kind: str
    text: str
    count: int | None = None


def most_serious_first(findings: Iterable[Finding | None]) -> tuple[Finding, ...]:
    """The findings in the order of KINDS; the largest of a kind first."""
    found = (finding for finding in findings if finding is not None)
    return tuple(sorted(found, key=lambda f: (KINDS.index(f.kind), -(f.count or 0))))


def missing_column(file: str, column: str, near: Sequence[str]) -> Finding:
    """A column that a CSV file does not have, and names that resemble it."""
    if near:
        names = " or ".join(map(_example, near))
        advice = f"Its header has {names}: if that is meant, rename it to {column}."
    else:
        advice = "Nothing in its header resembles that name."
    return Finding(
        "missing_column", f"{file} has no column {column}, which is NULL. {advice}"
    )


def unreadable_values(
    file: str, column: str, takes: str, count: int, example: str | None
) -> Finding | None:
    """Values of a column of a CSV file that are not what the column takes."""
    if not count:
        return None
    values = "1 value" if count == 1 else f"{count:,} values"
    return Finding(
        "unreadable_values",
        f"{file}: {values} of {column} cannot be read and became NULL, such as"
        f" {_example(example or '')}. The column takes {takes}.",
        count,
    )


def unknown_ids(file: str, column: str, ids: int, known: int) -> Finding | None:
    """Ids of the events that a CSV file does not have, if they are many."""
    unknown = ids - known
    if unknown <= MOST_UNKNOWN * ids:
        return None
    share = f"{100 * unknown / ids:.0f} %"
    return Finding(
        "unknown_ids",
        f"{unknown:,} of {ids:,} values of {column} in the events have no row in {file}"
        f" ({share}), so their attributes are NULL. Compare how both write {column}.",
        unknown,
    )


def _example(text: str) -> str:
    """A text from the input, made short."""
    short = (
        text if len(text) <= _LONGEST_EXAMPLE else text[: _LONGEST_EXAMPLE - 1] + "…"
    )
    return printable(short)
