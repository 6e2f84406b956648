"""Commands of the project as processes, as a user starts them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.engine import ENGINE

ROOT = Path(__file__).parents[2]


def start(
    *python: str | Path, before: Sequence[str] = (), **settings: str
) -> subprocess.Popen[str]:
    """Start Python on the engine under test, unless a setting names another one.

    Args:
        python: the arguments of Python, such as ``"-m", "jobs"``.
        before: a command that starts Python.
        settings: environment variables, in addition to those that are set.
    """
    of_test = {"ENGINE": ENGINE, "SPARK_MASTER": "local[2]"}
    return subprocess.Popen(
        [*before, sys.executable, *python],
        cwd=ROOT,
        env=dict(os.environ) | of_test | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    *python: str | Path, before: Sequence[str] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """Start Python as :func:`start` does, and wait for its end."""
    process = start(*python, before=before, **settings)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def paths(input_path: Path, prefix: Path) -> dict[str, str]:
    """The settings for the paths of a run's input and tables."""
    return {
        "INPUT_DATA_PATH": str(input_path),
        "OUTPUT_DATA_PATH_PREFIX": str(prefix),
    }


def error_in(stderr: str) -> str:
    """The last line, or an empty text; checks that there is no traceback."""
    assert "Traceback" not in stderr
    return (stderr.strip().splitlines() or [""])[-1]


def make_events(folder: Path, number: int, *flags: str) -> Path:
    """Make this many sample events in a folder; returns the folder."""
    made = run(
        *("scripts/make_events.py", "--events", str(number), "--output", folder), *flags
    )
    assert made.returncode == 0, made.stderr
    return folder
