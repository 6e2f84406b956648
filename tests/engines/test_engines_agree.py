"""Both engines give the same rows, types and counts; these tests need Java."""

import duckdb
import pytest

from jobs.tables import TABLES
from tests.support import published
from tests.support.processes import ROOT, error_in, make_events, paths, run

pytestmark = pytest.mark.slow

REPORT = ("answers.json", "index.html")


@pytest.fixture
def generated(tmp_path):
    return make_events(tmp_path / "generated", 5000, "--seed", "7")


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        pytest.param("sample", {}, marks=pytest.mark.long),
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
        given = {"ENGINE": engine, **paths(path, prefix), **settings}
        ended = run("-m", "jobs", **given)
        assert ended.returncode == 0, ended.stderr
    tables = {engine: published.everything(p) for engine, p in prefixes.items()}
    for table in TABLES:
        assert len(tables["duckdb"][table.name]) > 0
        assert tables["spark"][table.name] == tables["duckdb"][table.name], table.name
        assert published.types(prefixes["spark"], table) == published.types(
            prefixes["duckdb"], table
        )
    of_duckdb, of_spark = (
        [(prefix / "report" / name).read_bytes() for name in REPORT]
        for prefix in prefixes.values()
    )
    assert of_spark == of_duckdb
    with duckdb.connect(prefixes["spark"] / "warehouse.duckdb", read_only=True) as lake:
        for table in TABLES:
            view = lake.table(f"{table.layer}.{table.name}")
            assert len(view) == len(tables["spark"][table.name])
    ledgers = [published.ledger(prefix) for prefix in prefixes.values()]
    of_duckdb, of_spark = (
        [{k: v for k, v in job.items() if k != "seconds"} for job in ledger["jobs"]]
        for ledger in ledgers
    )
    assert of_spark == of_duckdb


def test_without_java_the_error_names_the_package_to_install(tmp_path):
    ended = run(
        *("-m", "jobs"),
        OUTPUT_DATA_PATH_PREFIX=str(tmp_path / "out"),
        JAVA_HOME=str(tmp_path / "nowhere"),
    )
    assert ended.returncode == 1
    assert error_in(ended.stderr) == (
        "error: ENGINE=spark needs Java 17 or later: install openjdk-17-jre-headless"
        " (Debian) or set JAVA_HOME; ENGINE=duckdb needs none"
    )
