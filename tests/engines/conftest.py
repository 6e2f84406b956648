from tests.support.engine import ENGINE

# The tests of DuckDB run without Java.
collect_ignore = (
    ["test_engines_agree.py", "test_spark_plans.py"]
    if ENGINE == "duckdb"
    else ["test_duckdb_session.py"]
)
