"""The files below OUTPUT_DATA_PATH_PREFIX: who may write, and how a table is published.

A table is written aside in ``_tmp/{run}/{table}`` and moved into place in one step, so
that a reader finds the old table or the new one, whole. Each holds a ``_run.json``,
which says what run it came from. A file beside the tables is written in
``_tmp/{run}/files``, and replaces the old one.

Publishing begins with a marker in ``_tmp/{run}``, and all that may fail for want of
space comes before it. While the marker is there, that folder is not removed, whatever
ends the run. The next run first ends the publishing that it finds begun, and then
sweeps ``_tmp``.
"""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from jobs.errors import InputError, PrefixInUseError, RunError
from jobs.tables import REJECTED_EVENTS, TABLES, Table

_ORIGIN = "_run.json"
_PUBLISHING = "publishing"
_FILES = "files"
_LEDGERS = "_runs"
_UNFINISHED = ".unfinished"  # a ledger's name until it is one
_FAILED = "_failed"
_ROOM_FOR_THE_END = 64 * 1024  # bytes that a ledger may grow by after publishing
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class Store:
    """The one writer of a prefix, from :meth:`__init__` until :meth:`close`.

    Attributes:
        run_id: this run's name in ``_tmp`` and ``_runs``: its start in UTC and process.
        staged: the row count of each table that is written aside and not yet published.
        ledger: what this run has to tell so far; :meth:`record` writes it.
    """

    def __init__(self, prefix: str, only_reads: bool = False) -> None:
        """Lock the prefix, end what a dead run was publishing, and sweep its rest.

        Args:
            prefix: where the tables are.
            only_reads: whether to leave all of that as it is; scratch files then lie
                outside of the prefix.

        Raises:
            PrefixInUseError: another process holds the prefix; the message names it.
            InputError: the prefix is not there, and would only be read.
            RunError: the prefix cannot be made or written.
        """
        self.prefix = Path(prefix).absolute()
        self.run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
        self.staged: dict[Table, int] = {}
        self.ledger: dict[str, Any] = {}
        self._replaced: list[Path] = []
        if only_reads and not self.prefix.is_dir():
            raise InputError(f"{self.prefix}: there are no tables yet")
        try:
            self.prefix.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            try:
                self.scratch = self._new_scratch(only_reads)
            except BaseException:
                self._lock.close()
                raise
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

    def publish(self, told: object = None) -> dict[str, int]:
        """Move what is staged into place; returns the rows of each table by name.

        What is replaced stays aside until :meth:`remove_replaced`.

        Args:
            told: what the ledger is going to say of it, which room is made for before.

        Raises:
            OSError: nothing is published.
            RunError: publishing has begun, and the next run has to end it.
        """
        published = {table.name: rows for table, rows in self.staged.items()}
        begun = self._begin_publishing(told)
        try:
            for table in self.staged:
                _move_into_place(self.aside(table), self.live(table))
            _move_files(self.scratch / _FILES, self.prefix)
            begun.unlink()
        except OSError as error:
            raise RunError(
                f"publication of run {self.run_id} is half done, and the next run ends"
                f" it: {error}"
            ) from error
        for table in self.staged:
            self._replaced += [self.aside(table), _replaced(self.aside(table))]
        if REJECTED_EVENTS in self.staged:
            self._replaced.append(self.prefix / _FAILED)
        self.staged = {}
        return published

    def remove_replaced(self) -> None:
        """Remove what publishing replaced, and rejected lines that failed runs kept.

        A folder may refuse to go, as where a reader on NFS has a file open: it is then
        left to the sweep of a later run.
        """
        while self._replaced:
            shutil.rmtree(self._replaced.pop(), ignore_errors=True)

    def keep_failed(self, table: Table) -> Path:
        """Keep a staged table of a run that publishes nothing; returns its folder.

        It stays until rejected lines are published.
        """
        kept = self.prefix / _FAILED / self.run_id / table.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        self.aside(table).rename(kept)
        del self.staged[table]
        return kept

    def unfinished(self) -> dict[str, list[Table]]:
        """Of each run that died publishing, the tables that are not in place yet."""
        begun = sorted((self.prefix / "_tmp").glob(f"*/{_PUBLISHING}"))
        return {
            marker.parent.name: [
                table
                for table in TABLES
                if _has_to_move(marker.parent / table.name, self.live(table))
            ]
            for marker in begun
        }

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
        return _read_json(self.prefix / _LEDGERS / f"{run_id}.json")

    def record(self) -> Path:
        """Write this run's ledger to ``_runs/{run}.json``; returns its path.

        It is a run's last act: what else is written aside makes room first, unless the
        next run needs it.

        Raises:
            RunError: it cannot be written.
        """
        path = self._unfinished_ledger.with_suffix(".json")
        self._remove_scratch()
        try:
            path.parent.mkdir(exist_ok=True)
            # Over what publishing has reserved, which a full disk cannot take away.
            self._unfinished_ledger.touch()
            with self._unfinished_ledger.open("r+b") as file:
                file.write(_as_json(self.ledger))
                file.truncate()
            _flush(self._unfinished_ledger)
            self._unfinished_ledger.rename(path)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}") from error
        return path

    def close(self) -> None:
        """Remove this run's scratch files, if the next one needs none; unlock."""
        self._remove_scratch()
        with suppress(OSError):
            self._unfinished_ledger.unlink()
        self._lock.close()

    @property
    def _unfinished_ledger(self) -> Path:
        return self.prefix / _LEDGERS / f"{self.run_id}{_UNFINISHED}"

    def _begin_publishing(self, told: object) -> Path:
        """Do all that may still fail, and leave the marker, which it returns."""
        for table, rows in self.staged.items():
            self.live(table).parent.mkdir(parents=True, exist_ok=True)
            origin = self.aside(table) / _ORIGIN
            origin.write_bytes(_as_json({"run_id": self.run_id, "rows": rows}))
            _flush(origin)
            _flush(self.aside(table))
        for _, live in _files(self.scratch / _FILES, self.prefix):
            live.parent.mkdir(exist_ok=True)
        self._unfinished_ledger.parent.mkdir(exist_ok=True)
        room = 2 * len(_as_json([self.ledger, told])) + _ROOM_FOR_THE_END
        self._unfinished_ledger.write_bytes(b" " * room)
        _flush(self._unfinished_ledger)
        begun = self.scratch / _PUBLISHING
        try:
            begun.touch()
            for path in (begun, self.scratch, self.scratch.parent, self.prefix):
                _flush(path)
        except OSError:
            begun.unlink(missing_ok=True)
            raise
        return begun

    def _new_scratch(self, only_reads: bool) -> Path:
        if only_reads:
            return Path(tempfile.mkdtemp())
        self._sweep()
        scratch = self.prefix / "_tmp" / self.run_id
        scratch.mkdir(parents=True)
        return scratch

    def _remove_scratch(self) -> None:
        if not (self.scratch / _PUBLISHING).exists():
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _sweep(self) -> None:
        left_over = self.prefix / "_tmp"
        for run_id, tables in self.unfinished().items():
            died = left_over / run_id
            for table in tables:
                _move_into_place(died / table.name, self.live(table))
            _move_files(died / _FILES, self.prefix)
            # Before anything is removed: what is half removed must not be moved.
            (died / _PUBLISHING).unlink()
        shutil.rmtree(left_over, ignore_errors=True)
        for ledger in (self.prefix / _LEDGERS).glob(f"*{_UNFINISHED}"):
            with suppress(OSError):
                ledger.unlink()

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
    return _read_json(folder / _ORIGIN)


