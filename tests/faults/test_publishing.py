"""Whatever ends a run that publishes: no table is lost, no job's are of two runs."""

import json
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

from jobs.tables import TABLES, WRITTEN_BY, Table
from tests.faults.conftest import (
    RATIO,
    Tables,
    Version,
    finish,
    left_over,
    publishes,
    run,
    start,
    sweep,
    wait_until,
)
from tests.support import published
from tests.support.engine import ENGINE
from tests.support.watching import found

CAN_MOUNT = bool(shutil.which("bindfs")) and os.access("/dev/fuse", os.W_OK)

# The pipeline, which comes to a stand within publishing, or fails there: before its
# n-th step, counted over all jobs. A step is an exchange of folders, or a rename.
PROGRAM = """
import errno, sys, time
from pathlib import Path
from jobs.pipeline import JOBS
from jobs.engine import store
from jobs.runner import main

steps, exchange, fails, here, go_on = {arguments!r}

def counted(step):
    def take(*arguments):
        global steps
        steps -= 1
        if steps == -1 and fails:
            raise OSError(errno.EIO, "Input/output error")
        if steps == -1:
            Path(here).touch()
            while not Path(go_on).exists():
                time.sleep(0.01)
        return step(*arguments)
    return take

def refused(*_):
    raise OSError(errno.EINVAL, "Invalid argument")

if exchange == "counts":
    store._exchange = counted(store._exchange)
elif exchange == "is to be refused":
    store._exchange = refused
Path.rename = counted(Path.rename)
Path.replace = counted(Path.replace)
sys.exit(main(*JOBS, summary=""))
"""
FILES = 3  # of the report
STEPS = {True: len(TABLES) + FILES, False: 2 * len(TABLES) + FILES}

Ending = Callable[[subprocess.Popen[str], Path], None]


@dataclass(frozen=True)
class Disk:
    """A folder to publish in, and whether folders can be exchanged there."""

    path: Path
    can_exchange: bool


@pytest.fixture
def fuse(tmp_path: Path) -> Iterator[Path]:
    """A folder that exchanges no folders, and removes none with an open file in it.

    NFS does neither.
    """
    behind, path = tmp_path / "behind", tmp_path / "fuse"
    behind.mkdir()
    path.mkdir()
    subprocess.run(["bindfs", behind, path], check=True)
    yield path
    unmount = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount", "-uz"]
    subprocess.run([*unmount, path], check=True)


@pytest.fixture
def disk(request, tmp_path: Path) -> Disk:
    """One that cannot exchange folders is a real one, where that can be mounted."""
    can_exchange: bool = request.param
    if can_exchange or not CAN_MOUNT:
        return Disk(tmp_path, can_exchange)
    return Disk(request.getfixturevalue("fuse"), can_exchange)


def stops(*numbers: signal.Signals) -> Ending:
    """Signals that a run hears of while it publishes, and heeds when that is done."""

    def end(process: subprocess.Popen[str], go_on: Path) -> None:
        for number in numbers:
            process.send_signal(number)
        go_on.touch()

    return end


def stops_at_once(process: subprocess.Popen[str], go_on: Path) -> None:
    """Ctrl-C, until the run is gone."""

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


