"""The lock of a prefix: one run at a time writes to it."""

import fcntl
import os
import socket
from pathlib import Path
from typing import IO

from jobs.errors import PrefixInUseError


class Lock:
    """The lock is taken by :meth:`__init__` and dropped by :meth:`close`."""

    def __init__(self, prefix: Path, run_id: str) -> None:
        """Lock a prefix, whose folder has to exist.

        Raises:
            PrefixInUseError: another run has the lock; the message names that run.
            OSError: the prefix cannot be written.
        """
        # The kernel drops the lock when its process ends, even after a crash.
        self._file: IO[str] = (prefix / "_lock").open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise PrefixInUseError(f"{prefix} is being written by {holder}") from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}, {run_id}\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
