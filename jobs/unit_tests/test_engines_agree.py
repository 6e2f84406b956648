"""Both engines give the same tables: rows, types and counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.tables import TABLES
from jobs.unit_tests import published
from jobs.unit_tests.conftest import ENGINE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ENGINE != "spark", reason="it takes Java to compare with Spark"),
]

ROOT = Path(__file__).parents[2]


def run(engine: str, prefix: Path, **settings: str) -> None:
    environment = dict(os.environ) | {
        "ENGINE": engine,
        "SPARK_MASTER": "local[2]",
        "OUTPUT_DATA_PATH_PREFIX": str(prefix),
        **settings,
    }
    subprocess.run(
        [sys.executable, "-m", "jobs"], cwd=ROOT, env=environment, check=True
    )


@pytest.fixture
def generated(tmp_path):
    subprocess.run(
        [
            *(sys.executable, ROOT / "scripts" / "make_events.py"),
            *("--events", "20000", "--seed", "7", "--output", tmp_path / "generated"),
        ],
        check=True,
    )
    return tmp_path / "generated"


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        ("sample", {}),
        (
            "generated",
            {
                "TZ": "Pacific/Auckland",
                "REPORTING_TIMEZONE": "America/New_York",
                "CONVERSION_MODE": "any",
                "CONVERSION_WEEK_OFFSET": "2",
                "SESSION_TIMEOUT_MINUTES": "5",
            },
        ),
    ],
)
def test_both_engines_give_the_same_tables(source, settings, tmp_path, request):
    path = (
        ROOT / "data-input" if source == "sample" else request.getfixturevalue(source)
    )
    prefixes = {engine: tmp_path / engine for engine in ("duckdb", "spark")}
    for engine, prefix in prefixes.items():
        run(engine, prefix, INPUT_DATA_PATH=str(path), **settings)
    tables = {engine: published.everything(p) for engine, p in prefixes.items()}
    for table in TABLES:
        assert len(tables["duckdb"][table.name]) > 0
        assert tables["spark"][table.name] == tables["duckdb"][table.name], table.name
        assert published.types(prefixes["spark"], table) == published.types(
            prefixes["duckdb"], table
        )
    ledgers = [published.ledger(prefix) for prefix in prefixes.values()]
    of_duckdb, of_spark = (
        [{k: v for k, v in job.items() if k != "seconds"} for job in ledger["jobs"]]
        for ledger in ledgers
    )
    assert of_spark == of_duckdb
