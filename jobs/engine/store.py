"""The files below OUTPUT_DATA_PATH_PREFIX: who may write, and how a table is published.

A table is written aside in ``_tmp/{run}/{table}`` and moved into place in one step, so
that a reader finds the old table or the new one, whole. Each holds a ``_run.json``,
which says what run it came from. A file beside the tables is written in
``_tmp/{run}/files``, and replaces the old one. What a run that died left in ``_tmp`` is
swept by the next one, which first ends the publishing that it found begun.
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

from jobs.errors import InputError, PrefixInUseError, RunError
from jobs.tables import TABLES, Table

_ORIGIN = "_run.json"
_PUBLISHING = "publishing"
_FILES = "files"
_LEDGERS = "_runs"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class Store:
    """The one writer of a prefix, from :meth:`__init__` until :meth:`close`.

    Attributes:
        run_id: this run's name in ``_tmp`` and ``_runs``: its start in UTC and process.
        staged: the row count of each table that is written aside and not yet published.
        ledger: what this run has to tell so far; :meth:`record` writes it.
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
        self.ledger: dict[str, Any] = {}
        try:
            self.prefix.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            self._sweep()
            self.scratch = self.prefix / "_tmp" / self.run_id
            self.scratch.mkdir(parents=True)
        except OSError as error:
            raise RunError(
                f"OUTPUT_DATA_PATH_PREFIX={prefix} cannot be written: {error.strerror}"
            ) from error

    def live(self, table: Table) -> Path:
        """Where the published table lies."""
        return _live(self.prefix, table)

    def aside(self, table: Table) -> Path:
        """Where this run writes the table before it is published."""
        return self.scratch / table.name

    def file_aside(self, name: str) -> Path:
        """Where this run writes a file, as ``report/index.html``, to be published."""
        path = self.scratch / _FILES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self) -> dict[str, int]:
        """Move what is staged into place; returns the rows of each table by name."""
        published = {table.name: rows for table, rows in self.staged.items()}
        for table, rows in self.staged.items():
            origin = {"run_id": self.run_id, "rows": rows}
            (self.aside(table) / _ORIGIN).write_text(json.dumps(origin) + "\n")
        # From here on, a run that dies has published: the next one moves the rest.
        begun = self.scratch / _PUBLISHING
        begun.touch()
        for table in self.staged:
            _move_into_place(self.aside(table), self.live(table))
        _move_files(self.scratch / _FILES, self.prefix)
        begun.unlink()
        self.staged = {}
        return published

    def origins(self) -> dict[str, Any]:
        """Of each published table, by name, the run that it came from and its rows."""
        found = {table.name: _origin(self.live(table)) for table in TABLES}
        return {name: origin for name, origin in found.items() if origin}

    def ledger_of(self, table: Table) -> dict[str, Any]:
        """The ledger of the run that a published table came from; empty if it is lost.

        That of this very run holds what is told so far.
        """
        run_id = _origin(self.live(table)).get("run_id")
        if run_id == self.run_id:
            return self.ledger
        try:
            path = self.prefix / _LEDGERS / f"{run_id}.json"
            return dict(json.loads(path.read_text()))
        except FileNotFoundError:
            return {}

    def record(self) -> Path:
        """Write this run's ledger to ``_runs/{run}.json``; returns its path.

        It is a run's last act: what else is written aside makes room first.

        Raises:
            RunError: it cannot be written.
        """
        path = self.prefix / _LEDGERS / f"{self.run_id}.json"
        shutil.rmtree(self.scratch, ignore_errors=True)
        try:
            self.scratch.mkdir(exist_ok=True)
            path.parent.mkdir(exist_ok=True)
            unfinished = self.scratch / path.name
            unfinished.write_text(
                json.dumps(self.ledger, indent=2, ensure_ascii=False) + "\n"
            )
            unfinished.replace(path)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}") from error
        return path

    def close(self) -> None:
        """Remove this run's scratch files and unlock the prefix."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._lock.close()

    def _sweep(self) -> None:
        left_over = self.prefix / "_tmp"
        for begun in left_over.glob(f"*/{_PUBLISHING}"):
            died = begun.parent
            for table in TABLES:
                aside = died / table.name
                # What has been moved already left the older table in its place.
                if _origin(aside).get("run_id") == died.name:
                    _move_into_place(aside, self.live(table))
            _move_files(died / _FILES, self.prefix)
        shutil.rmtree(left_over, ignore_errors=True)

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


def find_table(prefix: Path, table: Table) -> Path:
    """Where a published table lies, whoever asks.

    Raises:
        InputError: it is not there.
    """
    live = _live(prefix, table)
    if not any(live.rglob("*.parquet")):
        raise InputError(f"{live}: there is no table {table.name} yet")
    return live


def _live(prefix: Path, table: Table) -> Path:
    return prefix / table.name / "format=parquet"


def _origin(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / _ORIGIN).read_text()))
    except FileNotFoundError:
        return {}


def _move_files(aside: Path, prefix: Path) -> None:
    for path in sorted(aside.rglob("*")):
        if path.is_file():
            live = prefix / path.relative_to(aside)
            live.parent.mkdir(exist_ok=True)
            path.replace(live)


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
