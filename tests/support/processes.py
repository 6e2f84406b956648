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
    """Start Python on the engine under test, unless a setting names another.

    Args:
        python: its arguments, such as ``"-m", "jobs"``.
        before: a command that starts it in turn.
        settings: environment variables, on top of those that are there.
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
    """What became of a process that :func:`start` starts."""
    process = start(*python, before=before, **settings)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
