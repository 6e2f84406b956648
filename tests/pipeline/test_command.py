"""The commands as a user runs them: their output and exit codes."""

import os
import shutil
import subprocess
from contextlib import closing

import pytest

from jobs import __version__
from jobs.pipeline import JOBS
from jobs.publishing.lock import Lock
from jobs.tables import REJECTED_EVENTS, TABLES
from tests.support import published
from tests.support.engine import ENGINE
from tests.support.processes import ROOT, error_in, paths, run

pytestmark = pytest.mark.slow

LINE = (
    b'{"event": "registered", "timestamp": "2021-01-01 00:00:00", "initiator_id": 1}\n'
)


@pytest.fixture
def command(tmp_path):
    """Runs ``python -m jobs…`` with settings in the environment."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "e.jsonl").write_bytes(LINE)

    def run_command(*flags, module="jobs", before=(), **settings):
        settings = paths(tmp_path / "in", tmp_path / "out") | settings
        return run("-m", module, *flags, before=before, **settings)

    return run_command


def test_the_pipeline_prints_its_account_and_its_rate(command, tmp_path):
    ended = command()
    assert ended.returncode == 0, ended.stderr
    assert "registered" not in ended.stderr
    assert "user_registration" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "Metric: 0.00%"
    assert "There is no users.csv: its attributes are NULL." in ended.stdout
    ledger = published.ledger(tmp_path / "out")
    assert ledger["status"] == "done"
    assert ledger["version"] == __version__
    assert [job["job"] for job in ledger["jobs"]] == [job.name for job in JOBS]
    counts = {name: n for job in ledger["jobs"] for name, n in job["tables"].items()}
    assert set(counts) == {table.name for table in TABLES}
    assert ledger["jobs"][0]["lines"]["read"] == 1


@pytest.mark.long_on_spark
@pytest.mark.parametrize("module", ["jobs", "jobs.sessionize", "jobs.sql"])
def test_a_command_prints_its_version(command, module):
    ended = command("--version", module=module)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"product-events {__version__}\n"


def test_a_wrong_setting_exits_2_and_touches_nothing(command, tmp_path):
    ended = command(REPORTING_TIMEZONE="Mars")
    assert ended.returncode == 2
    assert error_in(ended.stderr) == (
        "error: REPORTING_TIMEZONE=Mars: it takes a time zone's name such as UTC or"
        " Europe/Berlin"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.long_on_spark
def test_a_missing_input_exits_3(command, tmp_path):
    ended = command(INPUT_DATA_PATH=str(tmp_path / "nowhere"))
    assert ended.returncode == 3
    assert (
        error_in(ended.stderr)
        == f"error: {tmp_path}/nowhere: no such file or directory"
    )


@pytest.mark.long_on_spark
def test_a_file_without_permission_exits_3(command, tmp_path):
    (tmp_path / "in" / "e.jsonl").chmod(0)
    # Root can read every file, so it gives up this capability.
    powers = "-dac_override,-dac_read_search"
    before = ["setpriv", "--bounding-set", powers] if os.geteuid() == 0 else []
    ended = command(before=before)
    assert ended.returncode == 3
    assert error_in(ended.stderr) == f"error: {tmp_path}/in/e.jsonl: permission denied"


def test_a_missing_table_exits_3(command):
    ended = command(module="jobs.sessionize")
    assert ended.returncode == 3
    assert "there is no table playback_events yet" in error_in(ended.stderr)


def test_the_project_may_be_in_a_folder_with_spaces_and_quotes(command, tmp_path):
    folder = tmp_path / "my \"own' events"
    shutil.copytree(ROOT / "jobs", folder / "jobs")
    ended = command(module="jobs.sessionize", before=["env", "-C", str(folder)])
    assert "there is no table playback_events yet" in error_in(ended.stderr)


@pytest.mark.long_on_spark
def test_relative_paths_start_where_the_user_stands(tmp_path):
    folder = tmp_path / "it's mine"
    (folder / "logs" / "2021").mkdir(parents=True)
    (folder / "logs" / "2021" / "e.jsonl").write_bytes(LINE + b"1\n")
    # Python takes none of the user's own files for a module.
    for name in ("random.py", "jobs.py"):
        (folder / name).write_text("raise SystemExit(7)")
    ended = subprocess.run(
        [ROOT / "scripts" / "task", "run"],
        cwd=folder,
        env=dict(os.environ)
        | {"ENGINE": ENGINE, "SPARK_MASTER": "local[2]", "MAX_REJECTED_RATIO": "1"}
        | {"INPUT_DATA_PATH": "./logs", "OUTPUT_DATA_PATH_PREFIX": "../lake"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    [(*_, source_file, _)] = published.rows(tmp_path / "lake", REJECTED_EVENTS)
    assert source_file == "logs/2021/e.jsonl"
    assert {path.name for path in folder.iterdir()} == {"logs", "random.py", "jobs.py"}


@pytest.mark.long_on_spark
def test_a_prefix_in_use_exits_5_and_names_the_holder(command, tmp_path):
    (tmp_path / "out").mkdir()
    with closing(Lock(tmp_path / "out", "a run")):
        ended = command()
    assert ended.returncode == 5
    assert f"is being written by process {os.getpid()}" in error_in(ended.stderr)


@pytest.mark.long_on_spark
def test_a_traceback_is_for_debugging(command, tmp_path):
    ended = command(INPUT_DATA_PATH=str(tmp_path / "nowhere"), LOG_LEVEL="DEBUG")
    assert ended.returncode == 3
    assert "Traceback" in ended.stderr


@pytest.mark.long_on_spark
@pytest.mark.parametrize("job", [job.name for job in JOBS])
def test_every_job_has_help(command, job):
    ended = command("--help", module=f"jobs.{job}")
    assert ended.returncode == 0
    assert "--output-data-path-prefix" in ended.stdout
