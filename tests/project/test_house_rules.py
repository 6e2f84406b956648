"""The rules of the house that scripts/house_rules.py checks."""

import runpy

import pytest

from tests.support.processes import ROOT

violations = runpy.run_path(str(ROOT / "scripts" / "house_rules.py"))["violations"]

LOOK = 'wait_until(lambda: list((prefix / "_tmp").{}("*/publishing")))\n'


@pytest.mark.parametrize("folder", ["containers", "faults"])
@pytest.mark.parametrize("method", ["glob", "rglob"])
def test_a_test_beside_other_processes_may_not_search_with_a_path(folder, method):
    path = f"tests/{folder}/test_kills.py"
    assert violations(path, LOOK.format(method)) == [
        f"{path}:1: a folder may go while Path.{method} looks: use found"
    ]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tests/faults/test_kills.py", 'found(prefix / "_tmp", "*/publishing")'),
        ("tests/faults/test_kills.py", 'glob.glob("*", root_dir=prefix)'),
        ("tests/pipeline/test_store.py", LOOK.format("glob")),
    ],
)
def test_any_other_search_is_free(path, source):
    assert violations(path, source) == []


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        (
            "from jobs.fields import FIELDS\n",
            "an engine gets the fields as an argument",
        ),
        ('F.col("user_id")\n', "an engine does not name the field user_id"),
    ],
)
def test_an_engine_knows_no_field(source, rule):
    path = "jobs/engine/duckdb_engine.py"
    assert violations(path, source) == [f"{path}:1: {rule}"]
    assert violations("jobs/lines/exact.py", source) == []
    assert violations(path, "from jobs.fields import Kind\n") == []
