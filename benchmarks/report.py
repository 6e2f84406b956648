"""The result of a benchmark as tables for a person."""

import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from os import sched_getaffinity, sysconf
from statistics import median

from benchmarks.contenders import CONTENDERS, YARDSTICK

_MEGA = 1_000_000


@dataclass(frozen=True)
class Run:
    """One timed run.

    Attributes:
        contender: the name of the contender.
        events: the number of events that the generator was called with.
        shape: the shape of the input: even, or a name of SHAPES.
        lines: the number of lines in the input.
        round: 1, 2, …
        wall, cpu: seconds; cpu is user and system time of all processes.
        peak_memory: resident bytes of all processes together.
        written: bytes of the Parquet files.
        files: the number of Parquet files.
    """

    contender: str
    events: int
    shape: str
    lines: int
    round: int
    wall: float
    cpu: float
    peak_memory: int
    written: int
    files: int


def machine() -> dict[str, str]:
    """The machine and the versions of software, by name."""
    # A shell, unlike subprocess, raises no error if there is no Java.
    java = subprocess.run(
        ["sh", "-c", "java -version"], capture_output=True, text=True, check=False
    )
    return {
        "cores": str(len(sched_getaffinity(0))),
        "memory": f"{sysconf('SC_PAGE_SIZE') * sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "Python": platform.python_version(),
        **{name: version(name.lower()) for name in ("DuckDB", "Polars", "PySpark")},
        "Java": java.stderr.split('"')[1] if '"' in java.stderr else "none",
    }


def as_markdown(date: str, facts: dict[str, str], runs: Sequence[Run]) -> str:
    """The page of a benchmark: a table for each input, and one of time by size."""
    inputs = list(dict.fromkeys((run.events, run.shape) for run in runs))
    about = ", ".join(f"{name} {value}" for name, value in facts.items())
    parts = [f"# Benchmark of {date}", f"{about}.", _LEGEND]
    parts += [
        _of_input([run for run in runs if (run.events, run.shape) == one])
        for one in inputs
    ]
    if len(inputs) > 1:
        parts.append(_growth(runs, inputs))
    return "\n\n".join(parts) + "\n"


_LEGEND = """\
Wall and CPU seconds, resident memory of all processes at its peak, and Parquet files
written; medians of the rounds. A ratio is to the DuckDB script in the same round: the
median, and the least to the greatest."""


def ratios(runs: Iterable[Run]) -> dict[str, list[float]]:
    """The wall time of each contender over the DuckDB script's, for each round."""
    walls = {(run.round, run.contender): run.wall for run in runs}
    found: dict[str, list[float]] = {}
    for (number, contender), wall in walls.items():
        if yardstick := walls.get((number, YARDSTICK.name)):
            found.setdefault(contender, []).append(wall / yardstick)
    return found


def _of_input(runs: Sequence[Run]) -> str:
    rounds = max(run.round for run in runs)
    of_yardstick = ratios(runs)
    rows = []
    for name, label, own in _by_contender(runs):
        of_rounds = of_yardstick.get(name)
        rows.append(
            (
                label,
                _ratio(of_rounds) if of_rounds else "",
                f"{median(run.wall for run in own):.2f}",
                f"{median(run.cpu for run in own):.2f}",
                f"{median(run.peak_memory for run in own) / _MEGA:,.0f}",
                f"{median(run.written for run in own) / _MEGA:,.1f}",
                f"{median(run.files for run in own):,.0f}",
            )
        )
    header = ("", "ratio", "wall, s", "CPU, s", "memory, MB", "written, MB", "files")
    times = "once" if rounds == 1 else f"{rounds} rounds"
    title = f"## {runs[0].lines:,} lines, {runs[0].shape}, {times}"
    return f"{title}\n\n{table(header, rows)}"


def _growth(runs: Sequence[Run], inputs: Sequence[tuple[int, str]]) -> str:
    """A table of seconds per million lines for each input."""
    rows = []
    for _, label, own in _by_contender(runs):
        of_inputs = [[r for r in own if (r.events, r.shape) == one] for one in inputs]
        per_million = [
            median(run.wall / run.lines * _MEGA for run in of_input) if of_input else 0
            for of_input in of_inputs
        ]
        rows.append((label, *(f"{n:.2f}" if n else "" for n in per_million)))
    header = ("", *(f"{events / _MEGA:g} M, {shape}" for events, shape in inputs))
    return f"## Seconds per million lines\n\n{table(header, rows)}"


def _by_contender(runs: Sequence[Run]) -> Iterable[tuple[str, str, list[Run]]]:
    for contender in CONTENDERS:
        own = [run for run in runs if run.contender == contender.name]
        if own:
            yield contender.name, contender.label, own


def _ratio(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the first column is text, the others are numbers."""
    under = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, under, *rows))
