from tests.support.engine import ENGINE

# The peers of the benchmark are compared with the embedded engine.
collect_ignore = [] if ENGINE == "duckdb" else ["test_benchmarks.py"]
