"""A run that is asked to stop says so, whatever its engine makes of it."""

import os
import signal
from dataclasses import dataclass

import pytest

from jobs.runner import Job, Report, main
from jobs.unit_tests import published
from jobs.unit_tests.conftest import ENGINE


@dataclass(frozen=True)
class NoSettings:
    """Of a job without any."""


def fails_of_its_own(engine, settings):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt as error:
        raise ConnectionError("cut short") from error


def swallows(engine, settings):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        return Report()


@pytest.mark.parametrize("run", [fails_of_its_own, swallows])
def test_an_engine_that_is_cut_short_ends_in_an_interrupted_run(run, tmp_path, capsys):
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    flags = {"engine": ENGINE, "output-data-path-prefix": tmp_path}
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    job = Job("stopped", "", NoSettings, run)
    assert main(job, summary="", arguments=arguments) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: interrupted"
    assert published.ledger(tmp_path)["error"] == "interrupted"
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
