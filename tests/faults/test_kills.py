"""A run that is killed leaves whole tables, and the next run cleans up."""

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from textwrap import dedent

import pytest

from jobs.settings import DELTA
from tests.faults.conftest import (
    RATIO,
    TABLE_FORMAT,
    assert_whole,
    finish,
    left_over,
    publishes,
    run,
    start,
    sweep,
    verify,
    wait_until,
    write_events,
)
from tests.support import processes, published
from tests.support.engine import ENGINE
from tests.support.watching import found

MOMENTS = 20 if ENGINE == "duckdb" else 12
TESTS = 4
MANY_FILES = 100
LATEST = 0.9  # share of a run; later, the run may have ended

long_on_spark = pytest.mark.long_on_spark


def kill_after(version, prefix, seconds):
    """Kill a run after these seconds; returns its seconds if it ended before."""
    started = time.monotonic()
    process = start(version.path, prefix, **RATIO)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=seconds)
        assert process.returncode == 0
        return time.monotonic() - started
    process.kill()
    process.communicate()
    return None


def assert_all_of(prefix, version):
    assert published.everything(prefix) == version.tables
    assert left_over(prefix) == []
    assert verify(prefix)


# Each test tries moments from the beginning to the end, so that CI needs only one.
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(0, marks=pytest.mark.delta),
        *(pytest.param(n, marks=pytest.mark.long) for n in range(1, TESTS)),
    ],
)
def test_a_run_that_is_killed_at_any_moment_leaves_whole_tables(
    versions, prefix, whole_run, first, tried
):
    moments = range(first, MOMENTS, TESTS)
    for moment in moments:
        version = versions[(moment + 1) % 2]
        share = LATEST * (moment + 0.5) / MOMENTS
        while faster := kill_after(version, prefix, share * whole_run):
            whole_run = faster
        assert_whole(prefix, versions)
        # This run removed the files of the run before, unless it was killed too early.
        assert len(left_over(prefix)) <= 1 or moment < MOMENTS / 4
    # A run on one engine also removes the files of a run on the other engine.
    assert run(versions[1].path, prefix, ENGINE="duckdb", **RATIO)[0] == 0
    assert_all_of(prefix, versions[1])
    at = ", ".join(f"{LATEST * (moment + 0.5) / MOMENTS:.0%}" for moment in moments)
    tried(f"{len(moments)} runs killed at {at}; no table torn")


def was_killed_publishing(version, prefix):
    """Start a run and kill it while it publishes; False if it was too quick."""
    process = start(version.path, prefix, **RATIO)
    while not publishes(prefix) and process.poll() is None:
        pass  # it takes milliseconds
    process.kill()
    process.communicate()
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


@pytest.mark.delta
@long_on_spark
def test_the_next_run_finishes_the_publication_of_a_killed_run(versions, prefix, tried):
    # A run that was too quick has published, so the next attempt has other tables.
    version = next(
        version
        for version in cycle(reversed(versions))
        if was_killed_publishing(version, prefix)
    )
    assert_whole(prefix, versions)
    is_half_way = publishes(prefix)
    sweep(prefix)  # finishes the publication if it is half done
    assert left_over(prefix) == []
    assert published.everything(prefix) == version.tables
    tried("killed while a run published" + (", half-way" if is_half_way else ""))


def writes(prefix):
    return len(found(prefix / "_tmp", "**/*.parquet")) > MANY_FILES


# On Spark test_task.py tries the other one.
@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=long_on_spark), signal.SIGINT]
)
def test_a_run_that_gets_a_signal_cleans_up(versions, prefix, tmp_path, number, tried):
    many_days = tmp_path / "many-days"
    write_events(many_days, users=MANY_FILES * 10, days=MANY_FILES * 10)
    process = start(many_days, prefix, **RATIO)
    wait_until(lambda: writes(prefix))
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == 1
    # The engine prints nothing about its interrupted work, either.
    _, printed = stderr.split("events_split: running …\n")
    assert re.fullmatch(r"ledger: .+\nerror: interrupted\n", printed)
    assert published.ledger(prefix)["error"] == "interrupted"
    assert_all_of(prefix, versions[0])
    tried(f"a run stopped by {number.name} while it wrote")


