"""The pipeline on a Spark master and two workers, each in a container."""

import json
import time
from pathlib import Path

import pytest

from tests.containers.conftest import (
    FAST_JVM,
    NO_USER,
    containers,
    docker,
    given_to_caller,
)
from tests.faults.conftest import (
    RATIO,
    Version,
    run,
    wait_until,
    write_events,
)
from tests.support import published
from tests.support.watching import found


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Version:
    """Events for two workers on a few days, and their tables."""
    folder = tmp_path_factory.mktemp("large")
    write_events(folder / "in", users=10_000, days=4)
    # This line needs exact reading, in Python.
    (folder / "in" / "exact.jsonl").write_text(
        "{'event': 'registered'}\n" + '{"event": "page_view"}\n'
    )
    code, error = run(folder / "in", folder / "out", ENGINE="duckdb", **RATIO)
    assert code == 0, error
    tables = published.everything(folder / "out")
    return Version(folder / "in", folder / "out", tables)


@pytest.fixture(scope="module")
def prefix_on_cluster(tmp_path_factory) -> Path:
    """The one folder that the workers see, since the cluster was started with it."""
    return Path(tmp_path_factory.mktemp("cluster")) / "output"


@pytest.fixture(scope="module")
def run_on_cluster(start_task, run_task, large, prefix_on_cluster):
    """Starts ``task cluster:run``, with Spark's event log in ``_events``."""
    (prefix_on_cluster / "_events").mkdir(parents=True)
    given_to_caller(prefix_on_cluster)
    settings = {
        **NO_USER,
        "INPUT_DATA_PATH": str(large.path),
        "OUTPUT_DATA_PATH_PREFIX": str(prefix_on_cluster),
        "SPARK_PROPERTIES": f"{FAST_JVM}\n"
        "spark.eventLog.enabled=true\n"
        "spark.eventLog.dir=file:///data-output/_events\n"
        "spark.eventLog.rolling.enabled=false\n"
        "spark.eventLog.compress=false",
        **RATIO,
    }
    code, printed = run_task("cluster:up", **settings)
    assert code == 0, printed
    yield lambda **more: start_task("cluster:run", **settings, **more)
    code, printed = run_task("cluster:down", **settings)
    assert code == 0, printed
    assert containers("spark-master") == containers("spark-worker") == []


@pytest.fixture(scope="module", autouse=True)
def run_without_secret(run_on_cluster, start_task, large, tmp_path_factory):
    """Start a run that Spark refuses after a minute, while the other tests run."""
    return start_task(
        "pipeline",
        SPARK_MASTER="spark://spark-master:7077",
        INPUT_DATA_PATH=str(large.path),
        OUTPUT_DATA_PATH_PREFIX=str(given_to_caller(tmp_path_factory.mktemp("no"))),
    )


def hosts(prefix: Path) -> set[str]:
    """The hosts on which tasks of the newest application ended."""
    newest = max((prefix / "_events").iterdir(), key=lambda path: path.stat().st_mtime)
    events = map(json.loads, newest.read_text().splitlines())
    ended = (event for event in events if event["Event"] == "SparkListenerTaskEnd")
    return {event["Task Info"]["Host"] for event in ended}


def seconds(process) -> float:
    started = time.monotonic()
    _, printed = process.communicate()
    assert process.returncode == 0, printed
    return time.monotonic() - started


def test_the_pipeline_spreads_over_both_workers(
    run_on_cluster, prefix_on_cluster, large, tried
):
    taken = seconds(run_on_cluster())
    assert published.everything(prefix_on_cluster) == large.tables
    assert len(hosts(prefix_on_cluster)) == 2
    tried(f"60,000 lines in {taken:.0f} s, tasks on 2 workers, ten tables equal")


def test_a_run_survives_a_killed_worker(
    run_on_cluster, prefix_on_cluster, large, tried
):
    before = published.ledger(prefix_on_cluster)["run_id"]
    process = run_on_cluster(TABLE_FORMAT="delta")
    wait_until(lambda: found(prefix_on_cluster / "_tmp", "*/*/*/_temporary"))
    docker("kill", "--signal", "KILL", containers("spark-worker")[0])
    taken = seconds(process)
    assert len(containers("spark-worker")) == 1
    assert published.ledger(prefix_on_cluster)["run_id"] != before
    assert published.everything(prefix_on_cluster) == large.tables
    assert (prefix_on_cluster / "users" / "format=delta" / "_delta_log").exists()
    tried(f"1 of 2 workers killed while a table was written: {taken:.0f} s to the end")


def test_an_application_without_the_secret_is_refused(run_without_secret):
    stdout, _ = run_without_secret.communicate()
    assert run_without_secret.returncode == 1
    assert "error: Spark does not start: " in stdout
