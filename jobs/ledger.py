"""The ledger of a run: where every line went, what was published, and how it ended."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from jobs import __version__

FORMAT = 2
"""The form of a ledger. Version 0.1 wrote no number."""


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
    """One job of a run.

    Attributes:
        job: its name.
        seconds: that it took, wall time.
        tables: the rows of each table that it wrote, by name.
        result: what it tells.
    """

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


@dataclass
class Ledger:
    """The record of a run, which the runner alone writes.

    Attributes:
        run_id: the run.
        settings: every setting by its name, as text; a secret one is hidden.
        started: when it began, ISO 8601.
        jobs: the jobs that ended well, in their order.
        notes: sentences for the person who started the run.
        tables: of each published table the run that it came from and its rows.
        status: ``done`` or ``failed``.
        finished: when it ended, ISO 8601.
        error: the error that ended it, if it failed.
        version: of the project.
        format: of the ledger.
    """

    run_id: str
    settings: dict[str, Any]
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    jobs: list[JobRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: str = "failed"
    finished: str | None = None
    error: str | None = None
    version: str = __version__
    format: int = FORMAT

    @property
    def lines(self) -> LineAccount | None:
        """The account of the input's lines, where a job of the run has read them."""
        return next((job.result.lines for job in self.jobs if job.result.lines), None)

    def as_json(self) -> bytes:
        told = {
            "format": self.format,
            "run_id": self.run_id,
            "version": self.version,
            "status": self.status,
            "started": self.started,
            "finished": self.finished,
            "settings": self.settings,
            "jobs": [job.as_json() for job in self.jobs],
            "notes": self.notes,
            "tables": self.tables,
            "error": self.error,
        }
        text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
        return text.encode(errors="backslashreplace")  # as JSON escapes a surrogate

    @classmethod
    def read(cls, path: Path) -> "Ledger | None":
        """The ledger in a file; None if it is lost, or cut short by a power loss."""
        try:
            told = json.loads(path.read_bytes())
            jobs = [_job_record(**job) for job in told.pop("jobs")]
            return cls(jobs=jobs, **told)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def _job_record(
    job: str,
    seconds: float,
    tables: dict[str, int],
    lines: dict[str, Any] | None,
    **told: Any,
) -> JobRecord:
    account = lines and LineAccount(**lines)
    return JobRecord(job, seconds, tables, JobResult(lines=account or None, **told))


def percent(part: int, whole: int) -> str:
    """``33.33%``, halves rounded up; ``n/a`` of nothing."""
    if whole == 0:
        return "n/a"
    hundredths = Decimal(100 * part) / Decimal(whole)
    return f"{hundredths.quantize(Decimal('0.01'), ROUND_HALF_UP)}%"