if ENGINE == "spark":

    def jvm_of(process):
        """The Java process of a run; None before it has started."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for child in children.split():
            # A Java that only prints its version may end while its name is read.
            with suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{child}/comm").read_text().strip() == "java":
                    return int(child)
        return None

    def jvm_after(seconds: float, process):
        """A run's JVM, these seconds after its start; None if it has ended."""
        wait_until(partial(jvm_of, process))
        time.sleep(seconds)
        return jvm_of(process)

    @pytest.mark.parametrize("share", [pytest.param(0.4, marks=long_on_spark), 0.7])
    def test_a_jvm_that_is_killed_is_one_clear_error(
        versions, prefix, whole_run, share, tried
    ):
        code = 0
        while code == 0:
            process = start(versions[1].path, prefix, **RATIO)
            if jvm := jvm_after(share * whole_run, process):
                os.kill(jvm, signal.SIGKILL)
            code, error = finish(process)
            # The run published before the kill, so the next kill comes earlier.
            whole_run *= share if code == 0 else 1
        assert code == 1
        assert "Spark's JVM is gone" in error or "Spark does not start" in error
        assert left_over(prefix) == []
        assert_whole(prefix, versions)
        tried(f"a JVM killed at {share:.0%} of a run: exit 1, one line, the old tables")

    def test_a_jvm_that_is_killed_while_its_session_ends_is_no_error(tmp_path):
        """A run is published by then."""
        program = f"""
            import os, signal
            from pathlib import Path
            from pyspark import SparkContext
            from jobs.engine import open_engine
            from tests.support.engine import run_settings

            def stop_and_die(context, stop=SparkContext.stop):
                stop(context)
                java = SparkContext._gateway.proc
                os.kill(java.pid, signal.SIGKILL)
                java.wait()

            folder = Path({str(tmp_path)!r})
            engine = open_engine(run_settings(folder), folder)
            SparkContext.stop = stop_and_die
            engine.close()
        """
        ended = processes.run("-c", dedent(program), ENGINE_UNDER_TEST="spark")
        assert (ended.returncode, "Error" in ended.stderr) == (0, False), ended.stderr


def test_the_lock_of_a_killed_run_is_free(versions, prefix, tried):
    holder = start(versions[1].path, prefix, **RATIO)
    wait_until(lambda: left_over(prefix) != [])
    started = time.monotonic()
    rival = start(versions[1].path, prefix, **RATIO)
    code, error = finish(rival)
    waited = time.monotonic() - started
    assert code == 5
    assert f"is being written by process {holder.pid} on " in error
    holder.kill()
    holder.communicate()
    sweep(prefix)
    assert left_over(prefix) == []
    tried(f"the rival left after {waited:.1f} s, with exit code 5")


@pytest.mark.delta
@long_on_spark
def test_only_one_of_two_runs_that_start_together_writes(versions, prefix, tried):
    rounds = (4 if TABLE_FORMAT == DELTA else 3) if ENGINE == "duckdb" else 1
    for number in range(rounds):
        version = versions[(number + 1) % 2]
        rivals = [start(version.path, prefix, **RATIO) for _ in range(2)]
        ended = [finish(rival) for rival in rivals]
        assert sorted(code for code, _ in ended) == [0, 5], ended
        assert published.everything(prefix) == version.tables
    tried(f"{rounds} pairs; each time one exit 0 and one exit 5")


@long_on_spark
def test_a_run_with_a_failed_job_publishes_nothing(versions, prefix):
    before = published.ledger(prefix)
    code = (
        "import sys, jobs.conversion_rate.model as m\n"
        "m.weekly_retention = None\n"
        "from jobs.pipeline import JOBS; from jobs.runner import main\n"
        "sys.exit(main(*JOBS, summary=''))"
    )
    if ENGINE == "duckdb":
        code = (
            f"from jobs.engine.duckdb.session import bind_models; bind_models()\n{code}"
        )
    exit_code, _ = run(versions[1].path, prefix, python=("-c", code), **RATIO)
    assert exit_code == 1
    ledger = published.ledger(prefix)
    assert ledger["status"] == "failed"
    assert [job["job"] for job in ledger["jobs"]] == ["events_split", "sessionize"]
    assert {table["run_id"] for table in ledger["tables"].values()} == {
        before["run_id"]
    }
    assert_all_of(prefix, versions[0])
