"""A run that gets a signal to stop is reported as interrupted."""

import os
import signal
from dataclasses import dataclass

import pytest

from jobs import console, runner
from jobs.engine import open_engine
from jobs.publishing.run import Writer
from jobs.runner import Job, JobResult
from tests.support import published


@dataclass(frozen=True)
class NoSettings:
    """The settings of a job without any."""


def raises_its_own_error(run, settings):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt as error:
        raise ConnectionError("interrupted") from error


def swallows(run, settings):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        return JobResult()


@pytest.fixture
def run_job(run, tmp_path):
    """Runs a job that does this; checks that the handlers of signals are restored."""

    def run_one(do):
        handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
        job = Job("stopped", "", NoSettings, do)
        ended = run(job, output_data_path_prefix=tmp_path)
        assert handlers == [
            signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)
        ]
        return ended

    return run_one


@pytest.mark.parametrize("do", [raises_its_own_error, swallows])
def test_an_engine_that_is_interrupted_ends_in_an_interrupted_run(
    run_job, do, tmp_path
):
    ended = run_job(do)
    assert (ended.code, ended.error) == (1, "error: interrupted")
    assert published.ledger(tmp_path)["error"] == "interrupted"


def writes_a_page(run, settings):
    run.stage_file("page.html").write_text("new")
    return JobResult()


def swallows_and_writes(run, settings):
    swallows(run, settings)
    return writes_a_page(run, settings)


def test_a_run_that_got_a_signal_does_not_begin_to_publish(run_job, tmp_path):
    assert run_job(swallows_and_writes).code == 1
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]])
def test_a_run_that_has_begun_to_publish_finishes_in_spite_of_a_signal(
    run_job, tmp_path, monkeypatch, signals
):
    publish = Writer.publish

    def stopped(writer, changes, ledger):
        for number in signals:
            os.kill(os.getpid(), number)
        publish(writer, changes, ledger)

    monkeypatch.setattr(Writer, "publish", stopped)
    assert run_job(writes_a_page).code == 0
    assert (tmp_path / "page.html").read_text() == "new"
    ledger = published.ledger(tmp_path)
    assert ledger["status"] == "done"
    assert [job["job"] for job in ledger["jobs"]] == ["stopped"]
    assert list((tmp_path / "_tmp").iterdir()) == []


@pytest.mark.parametrize("place", [open_engine, Writer.__init__])
def test_a_signal_while_a_run_starts_stops_it_when_it_has_started(
    run_job, tmp_path, monkeypatch, place
):
    """A JVM, or the files of a run, would be left behind if it was cut short."""
    ends = []

    def stopped(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        result = place(*arguments)
        ends.append(place)
        return result

    owner = runner if place is open_engine else Writer
    monkeypatch.setattr(owner, place.__name__, stopped)
    ended = run_job(writes_a_page)
    assert (ended.code, ended.error) == (1, "error: interrupted")
    assert ends == [place]
    assert not (tmp_path / "page.html").exists()
    assert published.ledger(tmp_path)["error"] == "interrupted"
    assert list((tmp_path / "_tmp").iterdir()) == []


def test_a_run_that_has_published_is_done_whenever_a_signal_comes(
    run_job, tmp_path, monkeypatch
):
    def stopped(record):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(console, "show", stopped)
    assert run_job(writes_a_page).code == 0
    assert (tmp_path / "page.html").read_text() == "new"
    assert published.ledger(tmp_path)["status"] == "done"
