"""The embedded engine: PySpark models, run by SQLFrame on DuckDB, without a JVM."""
