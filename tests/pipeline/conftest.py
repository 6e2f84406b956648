import pytest

from tests.support.engine import ENGINE

# What no engine has a part in need not wait for Spark.
collect_ignore = (
    [] if ENGINE == "duckdb" else ["test_published_report.py", "test_warehouse.py"]
)


@pytest.fixture(scope="session", autouse=True)
def engine_for_all_tests(spark_for_all_tests: None) -> None:
    """Most of these tests run jobs in this process."""
