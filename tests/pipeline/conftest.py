from tests.support.engine import ENGINE

# These tests use no engine, so they do not run on Spark.
collect_ignore = (
    [] if ENGINE == "duckdb" else ["test_published_report.py", "test_warehouse.py"]
)
