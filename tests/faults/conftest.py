"""Attacks on real runs: processes, inputs, and the tables that have to remain.

ENGINE_UNDER_TEST chooses the engine, and TABLE_FORMAT_UNDER_TEST the format of the
tables. The summary of pytest shows what each test tried.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import DELTA, PARQUET
from jobs.tables import TABLES
from tests.support import processes, published
from tests.support.engine import ENGINE
from tests.support.watching import found

TABLE_FORMAT = os.environ.get("TABLE_FORMAT_UNDER_TEST", PARQUET)

# DuckDB reads and judges lines for both engines, whatever the format of the tables.
IS_FIRST = (ENGINE, TABLE_FORMAT) == ("duckdb", PARQUET)
collect_ignore = [] if IS_FIRST else ["test_fuzz.py", "test_lines.py"]

OF_TESTS = {
    "TABLE_FORMAT": TABLE_FORMAT,
    # A run on little data takes a fifth less time if Spark does not compile its plans.
    "SPARK_PROPERTIES": "spark.sql.codegen.wholeStage=false\n"
    "spark.sql.codegen.factoryMode=NO_CODEGEN",
}

Tables = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Version:
    """An input, and the tables that a run makes from it."""

    path: Path
    output: Path
    tables: Tables


def start(
    input_path: Path,
    prefix: Path,
    *,
    python: Sequence[str] = ("-m", "jobs"),
    **settings: str,
) -> subprocess.Popen[str]:
    """Start a run as a user does, of the whole pipeline if ``python`` is not given."""
    paths = processes.paths(input_path, prefix)
    return processes.start(*python, **(paths | OF_TESTS | settings))


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """A run's exit code and its last line on stderr; checks for tracebacks."""
    _, stderr = process.communicate()
    return process.returncode, processes.error_in(stderr)


def run(
    input_path: Path,
    prefix: Path,
    *,
    python: Sequence[str] = ("-m", "jobs"),
    **settings: str,
) -> tuple[int, str]:
    return finish(start(input_path, prefix, python=python, **settings))


def verify(prefix: Path) -> str:
    """The output of ``verify``, which has to pass; it runs on the embedded engine."""
    process = start(
        prefix, prefix, python=("-m", "jobs.verify"), ENGINE="duckdb", COLUMNS="999"
    )
    printed, error = process.communicate()
    assert process.returncode == 0, error
    return printed


def sweep(prefix: Path) -> None:
    """Start a run that writes no table, and finishes a half-done publication."""
    code, error = run(prefix, prefix, python=("-m", "jobs.report"), ENGINE="duckdb")
    assert code == 0, error


def assert_whole(prefix: Path, versions: list[Version]) -> None:
    """Every table is that of one of the versions, and none is missing."""
    for table in TABLES:
        rows = published.rows(prefix, table)
        assert any(rows == version.tables[table.name] for version in versions), table


def write_events(folder: Path, users: int, days: int) -> None:
    """Write events of these users; each user has the day after the user before."""
    folder.mkdir(parents=True)
    first = datetime(2021, 1, 1, tzinfo=UTC)
    with (folder / "events.jsonl").open("w") as file:
        for user in range(users):
            at = (first + timedelta(days=user % days)).isoformat()
            lines: list[dict[str, object]] = [
                {"event": "registered", "timestamp": at, "initiator_id": user},
                {"event": "app_loaded", "timestamp": at, "initiator_id": user},
                {"event": "app_loaded", "timestamp": "never", "initiator_id": user},
            ]
            lines += [
                {
                    "event_name": name,
                    "timestamp": at,
                    "user_id": f"u{user}",
                    "value": 5,
                    "ip": "192.0.2.77",
                }
                for name in ("session_start", "watch_time", "like")
            ]
            file.writelines(json.dumps(line) + "\n" for line in lines)
    (folder / "users.csv").write_text("user_id,gender\nu1,f\n")
    (folder / "videos.csv").write_text("video_id,title\nv1,A\n")


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Version]:
    """Two inputs whose tables differ, except users and videos."""
    folder = tmp_path_factory.mktemp("versions")
    made = []
    for name, users, days in (("old", 40, 3), ("new", 60, 5)):
        path, output = folder / name, folder / f"{name}-out"
        write_events(path, users, days)
        # The engines agree on every row, and this one takes only a second.
        code, error = run(path, output, ENGINE="duckdb", **RATIO)
        assert code == 0, error
        made.append(Version(path, output, published.everything(output)))
    return made


@pytest.fixture(scope="session")
def whole_run(
    versions: list[Version], tmp_path_factory: pytest.TempPathFactory
) -> float:
    """The seconds that a run takes on the engine under test."""
    prefix = tmp_path_factory.mktemp("whole") / "out"
    started = time.monotonic()
    code, error = run(versions[1].path, prefix, **RATIO)
    assert code == 0, error
    assert published.everything(prefix) == versions[1].tables
    return time.monotonic() - started


RATIO = {"MAX_REJECTED_RATIO": "0.5"}


@pytest.fixture
def prefix(tmp_path: Path, versions: list[Version]) -> Path:
    """A prefix with the tables of the first version."""
    return Path(shutil.copytree(versions[0].output, tmp_path / "out"))


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Adds a text to the summary: what a test tried, and the result."""
    return partial(record_property, "tried")


def left_over(prefix: Path) -> list[str]:
    return [path.name for path in found(prefix / "_tmp", "*")]


def publishes(prefix: Path) -> bool:
    return found(prefix / "_tmp", "*/publishing") != []


def wait_until(happened: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CI repeats a test of each kind with Delta tables."""
    if TABLE_FORMAT == DELTA:
        for item in items:
            if item.get_closest_marker("delta") is None:
                item.add_marker("long")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-seconds", type=int, default=15)
    parser.addoption("--fuzz-lines", type=int, default=0, help="at least so many lines")
    parser.addoption("--fuzz-seed", type=int, default=0, help="0: a new seed each time")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    show_tried(terminalreporter, f"what was tried on {ENGINE}, {TABLE_FORMAT}")


def show_tried(terminalreporter: Any, title: str) -> None:
    passed = sorted(terminalreporter.stats.get("passed", []), key=attrgetter("nodeid"))
    tried = [(r.nodeid, what) for r in passed for _, what in r.user_properties]
    if tried:
        terminalreporter.section(title)
    for nodeid, what in tried:
        terminalreporter.write_line(f"{nodeid.split('::')[-1]}: {what}")
