"""The contents of the images, and docker-compose.yml."""

import subprocess

import pytest

from jobs import __version__
from tests.containers.conftest import compose, configuration, docker
from tests.support.processes import ROOT
from tests.support.watching import found

TESTS = "**/test_*.py"


@pytest.fixture(scope="module", autouse=True)
def images():
    for image in ("jobs", "tests"):
        subprocess.run([ROOT / "scripts" / "compose", image, "version"], check=True)


@pytest.mark.parametrize("image", ["product-events", "product-events-test"])
def test_an_image_does_not_run_as_root_and_has_no_build_tools(image):
    script = "id -u; for tool in gcc make git; do command -v $tool; done; true"
    run = ("run", "--rm", "--entrypoint", "sh", image, "-c", script)
    assert docker(*run).splitlines() == ["1000"]


@pytest.mark.parametrize("image", ["product-events", "product-events-test"])
def test_an_image_has_a_class_archive_that_its_spark_can_use(image):
    # With this option, Java refuses to start without an archive that fits.
    java = "-Xshare:on -XX:SharedArchiveFile=/app/.venv/spark.jsa"
    submit = ("--driver-java-options", java, "--version")
    docker("run", "--rm", "--entrypoint", "spark-submit", image, *submit)


def test_the_image_of_the_jobs_shows_its_version():
    label = '{{index .Config.Labels "org.opencontainers.image.version"}}'
    shown = docker("image", "inspect", "--format", label, "product-events")
    assert shown.strip() == __version__


def files_of_tests_in(image):
    script = "find . -path ./.venv -prune -o -name 'test_*.py' -print"
    run = ("run", "--rm", "--entrypoint", "sh", image, "-c", script)
    return sorted(docker(*run).splitlines())


def test_the_image_of_the_jobs_has_no_tests_and_that_of_the_tests_has_all():
    here = [path for name in ("jobs", "tests") for path in found(ROOT / name, TESTS)]
    assert files_of_tests_in("product-events") == []
    assert files_of_tests_in("product-events-test") == sorted(
        f"./{path.relative_to(ROOT)}" for path in here
    )


@pytest.mark.parametrize("missing", ["APP_NAME", "INPUT_DATA_PATH", "a job"])
def test_a_missing_argument_or_setting_is_named(missing):
    names = {"APP_NAME", "INPUT_DATA_PATH", "OUTPUT_DATA_PATH_PREFIX"} - {missing}
    settings = [f"--env={name}=/tmp" for name in sorted(names)]
    job = [] if missing == "a job" else ["pipeline"]
    ended = subprocess.run(
        ["docker", "run", "--rm", *settings, "product-events", *job],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert f"{missing.removeprefix('a ')} is missing" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_every_port_is_bound_to_this_machine_only():
    services = configuration()["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert len(ports) == 2


def test_the_input_is_mounted_read_only():
    jobs = [s for s in configuration()["services"].values() if "volumes" in s]
    assert len(jobs) >= 5
    for job in jobs:
        mounts = {mount["target"]: mount for mount in job["volumes"]}
        assert mounts["/input/data-input"]["read_only"]


def test_compose_prints_no_warnings():
    assert compose("--profile", "*", "config", "--quiet") == ""


def test_without_docker_a_task_names_the_task_that_needs_none(run_task):
    code, printed = run_task("events-split", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert code != 0
    first, *_ = printed.strip().splitlines()
    assert "No Docker engine" in first
    assert "`task run`" in first
