"""Looking at published tables while runs may publish: one run, or the other."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jobs.errors import RunError
from jobs.publishing.parquet import ParquetTables, Snapshot

_ATTEMPTS = 5

Result = TypeVar("Result")


def look(prefix: Path, at: Callable[[Snapshot], Result]) -> Result:
    """What a function makes of the tables of one run.

    It takes no lock. Where a run publishes meanwhile, the function is called again.

    Args:
        prefix: where the tables are.
        at: is called with them.

    Raises:
        RunError: runs publish faster than the function ends.
    """
    tables = ParquetTables(prefix)
    for _ in range(_ATTEMPTS):
        before = tables.current()
        error = None
        try:
            result = at(before)
        except Exception as raised:
            error = raised
        if tables.current() == before:
            if error:
                raise error
            return result
    raise RunError(f"{prefix}: runs publish faster than their tables can be read")
