"""``python -m benchmarks.profile_run``: where a run on the embedded engine takes time.

It runs the whole pipeline with its report in a process of its own. The seconds of a
call do not include timed calls within it. This program wraps the methods of the engine,
so that jobs/ has no code for it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import wraps
from io import StringIO
from typing import Any

_ENGINE = (
    *("read_lines", "read_csv", "read", "write", "cache", "collect", "query"),
    "close",
)
_WRITER = ("__init__", "publish", "close")
WRITING_SQL = "SQLFrame writes SQL"


@dataclass(frozen=True)
class Call:
    """A timed call: its job, its name, its table and its seconds."""

    job: str
    name: str
    table: str
    seconds: float


class Stopwatch:
    """Times calls, each without the timed calls within it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.job = "start"
        self._within: list[float] = []

    @contextmanager
    def timing(self, name: str, table: str = "") -> Iterator[None]:
        started = time.monotonic()
        self._within.append(0.0)
        try:
            yield
        finally:
            seconds = time.monotonic() - started
            own = seconds - self._within.pop()
            if self._within:
                self._within[-1] += seconds
            self.calls.append(Call(self.job, name, table, own))

    def wrap(self, owner: Any, name: str, shown: str = "") -> None:
        """Time a function of a module, or a method of a class."""
        from jobs.tables import Table

        original: Callable[..., Any] = getattr(owner, name)

        @wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            tables = [value.name for value in args if isinstance(value, Table)]
            table = tables[0] if tables else ""
            with self.timing(shown or name, table):
                return original(*args, **kwargs)

        setattr(owner, name, timed)

    def of_job(self, job: Any) -> Any:
        """The same job; calls that are timed from its start on belong to it."""

        def run(*args: Any) -> Any:
            self.job = job.name
            with self.timing("its own: imports, query building"):
                return job.run(*args)

        return replace(job, run=run)


def profiled(source: str, started: float) -> list[Call]:
    """Run the pipeline; returns its calls in the order in which they ended.

    Args:
        started: the ``time.monotonic()`` at which the process started.
    """
    from jobs import runner
    from jobs.pipeline import JOBS, SUMMARY
    from jobs.publishing.run import Writer

    watch = Stopwatch()
    imported = time.monotonic() - started
    watch.calls.append(Call("start", "Python and its first imports", "", imported))
    with watch.timing("imports of the embedded engine"):
        from jobs.engine.duckdb import engine
    with watch.timing("imports of the console"):
        from jobs import console
    for name in _ENGINE:
        watch.wrap(engine.DuckDBEngine, name)
    for name in _WRITER:
        watch.wrap(Writer, name, f"writer: {name.strip('_')}")
    watch.wrap(engine, "sql_of", WRITING_SQL)
    watch.wrap(runner, "open_engine")
    watch.wrap(runner, "check_staged")
    watch.wrap(console, "show")
    with (
        tempfile.TemporaryDirectory() as output,
        redirect_stdout(StringIO()),
        watch.timing("the runner's own"),
    ):
        settings = {
            "engine": "duckdb",
            "log-level": "WARNING",
            "input-data-path": source,
            "output-data-path-prefix": output,
        }
        code = runner.main(
            *map(watch.of_job, JOBS),
            summary=SUMMARY,
            arguments=[f"--{name}={value}" for name, value in settings.items()],
        )
    if code:
        sys.exit(code)
    return watch.calls


def as_markdown(calls: list[Call]) -> str:
    """Seconds of each job, then of each call, the longest first."""
    from benchmarks.report import table

    total = sum(call.seconds for call in calls)

    def rows(*by: str) -> list[tuple[str, ...]]:
        sums: dict[tuple[str, ...], float] = {}
        for call in calls:
            key = tuple(getattr(call, name) for name in by)
            sums[key] = sums.get(key, 0.0) + call.seconds
        longest_first = sorted(sums.items(), key=lambda item: -item[1])
        return [
            (" · ".join(filter(None, key)), f"{n:.3f}", f"{n / total:.1%}")
            for key, n in longest_first
        ]

    numbers = ("seconds", "share")
    parts = (
        f"Whole run: {total:.2f} s",
        table(("job", *numbers), rows("job")),
        table(("call", *numbers), rows("job", "name", "table")),
    )
    return "\n\n".join(parts)


def main() -> int:
    """Make the events, and profile a run in a process of its own."""
    parser = argparse.ArgumentParser(prog="scripts/task bench:profile --")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--source", help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.source:
        print(as_markdown(profiled(chosen.source, chosen.started)))
        return 0
    from benchmarks.inputs import ROOT, made_events

    source = str(made_events(chosen.events))
    options = ["--source", source, "--started", str(time.monotonic())]
    command = [sys.executable, "-m", "benchmarks.profile_run", *options]
    return subprocess.call(command, cwd=ROOT, env=os.environ)


if __name__ == "__main__":
    sys.exit(main())
