"""Runs jobs: reads the settings, locks the prefix, writes the ledger, publishes."""

import glob
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs import zones
from jobs.checks import check_staged
from jobs.engine import Engine, open_engine
from jobs.errors import RunError, TooManyRejectedError, in_one_line
from jobs.ledger import JobRecord, JobResult, Ledger
from jobs.publishing.prefix import Snapshot
from jobs.publishing.reading import read_snapshot
from jobs.publishing.run import Run, Writer
from jobs.quoting import shell_word, text
from jobs.settings import RunSettings, load, shown
from jobs.tables import REJECTED_EVENTS, TABLES, Table

if TYPE_CHECKING:
    from jobs.console import Progress

__all__ = ["Job", "JobResult", "main"]

_STOPPING = (signal.SIGTERM, signal.SIGINT)  # docker stop and Ctrl-C


@dataclass(frozen=True)
class Job:
    """One step of the pipeline.

    Attributes:
        name: its name, as in ``python -m jobs.{name}``.
        summary: its description in ``--help``.
        settings: the class of the job's own settings.
        run: stages the job's tables; it is called with the run and these settings.
        reads: the tables that the job reads.
        is_read_only: whether the job reads published tables and writes nothing. Such a
            job takes no lock, and runs alone.
    """

    name: str
    summary: str
    settings: type[Any]
    run: Callable[[Run, Any], JobResult]
    reads: tuple[Table, ...] = ()
    is_read_only: bool = False

    @property
    def writes(self) -> tuple[Table, ...]:
        """The tables that the job writes, by the catalogue."""
        return tuple(table for table in TABLES if table.written_by == self.name)


def main(*jobs: Job, summary: str, arguments: Sequence[str] | None = None) -> int:
    """Run the jobs in turn under one lock; returns the exit code of the contract.

    Args:
        jobs: the jobs.
        summary: what ``--help`` shows of them.
        arguments: the command line; None: that of this process, which ends with the
            run.
    """
    is_own_process = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    is_debugged = False
    stop = _Stop()
    before = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        settings, *job_settings = load(
            (RunSettings, *(job.settings for job in jobs)),
            program="python -m jobs" + (f".{jobs[0].name}" if len(jobs) == 1 else ""),
            description=summary,
            arguments=arguments,
        )
        is_debugged = settings.log_level == "DEBUG"
        _run(settings, list(zip(jobs, job_settings, strict=True)), stop)
    except (Exception, KeyboardInterrupt) as error:
        if is_debugged:
            traceback.print_exception(error)
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        return error.exit_code if isinstance(error, RunError) else 1
    finally:
        # A signal while Python ends must not make a run fail that is done.
        stop.defer()
        if not is_own_process:
            for number, handler in before.items():
                signal.signal(number, handler)
    return 0


class _Stop:
    """Handles the signals that stop a run, so that the run can clean up.

    A signal raises KeyboardInterrupt. An engine may turn this exception into an error
    of its own, or swallow it. The run therefore looks here whether it has to stop.

    Attributes:
        is_requested: whether there was a signal.
        has_to_wait: whether a signal only sets ``is_requested``, and raises nothing.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self.has_to_wait = False

    def __call__(self, number: int, frame: object) -> None:
        # A second signal of the same kind ends the process at once. One of the other
        # kind does not, since one request to stop may send both.
        signal.signal(number, signal.SIG_DFL)
        if self.is_requested:
            return
        self.is_requested = True
        if not self.has_to_wait:
            raise KeyboardInterrupt

    def defer(self) -> None:
        """Only note a signal from now on."""
        self.has_to_wait = True

    def resume(self) -> None:
        """Let signals stop the run from now on, and one that was noted stop it now.

        Raises:
            KeyboardInterrupt: a stop was requested.
        """
        self.has_to_wait = False
        self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a stop was requested."""
        if self.is_requested:
            raise KeyboardInterrupt


def _run(settings: RunSettings, jobs: Sequence[tuple[Job, Any]], stop: _Stop) -> None:
    # Importing Rich takes time, and --help and a wrong setting do not need it.
    from jobs.console import Progress

    progress = Progress(is_shown=settings.log_level in ("DEBUG", "INFO"))
    if jobs[0][0].is_read_only:
        [(job, own_settings)] = jobs
        _read(settings, job, own_settings, progress, stop)
    else:
        _write(settings, jobs, progress, stop)


