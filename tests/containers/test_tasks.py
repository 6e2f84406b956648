"""The tasks in containers give the same results as the embedded engine."""

import json
import os
import signal
import urllib.error
import urllib.request

import pytest

from tests.containers.conftest import (
    CALLER,
    NO_USER,
    as_root,
    containers,
    docker,
    given_to_caller,
)
from tests.faults.conftest import (
    RATIO,
    assert_whole,
    run,
    wait_until,
)
from tests.support import published
from tests.support.watching import found


def test_the_jobs_write_the_tables_of_the_embedded_engine(
    run_task, output, versions, tried
):
    for job in ("events-split", "sessionize", "conversion-rate", "report"):
        code, printed = run_task(
            job,
            INPUT_DATA_PATH=str(versions[1].path),
            OUTPUT_DATA_PATH_PREFIX=str(output),
            **RATIO,
        )
        assert code == 0, printed
    assert published.ledger(output)["settings"]["engine"] == "spark"
    assert published.everything(output) == versions[1].tables
    page = (output / "report" / "index.html").read_text()
    assert page == (versions[1].output / "report" / "index.html").read_text()
    assert {path.stat().st_uid for path in found(output, "**")} == {CALLER}
    tried("four jobs: ten tables equal, every file the caller's")


def test_the_embedded_engine_runs_in_a_container_too(run_task, output, versions, tried):
    code, printed = run_task(
        "pipeline",
        ENGINE="duckdb",
        INPUT_DATA_PATH=str(versions[1].path),
        OUTPUT_DATA_PATH_PREFIX=str(output),
        **RATIO,
    )
    assert code == 0, printed
    assert published.ledger(output)["settings"]["engine"] == "duckdb"
    assert published.everything(output) == versions[1].tables


@as_root
@pytest.mark.parametrize("user", ["", "0"])
def test_containers_of_root_run_as_another_user_on_files_of_root(
    run_task, prefix, versions, user, tried
):
    settings = {
        **{"ENGINE": "duckdb", "USER_ID": user, "GROUP_ID": user},
        **{"OUTPUT_DATA_PATH_PREFIX": str(prefix), **RATIO},
    }
    for version in (versions[1], versions[0]):
        path = str(version.path)
        code, printed = run_task("pipeline", INPUT_DATA_PATH=path, **settings)
        assert code == 0, printed
        assert published.everything(prefix) == version.tables
        owners = {path.stat().st_uid for path in (prefix, *found(prefix, "**"))}
        assert owners == {1000}
        # Outside of a container root runs as root.
        code, printed = run(version.path, prefix, ENGINE="duckdb", **RATIO)
        assert code == 0, printed
        assert (prefix / "warehouse.duckdb").stat().st_uid == 0
    tried(f"USER_ID={user}: 2 runs of root, as user 1000, after runs as root")


def test_an_exit_code_passes_through_spark_and_docker(run_task, output):
    code, printed = run_task(
        "pipeline", CONVERSION_MODE="never", OUTPUT_DATA_PATH_PREFIX=str(output)
    )
    assert code == 2
    assert "error: CONVERSION_MODE=never: it takes first or any" in printed


def test_an_input_may_be_a_glob_or_a_file_beside_its_users(run_task, output, versions):
    [events] = found(versions[1].path, "*.jsonl")
    for path in (events, events.with_name("e*.jsonl")):
        code, printed = run_task(
            "pipeline",
            ENGINE="duckdb",
            INPUT_DATA_PATH=str(path),
            OUTPUT_DATA_PATH_PREFIX=str(output),
            **RATIO,
        )
        assert code == 0, printed
        tables = published.everything(output)
        assert tables["playback_events"] == versions[1].tables["playback_events"]


def test_an_input_that_is_nowhere_is_refused(run_task, output):
    code, printed = run_task(
        "pipeline",
        INPUT_DATA_PATH="data-input/nowhere",
        OUTPUT_DATA_PATH_PREFIX=str(output),
    )
    assert code == 3
    assert "data-input/nowhere: no such file or directory" in printed


def test_docker_stop_leaves_the_old_tables(start_task, prefix, versions, tried):
    given_to_caller(prefix)
    process = start_task(
        "pipeline",
        INPUT_DATA_PATH=str(versions[1].path),
        OUTPUT_DATA_PATH_PREFIX=str(prefix),
        **RATIO,
    )
    wait_until(lambda: found(prefix / "_tmp", "*/playback_events"))
    docker("stop", *containers("pipeline"))
    printed, _ = process.communicate()  # Spark joins its program's stderr to stdout
    assert process.returncode == 1
    assert "error: interrupted" in printed
    assert "Exception" not in printed
    assert_whole(prefix, versions)
    assert not any((prefix / "_tmp").iterdir())
    tried("a run stopped by docker stop: exit 1, the old tables, nothing left over")


@pytest.mark.parametrize("user", [{}, pytest.param(NO_USER, marks=as_root)])
def test_jupyter_answers_only_with_the_token_of_its_link(
    start_task, prefix, user, tried
):
    process = start_task("jupyter", OUTPUT_DATA_PATH_PREFIX=str(prefix), **user)
    try:
        link = process.stdout.readline().split()[0]
        address, _, token = link.partition("/lab?token=")
        assert address.startswith("http://127.0.0.1:")
        wait_until(lambda: answers(f"{address}/api"))
        assert answers(f"{address}/api/contents") == 403
        assert answers(f"{address}/api/contents?token={token}") == 200
        with urllib.request.urlopen(f"{address}/api/contents?token={token}") as answer:
            names = {entry["name"] for entry in json.load(answer)["content"]}
        assert "exploration.ipynb" in names
        inside = ("exec", *containers("jupyter"))
        uid = docker(*inside, "id", "-u")
        assert uid == str(1000 if user else CALLER)
        as_jupyter = (*inside, "/app/scripts/with-user-name", "jupyter")
        docker(*as_jupyter, "execute", "jupyter-notebook/exploration.ipynb")
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        process.communicate(timeout=60)
    wait_until(lambda: not containers("jupyter"))
    tried(f"as user {uid}: 403 without the token, 200 with it, a notebook executed")


def answers(address: str) -> int:
    """The status of a server's answer; 0 if there is no server."""
    try:
        with urllib.request.urlopen(address) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0
