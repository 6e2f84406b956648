"""What every job's command does around its rules: settings, lock, ledger, exit code."""

import glob
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs import __version__
from jobs.checks import check_staged
from jobs.engine import Engine, Store, open_engine
from jobs.errors import RunError, TooManyRejectedError
from jobs.ledger import JobRecord, JobResult
from jobs.settings import RunSettings, load, shown
from jobs.tables import REJECTED_EVENTS

if TYPE_CHECKING:
    from jobs.console import Progress

__all__ = ["Job", "JobResult", "main"]

_STOPPING = (signal.SIGTERM, signal.SIGINT)  # as of docker stop, and of Ctrl-C


@dataclass(frozen=True)
class Job:
    """One step of the pipeline.

    Attributes:
        name: as in ``python -m jobs.{name}``.
        summary: what ``--help`` says of it.
        settings: the class of its own settings.
        run: stages the job's tables; called with the engine and those settings.
        only_reads: whether it leaves the prefix as it is, without a ledger of its run.
    """

    name: str
    summary: str
    settings: type[Any]
    run: Callable[[Engine, Any], JobResult]
    only_reads: bool = False


def main(*jobs: Job, summary: str, arguments: Sequence[str] | None = None) -> int:
    """Run the jobs in turn under one lock; returns the exit code of the contract."""
    arguments = sys.argv[1:] if arguments is None else arguments
    is_debugged = False
    stop = _Stop()
    before = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        settings, *of_jobs = load(
            (RunSettings, *(job.settings for job in jobs)),
            program="python -m jobs" + (f".{jobs[0].name}" if len(jobs) == 1 else ""),
            description=summary,
            arguments=arguments,
        )
        is_debugged = settings.log_level == "DEBUG"
        _run(settings, list(zip(jobs, of_jobs, strict=True)), stop)
    except (Exception, KeyboardInterrupt) as error:
        if is_debugged:
            traceback.print_exception(error)
        print(f"error: {_in_one_line(error)}", file=sys.stderr)
        return error.exit_code if isinstance(error, RunError) else 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


class _Stop:
    """Ends a run in an orderly way when it is asked to, so that it leaves nothing.

    It handles signals. An engine that is cut short in a call may answer with an error
    of its own, or swallow the exception: whether a stop was asked for is known here.

    Attributes:
        is_asked: whether there was a signal.
        has_to_wait: whether a signal is noted alone, and cuts nothing short.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.has_to_wait = False

    def __call__(self, number: int, frame: object) -> None:
        # The same signal again ends the process at once. One of the other kind does
        # not: who stops a group of processes may send both.
        signal.signal(number, signal.SIG_DFL)
        if self.is_asked:
            return
        self.is_asked = True
        if not self.has_to_wait:
            raise KeyboardInterrupt

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Cut nothing short in here; one who enters after a stop was asked for is."""
        self.has_to_wait = True
        try:
            if self.is_asked:
                raise KeyboardInterrupt
            yield
        finally:
            self.has_to_wait = False


def _run(settings: RunSettings, jobs: Sequence[tuple[Job, Any]], stop: _Stop) -> None:
    # Rich takes a while to import: not for --help, nor for a setting that is wrong.
    from jobs.console import Progress

    progress = Progress(is_shown=settings.log_level in ("DEBUG", "INFO"))
    prefix = settings.output_data_path_prefix
    only_reads = all(job.only_reads for job, _ in jobs)
    store = Store(prefix, only_reads)
    ledger = store.ledger
    ledger |= _opened(settings, store.run_id)
    try:
        _run_jobs(settings, jobs, store, progress, stop)
        ledger["status"] = "done"
    except BaseException as error:
        ledger["error"] = _in_one_line(error)
        raise
    finally:
        stop.has_to_wait = True
        ledger["finished"] = datetime.now(UTC).isoformat()
        ledger["tables"] = store.origins()
        try:
            if not only_reads:
                store.record()
                progress.say(f"ledger: {prefix}/_runs/{store.run_id}.json")
        finally:
            store.close()


def _run_jobs(
    settings: RunSettings,
    jobs: Sequence[tuple[Job, Any]],
    store: Store,
    progress: "Progress",
    stop: _Stop,
) -> None:
    from jobs.console import show

    with progress.step("engine", f"starting {settings.engine}"):
        engine = open_engine(settings, store)
    signal.signal(signal.SIGINT, stop)  # PySpark has set one of its own
    try:
        for job, own_settings in jobs:
            store.ledger["settings"] |= shown(own_settings)
            with progress.step(job.name, "running"):
                record = _run_job(job, own_settings, engine, stop)
            show(record)
            for name in record.result.files:
                progress.say(f"{job.name}: {settings.output_data_path_prefix}/{name}")
    except RunError:
        raise
    except Exception as error:
        said = KeyboardInterrupt() if stop.is_asked else engine.explain(error)
        raise said from error
    finally:
        engine.close()


def _run_job(job: Job, own_settings: Any, engine: Engine, stop: _Stop) -> JobRecord:
    started = time.perf_counter()
    store = engine.store
    try:
        result = job.run(engine, own_settings)
    except TooManyRejectedError as error:
        kept = store.keep_failed(REJECTED_EVENTS)
        raise TooManyRejectedError(f"{error}; {_how_to_look(kept)}") from error
    engine.release()
    check_staged(engine)
    with stop.waiting():
        tables = {} if job.only_reads else store.publish(told=asdict(result))
        record = JobRecord(job.name, time.perf_counter() - started, tables, result)
        store.ledger["jobs"].append(record.as_json())
    if stop.is_asked:
        raise KeyboardInterrupt
    store.remove_replaced()
    return record


def _how_to_look(rejected: Path) -> str:
    files = f"{glob.escape(str(rejected))}/**/*.parquet".replace("'", "''")
    return (
        f"the rejected lines are in {rejected}, and DuckDB shows them: SELECT reason,"
        f" source_file, raw FROM read_parquet('{files}', hive_partitioning = true)"
    )


def _opened(settings: RunSettings, run_id: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "version": __version__,
        "status": "failed",
        "started": datetime.now(UTC).isoformat(),
        "settings": shown(settings),
        "jobs": [],
    }


def _in_one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, RunError):
        return " ".join(lines)
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
