"""The ledger of a run: where every line went, what was published, and how it ended."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any


@dataclass(frozen=True)
class LineAccount:
    """``read = stored + duplicates + ignored + rejected``, counted in lines.

    Attributes:
        read: lines that are not blank.
        stored: rows of each event table.
        duplicates: lines of each event table that equal a stored row.
        ignored: app events that no table keeps, by event name.
        rejected: lines that break a rule, by reason.
    """

    read: int
    stored: Mapping[str, int]
    duplicates: Mapping[str, int]
    ignored: Mapping[str, int]
    rejected: Mapping[str, int]

    def entries(self) -> Iterator[tuple[str, str, int]]:
        """Outcome, table or name or reason, and lines; together they make ``read``."""
        for outcome in ("stored", "duplicates", "ignored", "rejected"):
            for name, lines in sorted(getattr(self, outcome).items()):
                yield outcome, name, lines


@dataclass(frozen=True)
class JobResult:
    """What a job tells of its run.

    Attributes:
        lines: the account of the input, of the job that reads it.
        figures: whole numbers by name, for the ledger.
        notes: sentences for the person who started the run.
        headline: the job's answer in one line.
        files: what was written beside the tables, relative to the prefix.
    """

    lines: LineAccount | None = None
    figures: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    headline: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobRecord:
    """One job of a run: its name, wall seconds, rows per published table, result."""

    job: str
    seconds: float
    tables: Mapping[str, int]
    result: JobResult

    def as_json(self) -> dict[str, Any]:
        return {
            "job": self.job,
            "seconds": round(self.seconds, 3),
            "tables": dict(self.tables),
            **asdict(self.result),
        }


def percent(part: int, whole: int) -> str:
    """``33.33%``, halves rounded up; ``n/a`` of nothing."""
    if whole == 0:
        return "n/a"
    hundredths = Decimal(100 * part) / Decimal(whole)
    return f"{hundredths.quantize(Decimal('0.01'), ROUND_HALF_UP)}%"