def end_while_publishing(
    ending: str, step: int, disk: Disk, at: Path, version: Version, prefix: Path
) -> None:
    """Have a run end like this, before a step of its publishing."""
    here, go_on = at / "here", at / "go on"
    for path in (here, go_on):
        path.unlink(missing_ok=True)
    end = ENDINGS[ending]
    if disk.can_exchange:
        exchange = "counts"
    else:
        exchange = "is refused" if CAN_MOUNT else "is to be refused"
    arguments = (step, exchange, end is None, str(here), str(go_on))
    program = PROGRAM.format(arguments=arguments)
    process = start(version.path, prefix, python=("-c", program), **RATIO)
    if end:
        wait_until(lambda: here.exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        end(process, go_on)
    code, error = finish(process)
    if ending in IN_ORDER:
        assert (code, error) == (1, "error: interrupted")
    elif end:
        assert code in (-signal.SIGKILL, -signal.SIGINT)
    else:
        assert code == 1
        assert "half done, and the next run ends it" in error
        assert "Input/output error" in error


def runs_of(prefix: Path) -> dict[Table, str | None]:
    """The run of each table, None of one that is not there."""
    runs = dict.fromkeys(TABLES)
    for table in TABLES:
        path = prefix / table.name / "format=parquet" / "_run.json"
        if path.exists():
            runs[table] = json.loads(path.read_text())["run_id"]
    return runs


def mixed(prefix: Path) -> list[str]:
    """The jobs whose tables are not all of one run."""
    runs = runs_of(prefix)
    return [
        job
        for job, tables in WRITTEN_BY.items()
        if len({runs[table] for table in tables}) > 1
    ]


def is_half_done(prefix: Path) -> bool:
    """Whether the tables of a job are of two runs; verify says the same."""
    code, error = run(prefix, prefix, python=("-m", "jobs.verify"), ENGINE="duckdb")
    half = mixed(prefix)
    assert code == len(half), error
    for job in half:
        [died] = [path.parent.name for path in found(prefix, "_tmp/*/publishing")]
        assert f"the tables of {job} are not of one run" in error
        assert f"publication of run {died} is half done, and the next run ends" in error
    return half != []


def assert_ended(prefix: Path, tables_of: dict[str | None, Tables]) -> None:
    """Every table is there, whole, and of one run with those of its job."""
    assert mixed(prefix) == []
    for table, run_id in runs_of(prefix).items():
        assert published.rows(prefix, table) == tables_of[run_id][table.name], table
    assert list((prefix / "_tmp").iterdir()) == []


@dataclass
class Attacked:
    """A prefix, and what the tables of each run that published in it should be."""

    prefix: Path
    versions: list[Version]
    tables_of: dict[str | None, Tables]
    rounds: int = 0
    half_done: int = 0

    def attack(self, end: Callable[[Version, Path], None]) -> None:
        """End a run like this, look, and have the next run end what it left."""
        version = self.versions[(self.rounds + 1) % 2]
        end(version, self.prefix)
        self.half_done += is_half_done(self.prefix)
        begun = [path.parent.name for path in found(self.prefix, "_tmp/*/publishing")]
        new = {*begun, *runs_of(self.prefix).values()} - {*self.tables_of, None}
        self.tables_of |= dict.fromkeys(new, version.tables)
        # Every other time the next run writes tables itself.
        if self.rounds % 2:
            code, error = run(version.path, self.prefix, ENGINE="duckdb", **RATIO)
            assert code == 0, error
            [run_id] = {*runs_of(self.prefix).values()}
            self.tables_of[run_id] = version.tables
        else:
            sweep(self.prefix)
        assert_ended(self.prefix, self.tables_of)
        self.rounds += 1


@pytest.fixture
def attacked(versions, disk) -> Attacked:
    prefix = Path(shutil.copytree(versions[0].output, disk.path / "out"))
    [run_id] = {*runs_of(prefix).values()}
    return Attacked(prefix, versions, {run_id: versions[0].tables})


def attack_at_random(attacked: Attacked, disk: Disk, at: Path, times: int) -> str:
    """What was tried: every ending before every step, as chance has it."""
    endings = Counter[str]()
    for _ in range(times):
        ending = random.choice([*ENDINGS])
        step = random.randrange(STEPS[disk.can_exchange])
        attacked.attack(partial(end_while_publishing, ending, step, disk, at))
        endings[ending] += 1
    return ", ".join(f"{ending} {n}" for ending, n in sorted(endings.items()))


def end_in_a_race(version: Version, prefix: Path) -> None:
    """Have a run end by a signal as soon as it is seen to publish, or a bit later."""
    process = start(version.path, prefix, **RATIO)
    for is_publishing in [False, True] * random.randint(1, len(WRITTEN_BY)):
        while publishes(prefix) != is_publishing and process.poll() is None:
            pass  # it takes milliseconds
    time.sleep(random.choice([0, random.uniform(0, 0.02)]))
    process.send_signal(random.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL]))
    code, _ = finish(process)
    assert code in (0, 1, -signal.SIGKILL)


def exchanging(*params: bool) -> pytest.MarkDecorator:
    """Disks for a test: some that can exchange folders, some that cannot."""
    ids = ["exchange" if can else "no exchange" for can in params]
    return pytest.mark.parametrize("disk", params, ids=ids, indirect=True)


# The store is the same for both engines, and a run takes Spark long.
@exchanging(*([True, False] if ENGINE == "duckdb" else [False]))
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_that_ends_while_it_publishes_mixes_and_loses_nothing(
    attacked, disk, tmp_path, ending, tried
):
    half_way = STEPS[disk.can_exchange] // 4  # of the first job's, between two renames
    attacked.attack(partial(end_while_publishing, ending, half_way, disk, tmp_path))
    assert attacked.half_done == (ending not in IN_ORDER)
    tried(f"{ending}: {said(attacked)}")


@exchanging(*([True, False] if ENGINE == "duckdb" else [True]))
def test_a_run_that_is_signalled_in_the_midst_of_publishing_mixes_nothing(
    attacked, disk, tried
):
    attacked.attack(end_in_a_race)
    tried(said(attacked))


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
    tried(f"{said(attacked)}: {endings}, a race {RACES}")


def said(attacked: Attacked) -> str:
    return (
        f"{attacked.rounds} ended while publishing, {attacked.half_done} left half of"
        " it and verify said so; 0 mixed and 0 lost after the next run"
    )


@pytest.mark.skipif(not CAN_MOUNT, reason="it takes bindfs and /dev/fuse")
def test_a_reader_with_open_files_stops_no_publishing(versions, fuse, tried):
    prefix = Path(shutil.copytree(versions[0].output, fuse / "out"))
    held = [published.files(prefix, table)[0].open() for table in TABLES]
    code, error = run(versions[1].path, prefix, **RATIO)
    assert code == 0, error
    assert published.everything(prefix) == versions[1].tables
    assert left_over(prefix) != []
    for file in held:
        file.close()
    sweep(prefix)
    assert left_over(prefix) == []
    tried(f"{len(held)} files held open on a disk that removes none of these")
