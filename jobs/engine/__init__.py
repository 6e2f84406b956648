"""The only place that knows which engine runs: its session, reading and writing."""

from jobs.engine.base import Engine, Rewrite
from jobs.engine.store import Store, find_table
from jobs.lines.inputs import Inputs, find_inputs
from jobs.settings import RunSettings

__all__ = [
    "Engine",
    "Inputs",
    "Rewrite",
    "Store",
    "find_inputs",
    "find_table",
    "open_engine",
]


def open_engine(settings: RunSettings, store: Store) -> Engine:
    """The engine that ENGINE names; whoever opens it closes it.

    Raises:
        RunError: the engine cannot start here; the message says what to install.
    """
    if settings.engine == "spark":
        from jobs.engine.spark_engine import SparkEngine

        return SparkEngine(settings, store)
    from jobs.engine.duckdb_engine import DuckDBEngine

    return DuckDBEngine(settings, store)
