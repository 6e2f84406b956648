"""The rules of the house that scripts/house_rules.py checks."""

import runpy

import pytest

from tests.support.processes import ROOT

house_rules = runpy.run_path(str(ROOT / "scripts" / "house_rules.py"))
violations = house_rules["violations"]

MODEL = "jobs/sessionize/model.py"
JOB = "jobs/sessionize/job.py"
SETTINGS = "jobs/settings.py"
ENGINE = "jobs/engine/duckdb/engine.py"
TEST = "jobs/unit_tests/test_sessionize.py"
SHARED = "tests/support/engine.py"

TIE = "a tie is left to chance: order by a unique key, or aggregate with min or max"
IMPURE = "a model's result depends on its input alone, not on time or chance"
ENGINES = "a job caches rows through the engine; a model does not"
NO_ACTIONS = "a model describes rows and runs nothing; count with F.count(...)"
ENVIRONMENT = "only jobs/settings.py reads the environment"
ONE_PLACE = "only jobs/engine knows which engine runs"


@pytest.mark.parametrize(
    ("path", "breaks", "rule", "keeps"),
    [
        (
            "jobs/lines/json.py",
            "",
            "Python's own json is hidden from a program beside it",
            None,
        ),
        *(
            (
                path,
                f"rows.{method}(1)",
                f"{method}(1) puts all rows through one task",
                f"rows.{method}(2)",
            )
            for path, method in ((JOB, "repartition"), (TEST, "coalesce"))
        ),
        (
            JOB,
            "rows.repartition(numPartitions=1)",
            "repartition(1) puts all rows through one task",
            'rows.repartition("day")',
        ),
        (
            MODEL,
            "from jobs.settings import load",
            "a model does not import jobs.settings.load",
            "from jobs.tables import USERS",
        ),
        (
            MODEL,
            "from ..settings import load",
            "a model does not import jobs.settings.load",
            "from ..tables import USERS",
        ),
        (MODEL, "import os", "a model does not import os", "import typing"),
        (
            MODEL,
            "from pyspark.sql import functions",
            "a model does not import pyspark.sql.functions",
            "from pyspark.sql import functions as F",
        ),
        (MODEL, 'F.first("a")', f"F.first: {TIE}", 'F.min("a")'),
        (MODEL, "rows.dropDuplicates()", f".dropDuplicates: {TIE}", "rows.distinct()"),
        (MODEL, "F.rand()", f"F.rand: {IMPURE}", "F.lit(1)"),
        (MODEL, "F.now()", f"F.now: {IMPURE}", 'F.col("now")'),
        (MODEL, "rows.cache()", f".cache: {ENGINES}", "rows.cache"),
        (MODEL, "rows.count()", f".count: {NO_ACTIONS}", 'F.count("a")'),
        (
            MODEL,
            "def facts(): pass",
            "facts has no docstring: describe its result",
            'def facts(): "All."\ndef _its_part(): pass',
        ),
        (JOB, "import os\nos.environ", ENVIRONMENT, "import os\nos.getpid()"),
        (JOB, "from os import environ", ENVIRONMENT, "from os import getpid"),
        (JOB, "from os import getenv as get", ENVIRONMENT, "from os import fspath"),
        (JOB, "import duckdb", ONE_PLACE, "import jobs.engine"),
        (JOB, "from sqlframe.duckdb import x", ONE_PLACE, "from jobs.engine import x"),
        (
            JOB,
            "from pyspark.sql import SparkSession",
            ONE_PLACE,
            "from pyspark.sql import DataFrame",
        ),
        (JOB, "sql.SparkSession", ONE_PLACE, "sql.DataFrame"),
        (
            ENGINE,
            "from jobs.fields import FIELDS",
            "an engine gets the fields as an argument",
            "from jobs.fields import Kind",
        ),
        (
            ENGINE,
            'F.col("user_id")',
            "an engine does not name the field user_id",
            'F.col("raw")',
        ),
        *(
            (
                ENGINE,
                f"from jobs.{module} import {name}",
                f"an engine computes, and does not import jobs.{module}.{name}",
                "from jobs.tables import Table",
            )
            for module, name in (
                ("publishing.run", "Run"),
                ("ledger", "Ledger"),
                ("runner", "main"),
            )
        ),
        (
            ENGINE,
            "settings.output_data_path_prefix",
            "an engine does not know the prefix",
            "settings.memory_limit",
        ),
        (
            JOB,
            "from jobs.publishing.lock import Lock",
            "a job uses only the run, and does not import jobs.publishing.lock.Lock",
            "from jobs.publishing.run import Run",
        ),
        *(
            (
                f"tests/{folder}/test_kills.py",
                f'list((prefix / "_tmp").{method}("*/publishing"))',
                f"Path.{method} fails if a folder is removed meanwhile: use found",
                keeps,
            )
            for folder in ("containers", "faults")
            for method, keeps in (
                ("glob", 'glob.glob("*", root_dir=prefix)'),
                ("rglob", 'found(prefix / "_tmp", "*/publishing")'),
            )
        ),
    ],
)
def test_a_rule_that_is_broken_is_named_with_its_place(path, breaks, rule, keeps):
    number = len(breaks.splitlines()) or 1
    assert violations(path, breaks) == [f"{path}:{number}: {rule}"]
    if keeps is not None:
        assert violations(path, keeps) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jobs/lines/exact.py", ""),
        (JOB, 'F.first("a")\nrows.count()\ndef facts(): pass'),
        (SETTINGS, "import os\nos.environ"),
        (TEST, "import os, duckdb\nos.environ\nsql.SparkSession"),
        (SHARED, "import os, duckdb\nos.environ\nsql.SparkSession"),
        (ENGINE, "import duckdb\nsql.SparkSession"),
        ("jobs/sql.py", "import duckdb"),
        ("jobs/lines/exact.py", 'from jobs.fields import FIELDS\nFIELDS["user_id"]'),
        ("tests/pipeline/test_publishing.py", 'prefix.rglob("*")'),
    ],
)
def test_a_rule_applies_only_to_its_modules(path, source):
    assert violations(path, source) == []


@pytest.mark.parametrize("kind", ["FUNCTIONS_BARRED", "METHODS_BARRED"])
def test_a_model_calls_nothing_that_is_barred(kind):
    for name, why in house_rules[kind].items():
        called = f"F.{name}" if kind == "FUNCTIONS_BARRED" else f".{name}"
        source = f"{called}()" if kind == "FUNCTIONS_BARRED" else f"rows{called}()"
        assert violations(MODEL, source) == [f"{MODEL}:1: {called}: {why}"]


def test_every_module_of_the_jobs_and_of_the_tests_is_checked(
    tmp_path, monkeypatch, capsys
):
    main = house_rules["main"]
    assert main() == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(main.__globals__, "ROOT", tmp_path)
    for folder in ("jobs/lines", "tests/support", "scripts"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "json.py").touch()
    assert main() == 1
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "jobs/lines/json.py",
        "tests/support/json.py",
    ]


def test_the_fields_are_those_of_the_jobs():
    from jobs.fields import FIELDS

    assert house_rules["FIELD_NAMES"] == set(FIELDS)


def test_a_model_may_use_dates_but_not_the_date_of_today():
    path, known = MODEL, "from datetime import date\n"
    assert violations(path, f"{known}start: date\n") == []
    assert violations(path, f"{known}date.today()\n") == [
        f"{path}:2: .today: a model's result depends on its input alone,"
        " not on time or chance"
    ]
    assert violations(path, "from datetime import datetime\n") == [
        f"{path}:1: a model does not import datetime.datetime"
    ]
