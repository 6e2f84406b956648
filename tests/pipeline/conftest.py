from tests.support.engine import ENGINE

# What no engine has a part in need not wait for Spark.
collect_ignore = (
    [] if ENGINE == "duckdb" else ["test_published_report.py", "test_warehouse.py"]
)
