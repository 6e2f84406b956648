"""The files below OUTPUT_DATA_PATH_PREFIX: who may write, and how a table is published.

A table is written aside in ``_tmp/{run}/{table}`` and moved into place in one step, so
that a reader finds the old table or the new one, whole. What a run that died left in
``_tmp`` is swept by the next one.
"""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from jobs.errors import PrefixInUseError, RunError
from jobs.tables import Table

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class Store:
    """The one writer of a prefix, from :meth:`__init__` until :meth:`close`.

    Attributes:
        run_id: this run's name in ``_tmp`` and ``_runs``: its start in UTC and process.
        staged: the row count of each table that is written aside and not yet published.
    """

    def __init__(self, prefix: str) -> None:
        """Lock the prefix and sweep what earlier runs left over.

        Raises:
            PrefixInUseError: another process holds the prefix; the message names it.
            RunError: the prefix cannot be made or written.
        """
        self.prefix = Path(prefix).absolute()
        self.run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
        self.staged: dict[Table, int] = {}
        try:
            self.prefix.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            shutil.rmtree(self.prefix / "_tmp", ignore_errors=True)
            self.scratch = self.prefix / "_tmp" / self.run_id
            self.scratch.mkdir(parents=True)
        except OSError as error:
            raise RunError(
                f"OUTPUT_DATA_PATH_PREFIX={prefix} cannot be written: {error.strerror}"
            ) from error

    def live(self, table: Table) -> Path:
        """Where the published table lies."""
        return self.prefix / table.name / "format=parquet"

    def aside(self, table: Table) -> Path:
        """Where this run writes the table before it is published."""
        return self.scratch / table.name

    def publish(self) -> dict[str, int]:
        """Move every staged table into place; returns the rows of each by name."""
        published = {table.name: rows for table, rows in self.staged.items()}
        for table in self.staged:
            _move_into_place(self.aside(table), self.live(table))
        self.staged = {}
        return published

    def record(self, ledger: dict[str, Any]) -> Path:
        """Write the run's ledger to ``_runs/{run}.json``; returns its path."""
        path = self.prefix / "_runs" / f"{self.run_id}.json"
        path.parent.mkdir(exist_ok=True)
        unfinished = self.scratch / "ledger.json"
        unfinished.write_text(json.dumps(ledger, indent=2, ensure_ascii=False) + "\n")
        unfinished.replace(path)
        return path

    def close(self) -> None:
        """Remove this run's scratch files and unlock the prefix."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._lock.close()

    def _locked(self) -> IO[str]:
        # The kernel drops a lock with its process: a crashed one needs no cleaning.
        lock = (self.prefix / "_lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise PrefixInUseError(
                f"{self.prefix} is being written by {holder}"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}, {self.run_id}\n")
        lock.flush()
        return lock


def _move_into_place(aside: Path, live: Path) -> None:
    if not live.exists():
        live.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(live)
        return
    try:
        _exchange(aside, live)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
        # A file system that cannot exchange two folders: the old one steps aside first.
        old = aside.with_name(f"{aside.name}.old")
        live.rename(old)
        aside.rename(live)
        aside = old
    shutil.rmtree(aside)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one atomic step (Linux renameat2)."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))