def _has_to_move(aside: Path, live: Path) -> bool:
    """Whether what lies aside is the new table, not the one that it replaced."""
    run_id = aside.parent.name
    if not aside.exists():
        return False
    if origin := _origin(aside):
        return origin.get("run_id") == run_id
    # Nothing says where it came from: it is the new one unless that is in place.
    return not live.exists() or _origin(live).get("run_id", run_id) != run_id


def _read_json(path: Path) -> dict[str, Any]:
    """What a file says; nothing if it is lost, or cut short, as by a power loss."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _as_json(told: object) -> bytes:
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")  # as JSON escapes half a surrogate


def _flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk, where that can be had."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    finally:
        os.close(opened)


def _files(aside: Path, prefix: Path) -> Iterator[tuple[Path, Path]]:
    """Each file that is written aside, and its place."""
    for path in sorted(aside.rglob("*")):
        if path.is_file():
            yield path, prefix / path.relative_to(aside)


def _move_files(aside: Path, prefix: Path) -> None:
    for path, live in _files(aside, prefix):
        path.replace(live)


def _move_into_place(aside: Path, live: Path) -> None:
    if live.exists():
        try:
            _exchange(aside, live)
            return
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
        # A file system that cannot exchange two folders: the old one steps aside first.
        # Until the next step both lie aside, where the next run finds them.
        live.rename(_replaced(aside))
    aside.rename(live)


def _replaced(aside: Path) -> Path:
    """Where the old table lies after it has stepped aside."""
    return aside.with_name(f"{aside.name}.old")


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one atomic step (Linux renameat2)."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))
