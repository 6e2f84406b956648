"""The only place that knows which engine runs."""

from pathlib import Path

from jobs.engine.base import DataFile, Engine, Rewrite, TableFiles
from jobs.settings import RunSettings

__all__ = ["DataFile", "Engine", "Rewrite", "TableFiles", "open_engine"]


def open_engine(settings: RunSettings, scratch: Path) -> Engine:
    """The engine that ENGINE names; whoever opens it closes it.

    Raises:
        RunError: the engine cannot start here; the message says what to install.
    """
    if settings.engine == "spark":
        from jobs.engine.spark.engine import SparkEngine

        return SparkEngine(settings, scratch)
    from jobs.engine.duckdb.engine import DuckDBEngine

    return DuckDBEngine(settings, scratch)
