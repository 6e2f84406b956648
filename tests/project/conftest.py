from tests.support.engine import ENGINE

# The benchmark's peers are compared with the embedded engine, and the documents show it.
collect_ignore = [] if ENGINE == "duckdb" else ["test_benchmarks.py", "test_docs.py"]