def _read(
    settings: RunSettings,
    job: Job,
    own_settings: Any,
    progress: "Progress",
    stop: _Stop,
) -> None:
    """Run a job that reads the published tables of one run, and writes nothing."""
    from jobs.console import show

    with (
        tempfile.TemporaryDirectory() as folder,
        _engine(settings, Path(folder), progress, stop) as engine,
    ):

        def run_job(tables: Snapshot) -> JobRecord:
            ledger = Ledger("", shown(settings))
            run = Run(settings, engine, tables, Path(folder), ledger)
            return _run_job(job, own_settings, run, stop)

        with progress.step(job.name, "running"):
            record = read_snapshot(settings.prefix, run_job)
    show(record)


def _write(
    settings: RunSettings,
    jobs: Sequence[tuple[Job, Any]],
    progress: "Progress",
    stop: _Stop,
) -> None:
    """Run jobs that write, and publish the tables of all jobs in one step."""
    # A signal that comes too early would leave files behind, or a JVM.
    stop.defer()
    writer = Writer(settings, [table for job, _ in jobs for table in job.writes])
    ledger = Ledger(
        writer.run_id, shown(settings), notes=writer.notes, tzdata=zones.VERSION
    )
    for _, own_settings in jobs:
        ledger.settings |= shown(own_settings)
    try:
        try:
            _run_and_publish(settings, jobs, writer, ledger, progress, stop)
        except BaseException as error:
            stop.defer()
            writer.record_failure(ledger, in_one_line(error))
            progress.print_line(f"ledger: {writer.ledger}")
            raise
        _show(settings, ledger, progress)
        progress.print_line(f"ledger: {writer.ledger}")
    finally:
        writer.close()


def _show(settings: RunSettings, ledger: Ledger, progress: "Progress") -> None:
    """Print the results of a run that is published."""
    from jobs.console import show, show_notes

    show_notes(ledger.notes)
    for record in ledger.jobs:
        show(record)
        for name in record.result.files:
            progress.print_line(f"{record.job}: {settings.prefix / name}")


def _run_and_publish(
    settings: RunSettings,
    jobs: Sequence[tuple[Job, Any]],
    writer: Writer,
    ledger: Ledger,
    progress: "Progress",
    stop: _Stop,
) -> None:
    from jobs.console import show_causes

    with _engine(settings, writer.scratch, progress, stop) as engine:
        run = Run(settings, engine, writer.published, writer.scratch, ledger)
        for job, own_settings in jobs:
            with progress.step(job.name, "running"):
                try:
                    record = _run_job(job, own_settings, run, stop)
                except TooManyRejectedError as error:
                    show_causes(error.causes)
                    raise _with_rejected_lines(error, writer) from error
            ledger.jobs.append(record)
    # Nothing cuts a publication short.
    stop.defer()
    stop.check()
    writer.publish(run.changes(), ledger)


@contextmanager
def _engine(
    settings: RunSettings, scratch: Path, progress: "Progress", stop: _Stop
) -> Iterator[Engine]:
    """The engine of a run; its errors become errors for the user."""
    # PySpark would leave its JVM behind if a signal came while it starts.
    stop.defer()
    with progress.step("engine", f"starting {settings.engine}"):
        try:
            engine = open_engine(settings, scratch)
        except RunError:
            stop.check()  # a Ctrl-C may have ended the JVM
            raise
    signal.signal(signal.SIGINT, stop)  # PySpark has set its own handler
    try:
        stop.resume()
        engine.bind_models()
        yield engine
    except RunError:
        raise
    except Exception as error:
        if stop.is_requested:
            raise KeyboardInterrupt from error
        raise engine.to_run_error(error) from error
    finally:
        engine.close()


def _run_job(job: Job, own_settings: Any, run: Run, stop: _Stop) -> JobRecord:
    started = time.perf_counter()
    run.begin_job(job.reads, job.writes)
    result = job.run(run, own_settings)
    run.end_job()
    run.engine.uncache()
    check_staged(run, job.writes)
    stop.check()
    rows = {table.name: run.rows(table) for table in job.writes}
    return JobRecord(job.name, time.perf_counter() - started, rows, result)


def _with_rejected_lines(
    error: TooManyRejectedError, writer: Writer
) -> TooManyRejectedError:
    """The same error, which also says where the rejected lines are."""
    try:
        kept = writer.tables.keep_failed(REJECTED_EVENTS, writer.scratch)
    except OSError as failure:
        return TooManyRejectedError(f"{error}; the lines could not be kept: {failure}")
    return TooManyRejectedError(f"{error}; {_how_to_read(kept)}")


def _how_to_read(rejected: Path) -> str:
    files = text(f"{glob.escape(str(rejected))}/**/*.parquet")
    query = (
        f"SELECT reason, source_file, raw FROM read_parquet({files},"
        " hive_partitioning = true)"
    )
    return (
        f"the rejected lines are in {rejected}, and this command shows them:"
        f" scripts/task sql -- {shell_word(query)}"
    )
