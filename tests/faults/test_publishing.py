"""If a run ends while it publishes, readers still find the tables of one run."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from jobs.publishing.prefix import Prefix
from jobs.settings import DELTA, PARQUET
from jobs.tables import TABLES
from tests.faults.conftest import (
    IS_FIRST,
    RATIO,
    TABLE_FORMAT,
    Tables,
    Version,
    finish,
    left_over,
    publishes,
    run,
    start,
    sweep,
    verify,
    wait_until,
)
from tests.support import published
from tests.support.engine import ENGINE
from tests.support.watching import found

CAN_MOUNT = bool(shutil.which("bindfs")) and os.access("/dev/fuse", os.W_OK)

# The pipeline with a pause or a failure before the n-th step of publishing. A step is
# an exchange of folders, a rename, or a commit to the log of a Delta table.
PROGRAM = """
import errno, sys, time
from pathlib import Path
from jobs.pipeline import JOBS
from jobs.storage import local
from jobs.runner import main

steps, exchange, fails, here, go_on = {arguments!r}

def counted(step):
    def take(*arguments, **options):
        global steps
        steps -= 1
        if steps == -1 and fails:
            raise OSError(errno.EIO, "Input/output error")
        if steps == -1:
            Path(here).touch()
            while not Path(go_on).exists():
                time.sleep(0.01)
        return step(*arguments, **options)
    return take

if exchange == "counts":
    local.exchange = counted(local.exchange)
elif exchange == "is made to fail":
    local.exchange = lambda one, other: False
if {table_format!r} == "delta":
    from jobs.publishing import delta
    delta.DeltaTable.create_write_transaction = counted(
        delta.DeltaTable.create_write_transaction
    )
