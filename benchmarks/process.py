"""Runs a command and measures the processes that it starts, on Linux.

A command has a session of its own, which all processes that it starts belong to. Wall
time ends with the command. CPU time is the kernel's count for all of these processes.
Some are orphans, since a JVM outlives its Python: this process adopts and reaps them.
Memory is the resident memory of all processes of the session together, in samples.
"""

import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_SECONDS_BETWEEN_SAMPLES = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """The seconds, CPU seconds and bytes of memory that a command took."""

    wall: float
    cpu: float
    peak_memory: int


class CommandError(Exception):
    """A command failed; the message has the end of what it printed."""


def measure(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Usage:
    """Run a command to its end.

    Args:
        log: the file for all that the command prints.

    Raises:
        CommandError: the exit code is not 0.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot adopt orphaned processes")
    with log.open("wb") as printed:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        memory = _PeakMemory(process.pid)
        memory.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime + _reap_orphans()
        memory.stop()
    if process.returncode != 0:
        end = log.read_text(errors="replace")[-2000:]
        raise CommandError(
            f"{' '.join(command)} ended with {process.returncode}:\n{end}"
        )
    return Usage(wall, cpu, memory.peak)


def _reap_orphans() -> float:
    """Wait for processes that the command left behind; returns their CPU seconds."""
    cpu = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return cpu
        cpu += usage.ru_utime + usage.ru_stime


class _PeakMemory(threading.Thread):
    """Samples the resident bytes of a session's processes."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._session = str(session)
        self._is_over = threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(_SECONDS_BETWEEN_SAMPLES):
            processes = Path("/proc").glob("[0-9]*/stat")
            pages = sum(map(self._pages, processes))
            self.peak = max(self.peak, pages * _PAGE)

    def stop(self) -> None:
        self._is_over.set()
        self.join()

    def _pages(self, process: Path) -> int:
        try:
            stat = process.read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return 0  # the process has ended
        # After the name, which may have any character: state, parent, group, session.
        fields = stat.rpartition(")")[2].split()
        return int(fields[21]) if fields[3] == self._session else 0
