"""The contenders of a benchmark, and the command of each."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contender:
    """One command.

    Attributes:
        name: its name in ``--only``.
        label: its name in the result.
        command: gives the command for a directory of events and a new one to write to.
        gives_tables: whether it writes all tables, so that they can be compared.
    """

    name: str
    label: str
    command: Callable[[Path, Path], list[str]]
    gives_tables: bool = True


def _ours(engine: str, *program: str) -> Callable[[Path, Path], list[str]]:
    return lambda source, output: [
        *program,
        f"--engine={engine}",
        f"--input-data-path={source}",
        f"--output-data-path-prefix={output}",
    ]


def _peer(module: str) -> Callable[[Path, Path], list[str]]:
    program = (sys.executable, "-m", f"benchmarks.peers.{module}")
    return lambda source, output: [*program, str(source), str(output)]


_TABLE_JOBS = (sys.executable, "-m", "benchmarks.table_jobs")

OURS = Contender("embedded", "**embedded**", _ours("duckdb", *_TABLE_JOBS))
YARDSTICK = Contender("duckdb", "DuckDB script", _peer("duckdb_sql"))
CONTENDERS = (
    OURS,
    Contender(
        "embedded-report",
        "embedded, `scripts/task run` with the report",
        _ours("duckdb", "scripts/task", "run", "--"),
    ),
    Contender(
        "embedded-2gb",
        "embedded, `MEMORY_LIMIT=2GB`",
        _ours("duckdb", *_TABLE_JOBS, "--memory-limit=2GB"),
    ),
    YARDSTICK,
    Contender("polars", "Polars script", _peer("polars_script")),
    Contender("floor", "floor: parse and write once", _peer("floor"), False),
    Contender("spark", "**Spark**", _ours("spark", *_TABLE_JOBS)),
    Contender("spark-ordinary", "ordinary Spark job", _peer("spark_ordinary")),
)
