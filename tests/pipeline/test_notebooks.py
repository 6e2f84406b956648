"""The notebooks of jupyter-notebook/: clean as committed, and right when executed."""

import json

import pytest

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
    """Executes a notebook; gives its code cells."""

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
    """What the cells show of a kind, a MIME type, as texts."""
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
    # Its own conversion is that of the summary, as README.md shows: 18 of 100.
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
    # One is Q1. The notebook fails if one differs.
    assert printed(cells[-1]) == f"{1 + len(groups)} figures are the same\n"
