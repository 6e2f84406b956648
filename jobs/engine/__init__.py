"""The engines. No other package knows which of them runs."""

from pathlib import Path

from jobs.engine.base import DataFile, Engine, Rewrite, TableFiles
from jobs.settings import RunSettings

__all__ = ["DataFile", "Engine", "Rewrite", "TableFiles", "open_engine"]


def open_engine(settings: RunSettings, scratch: Path, time_zone: str = "UTC") -> Engine:
    """Open the engine that ENGINE names; the caller has to close it.

    Args:
        settings: the settings of the run.
        scratch: a folder for the engine's temporary files.
        time_zone: the time zone in which ``Engine.sql`` shows instants.

    Raises:
        RunError: the engine cannot start here; the message says what to install.
    """
    if settings.engine == "spark":
        from jobs.engine.spark.engine import SparkEngine

        return SparkEngine(settings, scratch, time_zone)
    from jobs.engine.duckdb.engine import DuckDBEngine

    return DuckDBEngine(settings, scratch, time_zone)
