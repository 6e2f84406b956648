"""Runs of jobs in the process of a test."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from jobs.pipeline import JOBS
from jobs.runner import Job, main
from tests.support.engine import ENGINE

TABLE_JOBS = tuple(job for job in JOBS if job.writes)

# A report takes seconds on Spark, so only one test there makes it.
PIPELINE = JOBS if ENGINE == "duckdb" else TABLE_JOBS


@dataclass(frozen=True)
class Ended:
    """The end of a run.

    Attributes:
        code: its exit code.
        error: its one line of error; empty if the code is 0.
        out: its output on stdout.
    """

    code: int
    error: str
    out: str


def run_jobs(folder: Path, *jobs: Job, **settings: object) -> Ended:
    """Run jobs in this process, as their command does.

    Args:
        folder: the folder of their input, ``in``, and of their tables, ``out``.
        jobs: the jobs; without any, the whole pipeline.
        settings: settings by their names, which replace the defaults of tests.
    """
    given = {
        "engine": ENGINE,
        "input_data_path": folder / "in",
        "output_data_path_prefix": folder / "out",
        "log_level": "WARNING",
        **settings,
    }
    arguments = [f"--{name.replace('_', '-')}={given[name]}" for name in given]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main(*(jobs or PIPELINE), summary="", arguments=arguments)
    errors = [s for s in err.getvalue().splitlines() if s.startswith("error: ")]
    assert len(errors) == (code != 0)
    return Ended(code, "".join(errors), out.getvalue())


@pytest.fixture
def run(tmp_path: Path, spark_for_all_tests: None) -> Callable[..., Ended]:
    """Runs jobs on the files in ``tmp_path / "in"``, as :func:`run_jobs` does."""
    (tmp_path / "in").mkdir()
    return partial(run_jobs, tmp_path)