Path.rename = counted(Path.rename)
Path.replace = counted(Path.replace)
sys.exit(main(*JOBS, summary=""))
"""
FILES = 5  # three of the report, the ledger, and the record of the prefix
STEPS = {True: len(TABLES) + FILES, False: 2 * len(TABLES) + FILES}
if TABLE_FORMAT == DELTA:
    STEPS[False] = STEPS[True]

Ending = Callable[[subprocess.Popen[str], Path], None]


@dataclass(frozen=True)
class Disk:
    """A folder to publish in, and whether folders can be exchanged there."""

    path: Path
    can_exchange: bool


@pytest.fixture
def fuse(tmp_path: Path) -> Iterator[Path]:
    """A file system like NFS: it cannot exchange folders, or remove open files."""
    behind, path = tmp_path / "behind", tmp_path / "fuse"
    behind.mkdir()
    path.mkdir()
    subprocess.run(["bindfs", behind, path], check=True)
    yield path
    unmount = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount", "-uz"]
    subprocess.run([*unmount, path], check=True)


@pytest.fixture
def disk(request, tmp_path: Path) -> Disk:
    """A disk; one that cannot exchange folders is a mount, if mounting is possible."""
    can_exchange: bool = request.param
    if can_exchange or not CAN_MOUNT:
        return Disk(tmp_path, can_exchange)
    return Disk(request.getfixturevalue("fuse"), can_exchange)


def stops(*numbers: signal.Signals) -> Ending:
    """Send signals to a run while it publishes; the run finishes first."""

    def end(process: subprocess.Popen[str], go_on: Path) -> None:
        for number in numbers:
            process.send_signal(number)
        go_on.touch()

    return end


def stops_at_once(process: subprocess.Popen[str], go_on: Path) -> None:
    """Send Ctrl-C until the run has ended."""

    def is_gone() -> bool:
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    wait_until(is_gone)


def kills(process: subprocess.Popen[str], go_on: Path) -> None:
    process.kill()


ENDINGS: dict[str, Ending | None] = {
    "SIGTERM": stops(signal.SIGTERM),
    "Ctrl-C": stops(signal.SIGINT),
    "both": stops(signal.SIGTERM, signal.SIGINT),
    "Ctrl-C again and again": stops_at_once,
    "kill -9": kills,
    "an I/O error": None,
}
IN_ORDER = ("SIGTERM", "Ctrl-C", "both")
IN_CI_ON_SPARK = ("kill -9",)
IN_CI_ON_DELTA = ("both", "kill -9", "an I/O error")


def end_while_publishing(
    ending: str, step: int, disk: Disk, at: Path, version: Version, prefix: Path
) -> None:
    """Start a run, and end it in this way before a step of its publication."""
    here, go_on = at / "here", at / "go on"
    for path in (here, go_on):
        path.unlink(missing_ok=True)
    end = ENDINGS[ending]
    if disk.can_exchange:
        exchange = "counts"
    else:
        exchange = "fails" if CAN_MOUNT else "is made to fail"
    arguments = (step, exchange, end is None, str(here), str(go_on))
    program = PROGRAM.format(arguments=arguments, table_format=TABLE_FORMAT)
    process = start(version.path, prefix, python=("-c", program), **RATIO)
    if end:
        wait_until(lambda: here.exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        end(process, go_on)
    code, error = finish(process)
    if ending in IN_ORDER:
        assert (code, error.startswith("ledger: ")) == (0, True)
    elif end:
        assert code in (-signal.SIGKILL, -signal.SIGINT)
    else:
        assert code == 1
        assert "half done, and the next run finishes it" in error
        assert "Input/output error" in error


def seen(prefix: Path) -> Tables:
    """The rows of each table that a reader finds."""
    tables = Prefix(prefix).current()
    return {
        table.name: published.rows(prefix, table, tables.files(table).paths)
        for table in TABLES
    }


@dataclass
class Attacked:
    """A prefix with the tables of one version."""

    prefix: Path
    versions: list[Version]
    version: Version
    rounds: int = 0
    half_done: int = 0

    def attack(self, end: Callable[[Version, Path], None]) -> None:
        """End a run in this way, read the tables, and let the next run clean up."""
        before, version = self.version, self.versions[(self.rounds + 1) % 2]
        end(version, self.prefix)
        begun = [path.parent.name for path in found(self.prefix, "_tmp/*/publishing")]
        if seen(self.prefix) != before.tables:
            self.version = version
        assert seen(self.prefix) == self.version.tables
        assert self.version == version or not begun
        verified = verify(self.prefix)
        for run_id in begun:
            note = (
                f"The publication of run {run_id} is half done: the next run finishes"
                " it."
            )
            assert note in verified
        self.half_done += len(begun)
        # Every other time the next run writes tables itself.
        if self.rounds % 2:
            code, error = run(version.path, self.prefix, ENGINE="duckdb", **RATIO)
            assert code == 0, error
            self.version = version
        else:
            sweep(self.prefix)
        assert published.everything(self.prefix) == self.version.tables
        assert published.run_id(self.prefix)
        assert list((self.prefix / "_tmp").iterdir()) == []
        self.rounds += 1


@pytest.fixture
def attacked(versions, disk) -> Attacked:
    prefix = Path(shutil.copytree(versions[0].output, disk.path / "out"))
    return Attacked(prefix, versions, versions[0])


def attack_at_random(attacked: Attacked, disk: Disk, at: Path, times: int) -> str:
    """Attack with random endings before random steps; returns their counts."""
    endings = Counter[str]()
    for _ in range(times):
        ending = random.choice([*ENDINGS])
        step = random.randrange(STEPS[disk.can_exchange])
        attacked.attack(partial(end_while_publishing, ending, step, disk, at))
        endings[ending] += 1
    return ", ".join(f"{ending} {n}" for ending, n in sorted(endings.items()))


def end_in_a_race(version: Version, prefix: Path) -> None:
    """End a run by a signal as soon as it publishes, or a little later."""
    process = start(version.path, prefix, **RATIO)
    while not publishes(prefix) and process.poll() is None:
        pass  # it takes milliseconds
    time.sleep(random.choice([0, random.uniform(0, 0.02)]))
    number = random.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    process.send_signal(number)
    code, _ = finish(process)
    # Python itself ends by a signal that comes while it ends, after the run.
    assert code in (0, 1, -number)


def exchanging(*params: bool) -> pytest.MarkDecorator:
    """Disks for a test: they can or cannot exchange folders."""
    ids = ["exchange" if can else "no exchange" for can in params]
    return pytest.mark.parametrize("disk", params, ids=ids, indirect=True)


def ending_of(ending: str, can_exchange: bool) -> ParameterSet:
    """An ending on a disk; CI tries some of them without an exchange of folders."""
    marks = []
    if not can_exchange:
        marks += [] if ending in IN_CI_ON_SPARK else [pytest.mark.long_on_spark]
        marks += [pytest.mark.delta] if ending in IN_CI_ON_DELTA else [pytest.mark.long]
    disk = "exchange" if can_exchange else "no exchange"
    return pytest.param(ending, can_exchange, marks=marks, id=f"{ending}-{disk}")


# Publishing is the same for both engines, and a run on Spark takes long.
@pytest.mark.parametrize(
    ("ending", "disk"),
    [
        ending_of(ending, can_exchange)
        for can_exchange in ([True, False] if IS_FIRST else [False])
        for ending in ENDINGS
    ],
    indirect=["disk"],
)
def test_a_run_that_ends_while_it_publishes_mixes_and_loses_nothing(
    attacked, disk, tmp_path, ending, tried
):
    half_way = STEPS[disk.can_exchange] // 2 | 1  # odd: between a table's two renames
    attacked.attack(partial(end_while_publishing, ending, half_way, disk, tmp_path))
    assert attacked.half_done == (ending not in IN_ORDER)
    tried(f"{ending}: {summary(attacked)}")


@pytest.mark.long_on_spark
@exchanging(*([True, False] if ENGINE == "duckdb" else [True]))
def test_a_run_that_is_signalled_in_the_midst_of_publishing_mixes_nothing(
    attacked, disk, tried
):
    attacked.attack(end_in_a_race)
    tried(summary(attacked))


PARTS, AT_RANDOM, RACES = (10, 8, 2) if ENGINE == "duckdb" else (2, 4, 1)


@pytest.mark.long
@exchanging(True, False)
@pytest.mark.parametrize("part", range(PARTS))
def test_many_runs_that_end_while_they_publish_mix_and_lose_nothing(
    attacked, disk, tmp_path, part, tried
):
    endings = attack_at_random(attacked, disk, tmp_path, AT_RANDOM)
    for _ in range(RACES):
        attacked.attack(end_in_a_race)
    tried(f"{summary(attacked)}: {endings}, a race {RACES}")


def summary(attacked: Attacked) -> str:
    return (
        f"{attacked.rounds} ended while publishing, {attacked.half_done} left half of"
        " it, which verify reported; readers found 0 mixed and 0 lost"
    )


@pytest.mark.long_on_spark
@pytest.mark.skipif(not CAN_MOUNT, reason="needs bindfs and /dev/fuse")
def test_a_reader_with_open_files_stops_no_publishing(versions, fuse, tried):
    prefix = Path(shutil.copytree(versions[0].output, fuse / "out"))
    opened = [published.files(prefix, table)[0].open() for table in TABLES]
    code, error = run(versions[1].path, prefix, **RATIO)
    assert code == 0, error
    assert published.everything(prefix) == versions[1].tables
    # No file of a Delta table is removed.
    assert bool(left_over(prefix)) == (TABLE_FORMAT == PARQUET)
    for file in opened:
        file.close()
    sweep(prefix)
    assert left_over(prefix) == []
    tried(f"{len(opened)} open files on a disk that cannot remove open files")
