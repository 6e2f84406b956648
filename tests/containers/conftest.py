"""Tasks in containers, on a real Docker engine, as a user runs them.

The tests use their own Compose project, and remove it at the end.
"""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import (  # noqa: F401  (fixtures)
    prefix,
    show_tried,
    tried,
    versions,
)
from tests.support.processes import ROOT
from tests.support.watching import found

PROJECT = f"product-events-{os.getpid()}"
# Java's second compiler does not pay for a run of seconds.
FAST_JVM = "\n".join(
    f"spark.{who}.extraJavaOptions=-XX:TieredStopAtLevel=1"
    for who in ("driver", "executor")
)
# A user that no image knows. Only root can change the owner of folders.
CALLER = 4321 if os.geteuid() == 0 else os.geteuid()
# With these settings, scripts/compose chooses the user.
NO_USER = {"USER_ID": "", "GROUP_ID": ""}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

Task = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="session")
def start_task(project_of_the_tests: None) -> Task:
    """Starts ``task NAME`` with settings from the environment."""
    ports = {"JUPYTER_PORT": free_port(), "MASTER_PORT": free_port()}

    def start(*arguments: str, **settings: str) -> subprocess.Popen[str]:
        environment = dict(os.environ) | {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "USER_ID": str(CALLER),
            "GROUP_ID": str(CALLER),
            "SPARK_PROPERTIES": FAST_JVM,
            **ports,
            **settings,
        }
        return subprocess.Popen(
            [ROOT / ".venv" / "bin" / "task", "--exit-code", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture(scope="session")
def run_task(start_task: Task) -> Callable[..., tuple[int, str]]:
    """Runs ``task NAME``; returns its exit code and its output."""

    def run(*arguments: str, **settings: str) -> tuple[int, str]:
        process = start_task(*arguments, **settings)
        stdout, stderr = process.communicate()
        return process.returncode, stdout + stderr

    return run


@pytest.fixture(scope="session")
def project_of_the_tests() -> Iterator[None]:
    yield
    compose("--profile", "*", "down", "--timeout", "1", "--remove-orphans")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder of the caller, for tables."""
    return given_to_caller(tmp_path / "output")


def given_to_caller(folder: Path) -> Path:
    """Make the caller the owner of a folder and of all in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, *found(folder, "**")):
        os.chown(path, CALLER, CALLER)
    return folder


def compose(*arguments: str) -> str:
    return docker("compose", "--project-name", PROJECT, *arguments)


def docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def containers(service: str) -> list[str]:
    """The running containers of a service, also those of ``docker compose run``."""
    labels = (f"project={PROJECT}", f"service={service}")
    filters = [f"--filter=label=com.docker.compose.{label}" for label in labels]
    return docker("ps", "--quiet", *filters).split()


def configuration() -> dict[str, Any]:
    """The configuration that Compose reads, with every profile."""
    printed = compose("--profile", "*", "config", "--format", "json")
    return dict(json.loads(printed))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    show_tried(terminalreporter, "what was tried in containers")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
