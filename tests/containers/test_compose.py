"""The user whom scripts/compose chooses for containers, and the files of that user."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.watching import found

CALLER = "4321:4322"
STAND_INS = {
    "all/docker": 'test "$1" != compose || echo "$USER_ID:$GROUP_ID $CLUSTER_SECRET"',
    "caller/id": "case $1 in -u) echo 4321 ;; -g) echo 4322 ;; esac",
}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def project(tmp_path):
    """A project with scripts/compose, and stand-ins for other commands."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "data-input").mkdir()
    shutil.copy(ROOT / "scripts" / "compose", tmp_path / "scripts")
    (tmp_path / "jobs").mkdir()
    shutil.copy(ROOT / "jobs" / "__init__.py", tmp_path / "jobs")
    for name, script in STAND_INS.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return tmp_path


def call(project: Path, *stand_ins: str, **settings: str):
    """Call scripts/compose, as the user of the tests unless ``"caller"`` is given."""
    path = [*(str(project / name) for name in ("all", *stand_ins)), os.environ["PATH"]]
    return subprocess.run(
        [project / "scripts" / "compose", "jobs", "version"],
        cwd=project,
        env={"PATH": os.pathsep.join(path), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def given(project: Path, *stand_ins: str, **settings: str) -> tuple[str, Path]:
    """The user and group of containers, and the path of their secret."""
    ended = call(project, *stand_ins, **settings)
    assert (ended.returncode, ended.stderr) == (0, "")
    user, secret = ended.stdout.split()
    return user, project / secret


def owner(path: Path) -> str:
    status = path.lstat()
    return f"{status.st_uid}:{status.st_gid}"


def give(path: Path, user: str) -> None:
    os.chown(path, *map(int, user.split(":")))


@pytest.mark.parametrize(
    ("settings", "user"),
    [
        ({}, CALLER),
        ({"USER_ID": "7", "GROUP_ID": "8"}, "7:8"),
        ({"USER_ID": "7"}, "7:4322"),
        ({"USER_ID": "0", "GROUP_ID": "0"}, CALLER),
        ({"USER_ID": "00"}, CALLER),
    ],
)
def test_a_caller_other_than_root_runs_containers_as_himself(project, settings, user):
    given_user, secret = given(project, "caller", **settings)
    assert given_user == user
    assert secret == project / ".cluster" / "spark.conf"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["USER_ID", "GROUP_ID"])
@pytest.mark.parametrize("value", ["root", "-1", "1000:0", " 0"])
def test_a_user_is_a_number(project, name, value):
    ended = call(project, **{name: value})
    assert ended.returncode == 2
    assert ended.stderr == f"error: {name}={value}: it takes a number\n"


@as_root
@pytest.mark.parametrize(
    ("folder", "settings", "user"),
    [
        ("4321:4322", {}, "4321:4322"),
        ("4321:0", {}, "4321:4321"),
        ("0:0", {}, "1000:1000"),
        ("0:50", {}, "1000:50"),
        ("0:0", {"USER_ID": "0", "GROUP_ID": "0"}, "1000:1000"),
        ("0:0", {"USER_ID": "7"}, "7:7"),
        ("0:0", {"USER_ID": "7", "GROUP_ID": "8"}, "7:8"),
        ("4321:4322", {"USER_ID": "7"}, "7:4322"),
        ("4321:4322", {"GROUP_ID": "8"}, "4321:8"),
    ],
)
def test_root_runs_containers_as_the_folders_owner(project, folder, settings, user):
    output = project / "data-output"
    output.mkdir()
    give(output, folder)
    assert given(project, **settings)[0] == user
    assert owner(output) == (user if folder.startswith("0:") else folder)


@as_root
@pytest.mark.parametrize("of_folder", ["0:0", CALLER])
def test_files_of_runs_as_root_get_the_user_of_the_containers(project, of_folder):
    user = "1000:1000" if of_folder == "0:0" else of_folder
    output, elsewhere = project / "tables", project / "elsewhere"
    (output / "users" / "format=parquet").mkdir(parents=True)
    elsewhere.touch()
    (output / "_lock").touch()
    (output / "users" / "link").symlink_to(elsewhere)
    (output / "through-a-link").symlink_to(project / "data-input")
    theirs = output / "theirs"
    theirs.touch()
    give(theirs, "7:8")
    give(output, of_folder)
    (project / "output").symlink_to(output)
    assert given(project, OUTPUT_DATA_PATH_PREFIX="output")[0] == user
    owners = {path: owner(path) for path in (output, *found(output, "**"))}
    assert owners.pop(theirs) == "7:8"
    assert len(owners) == 6
    assert set(owners.values()) == {user}
    assert owner(elsewhere) == owner(project / "data-input") == "0:0"


@as_root
def test_a_folder_of_root_with_other_files_keeps_its_owner(project):
    (project / "data-output" / "etc").mkdir(parents=True)
    ended = call(project)
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        f"error: OUTPUT_DATA_PATH_PREFIX={project}/data-output: "
    )
    assert len(ended.stderr.splitlines()) == 1
    # If the caller names a user, this user is taken to have the permissions.
    assert given(project, USER_ID="7")[0] == "7:7"
    folder = project / "data-output"
    assert {owner(path) for path in (folder, *folder.iterdir())} == {"0:0"}


@as_root
def test_the_container_can_read_the_secret_after_calls_of_other_users(project):
    given(project, "caller")
    secrets = {}
    for user in ("1000", "7", "1000"):
        _, secret = given(project, USER_ID=user)
        assert str(secret.stat().st_uid) == user
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        secrets[secret] = secret.read_text()
    assert len(secrets) == 2
    assert len(set(secrets.values())) == 1
    # If this user then calls, the call uses the copy that the user can read.
    (project / "caller" / "id").write_text("#!/bin/sh\necho 1000\n")
    user, secret = given(project, "caller")
    assert (user, str(secret.stat().st_uid)) == ("1000:1000", "1000")
