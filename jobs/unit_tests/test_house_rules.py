"""The rules of the house that scripts/house_rules.py checks."""

import runpy

import pytest

from jobs.unit_tests.processes import ROOT

violations = runpy.run_path(str(ROOT / "scripts" / "house_rules.py"))["violations"]

LOOK = 'wait_until(lambda: list((prefix / "_tmp").{}("*/publishing")))\n'


@pytest.mark.parametrize("folder", ["container_tests", "fault_tests"])
@pytest.mark.parametrize("method", ["glob", "rglob"])
def test_a_test_beside_other_processes_may_not_search_with_a_path(folder, method):
    path = f"jobs/{folder}/test_kills.py"
    assert violations(path, LOOK.format(method)) == [
        f"{path}:1: a folder may go while Path.{method} looks: use found"
    ]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jobs/fault_tests/test_kills.py", 'found(prefix / "_tmp", "*/publishing")'),
        ("jobs/fault_tests/test_kills.py", 'glob.glob("*", root_dir=prefix)'),
        ("jobs/unit_tests/test_store.py", LOOK.format("glob")),
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


def test_a_model_may_know_a_date_but_not_what_day_it_is():
    path, known = "jobs/report/model.py", "from datetime import date\n"
    assert violations(path, f"{known}start: date\n") == []
    assert violations(path, f"{known}date.today()\n") == [
        f"{path}:2: .today: a model's result follows from its input alone,"
        " not from clock or chance"
    ]
    assert violations(path, "from datetime import datetime\n") == [
        f"{path}:1: a model does not import datetime.datetime"
    ]
