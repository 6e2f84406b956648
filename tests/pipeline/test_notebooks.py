"""The notebooks in jupyter-notebook/ are committed without outputs, and work."""

import json
import shutil

import pytest

from jobs.tables import PLAYBACK_EVENTS
from tests.support import published
from tests.support.engine import ENGINE
from tests.support.processes import ROOT, run

pytestmark = pytest.mark.slow

FOLDER = ROOT / "jupyter-notebook"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The tables of the sample."""
    prefix = tmp_path_factory.mktemp("sample") / "out"
    settings = {"OUTPUT_DATA_PATH_PREFIX": str(prefix)}
    made = run("-m", "jobs", ENGINE="duckdb", **settings)
    assert made.returncode == 0, made.stderr
    return prefix


@pytest.fixture
def execute(prefix, tmp_path):
    """Executes a notebook; returns its code cells."""

    def execute_one(name):
        ended = run(
            *("-m", "nbconvert", "--to=notebook", "--execute"),
            *(FOLDER / name, f"--output-dir={tmp_path}"),
            OUTPUT_DATA_PATH_PREFIX=str(prefix),
            PYTHONPATH=str(ROOT),
            IPYTHONDIR=str(tmp_path / "ipython"),
        )
        assert ended.returncode == 0, ended.stderr
        return code_cells(tmp_path / name)

    return execute_one


def code_cells(path):
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def printed(cell):
    return "".join(cell["outputs"][-1]["text"])


def shown(cells, kind):
    """The outputs of the cells with this MIME type, as texts."""
    outputs = (output for cell in cells for output in cell["outputs"])
    data = (output.get("data", {}) for output in outputs)
    return ["".join(parts[kind]) for parts in data if kind in parts]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs(path):
    cells = code_cells(path)
    assert cells
    assert [cell["outputs"] for cell in cells] == [[] for _ in cells]
    assert {cell["execution_count"] for cell in cells} == {None}


@pytest.mark.long_on_spark
def test_the_exploration_shows_tables_and_plots(execute):
    cells = execute("exploration.ipynb")
    assert printed(cells[0]).startswith(f"{ENGINE} /")
    assert len(shown(cells, "image/png")) == 4
    # The notebook computes the conversion of README.md, 18 of 100, in two ways.
    schema, channels, summary = (
        text for text in shown(cells, "text/plain") if "converted" in text
    )
    assert "mart.fact_user_session" in schema
    rows = [line.split() for line in channels.splitlines()[1:]]
    assert sum(int(registered) for _, _, registered, _, _ in rows) == 100
    assert sum(int(converted) for _, _, _, converted, _ in rows) == 18
    assert summary.split() == ["registered", "converted", "0", "100", "18"]


def test_the_answers_are_those_of_the_report(execute, prefix):
    cells = execute("answers.ipynb")
    assert printed(cells[0]).startswith(f"{ENGINE} /")
    assert len(shown(cells, "image/png")) == 2
    answers = json.loads((prefix / "report" / "answers.json").read_text())
    groups = (
        *answers["retained_within_3d"]["by_genre"],
        *answers["dropoff"]["by_device_os"],
        *answers["dropoff"]["by_app_version"],
    )
    # One more figure is Q1. The notebook fails if a figure differs.
    assert printed(cells[-1]) == f"{1 + len(groups)} figures are the same\n"


KERNEL = """
import gc, logging, sys
import sqlglot, sqlframe
from sqlglot.expressions import Expression
import pyspark.sql.functions as before

def state():
    import pyspark.sql.functions as functions
    return (
        functions is before, Expression.__deepcopy__, gc.get_threshold(),
        logging.getLogger().handlers, sys.excepthook,
    )

found = state()
from jobs.notebook import Tables
tables = Tables()
assert len(tables.sql("SELECT user_id FROM staging.users LIMIT 3")) == 3
assert state() == found, (found, state())
"""


@pytest.mark.long_on_spark
def test_tables_leave_the_rest_of_a_kernel_as_it_is(prefix):
    ended = run("-c", KERNEL, OUTPUT_DATA_PATH_PREFIX=str(prefix), ENGINE="duckdb")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.long_on_spark
def test_tables_show_the_newest_run(prefix, tmp_path):
    code = (
        "from jobs.notebook import Tables; import subprocess, sys\n"
        "tables = Tables()\n"
        "count = lambda: len(tables.sql('SELECT * FROM staging.playback_events'))\n"
        "print(count())\n"
        "subprocess.run([sys.executable, '-m', 'jobs'], check=True,"
        " capture_output=True)\n"
        "print(count())\n"
    )
    line = {
        "event_name": "like",
        "timestamp": "2021-01-01T00:00:00Z",
        "user_id": "u",
    }
    (tmp_path / "a.json").write_text(json.dumps(line))
    ended = run(
        *("-c", code),
        OUTPUT_DATA_PATH_PREFIX=str(shutil.copytree(prefix, tmp_path / "out")),
        INPUT_DATA_PATH=str(tmp_path / "a.json"),
        ENGINE="duckdb",
    )
    assert ended.returncode == 0, ended.stderr
    before = len(published.rows(prefix, PLAYBACK_EVENTS))
    assert ended.stdout.split() == [str(before), "1"]
