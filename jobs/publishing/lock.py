"""One run at a time writes to a prefix."""

import fcntl
import os
import socket
from pathlib import Path
from typing import IO

from jobs.errors import PrefixInUseError


class Lock:
    """Held from :meth:`__init__` until :meth:`close`, or until the process ends."""

    def __init__(self, prefix: Path, run_id: str) -> None:
        """Take the lock of a prefix that is there.

        Raises:
            PrefixInUseError: another run holds it; the message names that run.
            OSError: the prefix cannot be written.
        """
        # The kernel drops a lock with its process: a crashed one needs no cleaning.
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
