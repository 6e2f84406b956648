"""``python -m benchmarks``: the pipeline and its peers, in turns, on the same events.

Each contender runs once in every round, so that noise affects all of them equally. In
the first round, its tables are compared with those of the embedded engine. If a table
differs, the benchmark ends without a result. Inputs and outputs are in a cache outside
of the project. The inputs stay there.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contenders import CONTENDERS, OURS, Contender
from benchmarks.inputs import CACHE, EVEN, ROOT, SHAPES, count_lines, made_events
from benchmarks.process import CommandError, Usage, measure
from benchmarks.report import Run, as_markdown, machine


class DifferentError(Exception):
    """A contender's tables are not the embedded engine's."""


class Benchmark:
    """Runs contenders on one input."""

    def __init__(self, source: Path, scratch: Path) -> None:
        self._source = source
        self._output = scratch / "output"
        self._reference = scratch / "reference"
        self._log = scratch / "log.txt"
        # Python puts compiled modules into the cache, whatever the environment says. So
        # each run is like a user's second run, and leaves no file in the checkout.
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if name != "PYTHONDONTWRITEBYTECODE"
        } | {"PYTHONPYCACHEPREFIX": str(scratch / "pycache")}

    def make_reference(self) -> None:
        """Run the embedded engine once, untimed, to compare the contenders with."""
        self._run(OURS)
        shutil.rmtree(self._reference, ignore_errors=True)
        self._output.rename(self._reference)

    def timed(self, contender: Contender, is_checked: bool) -> tuple[Usage, int, int]:
        """The usage of a run, and the bytes and number of Parquet files that it wrote.

        Raises:
            CommandError: the contender failed.
            DifferentError: its tables were compared, and differ from the reference.
        """
        usage = self._run(contender)
        sizes = [path.stat().st_size for path in self._output.rglob("*.parquet")]
        if is_checked and contender.gives_tables:
            self._compare(contender)
        shutil.rmtree(self._output)
        return usage, sum(sizes), len(sizes)

    def _run(self, contender: Contender) -> Usage:
        shutil.rmtree(self._output, ignore_errors=True)
        os.sync()  # so that this run does not wait for writes of the run before
        command = contender.command(self._source, self._output)
        return measure(command, self._environment, self._log)

    def _compare(self, contender: Contender) -> None:
        # This process has to give its memory back, so the comparison has its own.
        prefixes = [str(self._reference), str(self._output)]
        compared = subprocess.run(
            [sys.executable, "-m", "benchmarks.agree", *prefixes],
            stdout=subprocess.PIPE,
            text=True,
        )
        if compared.returncode:
            raise DifferentError(f"{contender.name} differs:\n{compared.stdout}")


def run(
    inputs: Sequence[tuple[int, str]], contenders: Sequence[Contender], rounds: int
) -> list[Run]:
    """Every timed run on inputs with these numbers of events and shapes.

    Raises:
        CommandError: a contender failed.
        DifferentError: a contender's tables differ.
    """
    runs = []
    for events, shape in inputs:
        source = made_events(events, shape)
        lines = count_lines(source)
        print_progress(f"{lines:,} lines, {shape}")
        benchmark = Benchmark(source, CACHE)
        benchmark.make_reference()
        for number in range(1, rounds + 1):
            for contender in contenders:
                usage, written, files = benchmark.timed(contender, number == 1)
                print_progress(
                    f"  round {number}, {contender.name}: {usage.wall:.2f} s,"
                    f" {usage.peak_memory / 1e6:,.0f} MB"
                )
                runs.append(
                    Run(
                        contender.name,
                        *(events, shape, lines, number),
                        *(usage.wall, usage.cpu, usage.peak_memory),
                        *(written, files),
                    )
                )
    return runs


def print_progress(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def write(folder: Path, runs: Sequence[Run]) -> Path:
    """Write the result as Markdown and JSON, named by its date and inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    sizes = dict.fromkeys(f"{run.events / 1e6:g}M" for run in runs)
    shapes = dict.fromkeys(run.shape for run in runs if run.shape != EVEN)
    ran = dict.fromkeys(run.contender for run in runs)
    some = ran if len(ran) < len(CONTENDERS) else ()
    page = folder / f"{'-'.join((date, *sizes, *shapes, *some))}.md"
    facts = machine()
    result = {"date": date, "machine": facts, "runs": [asdict(run) for run in runs]}
    page.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    page.write_text(as_markdown(date, facts, runs))
    return page


def main() -> int:
    """Read the arguments, run, and print the page."""
    by_name = {contender.name: contender for contender in CONTENDERS}
    parser = argparse.ArgumentParser(
        prog="scripts/task bench --",
        description=str(__doc__).partition(": ")[2].partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--events", default="1000000,6000000,25000000", help="sizes, 100001 and more")
    add("--shapes", default=EVEN, help=f"of each size: {', '.join((EVEN, *SHAPES))}")
    add("--rounds", type=int, default=5, help="timed runs of each")
    add("--only", default=",".join(by_name), help="which of these")
    add("--results", type=Path, default=ROOT / "benchmarks/results", help="directory")
    chosen = parser.parse_args()
    sizes = sorted(int(size) for size in chosen.events.split(","))
    shapes = chosen.shapes.split(",")
    names = chosen.only.split(",")
    # Up to 100,000 events, the generator uses encodings that the peers do not read.
    unknown = set(names) - set(by_name) or set(shapes) - {EVEN, *SHAPES}
    if min(sizes) <= 100_000 or chosen.rounds < 1 or unknown:
        parser.error("a value is not allowed: see --help")
    inputs = [(size, shape) for size in sizes for shape in shapes]
    os.chdir(ROOT)
    try:
        # The order is that of CONTENDERS, whatever the order of --only.
        contenders = [c for c in CONTENDERS if c.name in names]
        page = write(chosen.results, run(inputs, contenders, chosen.rounds))
    except (CommandError, DifferentError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(page.read_text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
