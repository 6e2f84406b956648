"""Reading the published tables of one run while other runs may publish."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jobs.errors import RunError
from jobs.publishing.prefix import Prefix, Snapshot

_ATTEMPTS = 10
_PAUSE = 0.02  # seconds, which grows with each attempt

Result = TypeVar("Result")


def read_snapshot(prefix: Path, function: Callable[[Snapshot], Result]) -> Result:
    """The result of a function that reads the tables of one run.

    This takes no lock. If a run publishes meanwhile, the function is called again.

    Args:
        prefix: the folder of the tables.
        function: is called with the published tables.

    Raises:
        RunError: runs publish faster than the function reads.
    """
    tables = Prefix(prefix)
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt * _PAUSE)
        before = tables.current()
        error = None
        try:
            result = function(before)
        except Exception as raised:
            error = raised
        if tables.current() == before:
            if error:
                raise error
            return result
    raise RunError(f"{prefix}: runs publish faster than their tables can be read")
