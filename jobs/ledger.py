"""The ledger of a run: its lines, its jobs, its published tables and its end."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from jobs import __version__
from jobs.findings import Finding, most_serious_first

LEDGERS = "_runs"  # their folder in a prefix
FORMAT = 2
"""The format number of a ledger. Version 0.1 wrote no number."""


@dataclass(frozen=True)
class LineAccount:
    """``read = stored + duplicates + ignored + rejected``, counted in lines.

    Attributes:
        read: lines that are not blank.
        stored: rows of each event table.
        duplicates: lines of each event table that repeat a stored row.
        ignored: app events that no table keeps, by event name.
        rejected: lines that break a rule, by reason.
    """

    read: int
    stored: Mapping[str, int]
    duplicates: Mapping[str, int]
    ignored: Mapping[str, int]
    rejected: Mapping[str, int]

    def entries(self) -> Iterator[tuple[str, str, int]]:
        """Each outcome, its table, event or reason, and lines, which add up to read."""
        for outcome in ("stored", "duplicates", "ignored", "rejected"):
            for name, lines in sorted(getattr(self, outcome).items()):
                yield outcome, name, lines


@dataclass(frozen=True)
class FileAccount:
    """What was read of an event file: ``lines = kept + ignored + rejected``.

    Attributes:
        name: its source_file.
        size: its bytes, unpacked and in UTF-8.
        line_size: the bytes of its lines, without line ends.
        lines: its lines that are not blank.
    """

    name: str
    size: int
    line_size: int
    lines: int
    kept: int
    ignored: int
    rejected: int


@dataclass(frozen=True)
class Cause:
    """Why lines were rejected.

    Attributes:
        reason: the first rule that they break.
        lines: how many they are.
        source_file: the file of the first of them.
        line_number: its place there, in lines from 1 on.
        value: the value of the field that breaks the rule, made short and concealed.
    """

    reason: str
    lines: int
    source_file: str
    line_number: int
    value: str


@dataclass(frozen=True)
class JobResult:
    """The result of a job.

    Attributes:
        lines: the account of the input's lines, if the job has read the input.
        event_files: what was read of each event file.
        causes: why lines were rejected, the most frequent cause first.
        figures: whole numbers for the ledger, by name.
        notes: sentences for the person who started the run.
        findings: what looks wrong in the data.
        headline: the job's answer in one line.
        files: the files that the job wrote beside the tables, relative to the prefix.
        passed_over: why the job has not read a file of the input, by the file's name.
        mapping: the name and the digest of the mapping that made the lines our events.
    """

    lines: LineAccount | None = None
    event_files: tuple[FileAccount, ...] = ()
    causes: tuple[Cause, ...] = ()
    figures: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    headline: str | None = None
    files: tuple[str, ...] = ()
    passed_over: Mapping[str, str] = field(default_factory=dict)
    mapping: str | None = None


@dataclass(frozen=True)
class JobRecord:
    """One job of a run.

    Attributes:
        job: the name of the job.
        seconds: the time that the job took.
        tables: the number of rows of each table that the job wrote, by name.
        result: the result of the job.
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
    """The record of a run. Only the runner writes it.

    Attributes:
        run_id: the run.
        settings: every setting by its name, as text, without secret ones.
        started: when the run began, ISO 8601.
        jobs: the jobs that succeeded, in their order.
        notes: sentences for the person who started the run.
        tables: the run that wrote each published table, and the number of its rows.
        status: ``done`` or ``failed``.
        finished: when the run ended, ISO 8601.
        error: the error that ended the run, if it failed.
        version: the version of the project.
        tzdata: the version of the rules of time zones, such as 2026f.
        format: the format number of the ledger.
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
    tzdata: str | None = None
    format: int = FORMAT

    @property
    def lines(self) -> LineAccount | None:
        """The account of the input's lines, if a job of the run has read the input."""
        return next((job.result.lines for job in self.jobs if job.result.lines), None)

    @property
    def mapping(self) -> str | None:
        """The mapping that made the lines of the run our events, if there was one."""
        return next((job.result.mapping for job in self.jobs if job.result.lines), None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What looks wrong in the data of the run, the most serious first."""
        return most_serious_first(f for job in self.jobs for f in job.result.findings)

    def as_json(self) -> bytes:
        document = {
            "format": self.format,
            "run_id": self.run_id,
            "version": self.version,
            "tzdata": self.tzdata,
            "status": self.status,
            "started": self.started,
            "finished": self.finished,
            "settings": self.settings,
            "jobs": [job.as_json() for job in self.jobs],
            "notes": self.notes,
            "tables": self.tables,
            "error": self.error,
        }
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        return text.encode(errors="backslashreplace")  # writes a surrogate as JSON does

    @classmethod
    def read(cls, path: Path) -> "Ledger | None":
        """The ledger in a file; None if the file is lost or was cut off."""
        try:
            document = json.loads(path.read_bytes())
            jobs = [_job_record(**job) for job in document.pop("jobs")]
            return cls(jobs=jobs, **document)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def _job_record(
    job: str,
    seconds: float,
    tables: dict[str, int],
    lines: dict[str, Any] | None,
    findings: Iterable[dict[str, Any]] = (),
    event_files: Iterable[dict[str, Any]] = (),
    causes: Iterable[dict[str, Any]] = (),
    **result: Any,
) -> JobRecord:
    read = JobResult(
        LineAccount(**lines) if lines else None,
        tuple(FileAccount(**file) for file in event_files),
        tuple(Cause(**cause) for cause in causes),
        findings=tuple(Finding(**finding) for finding in findings),
        **result,
    )
    return JobRecord(job, seconds, tables, read)


def percent(part: int, whole: int) -> str:
    """``33.33%``, halves rounded up; ``n/a`` if the whole is 0."""
    if whole == 0:
        return "n/a"
    hundredths = Decimal(100 * part) / Decimal(whole)
    return f"{hundredths.quantize(Decimal('0.01'), ROUND_HALF_UP)}%"
