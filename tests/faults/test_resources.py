"""A full disk or too little memory is a clear error, or no error."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.pipeline import JOBS
from tests.faults.conftest import RATIO, assert_whole, run
from tests.support import published
from tests.support.engine import ENGINE
from tests.support.processes import make_events

SUDO = [] if os.geteuid() == 0 else ["sudo", "-n"]


def mount(disk: Path, options: str) -> None:
    """Mount a disk in memory, which needs root."""
    options += f",uid={os.geteuid()}"
    command = [*SUDO, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    subprocess.run(command, check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, "size=8m")
    yield disk
    subprocess.run([*SUDO, "umount", "--lazy", str(disk)], check=True)


MORE = (0, 16, 64, 128, 256, 384, 512)
ALL_KILOBYTES = (
    [(16, 128, 384), pytest.param(MORE, marks=pytest.mark.long)]
    if ENGINE == "duckdb"
    else [(64,), pytest.param((0,), marks=pytest.mark.long)]
)


@pytest.mark.delta
@pytest.mark.parametrize("all_kilobytes", ALL_KILOBYTES, ids=str)
def test_a_full_disk_is_a_clear_error_that_leaves_the_old_tables(
    versions, small_disk, all_kilobytes, tried
):
    prefix = Path(shutil.copytree(versions[0].output, small_disk / "out"))
    filler = small_disk / "filler"
    free = (os.statvfs(small_disk).f_bavail - 1) * os.statvfs(small_disk).f_bsize
    refused = 0
    for kilobytes in all_kilobytes:
        filler.write_bytes(bytes(free - kilobytes * 1024))
        code, error = run(versions[1].path, prefix, **RATIO)
        filler.unlink()
        assert_whole(prefix, versions)
        if code == 0:
            break
        refused += 1
        assert code == 1
        assert "error: " in error and (
            "no space left on the disk" in error or "No space left on device" in error
        )
        assert not (prefix / "_tmp").exists() or not any((prefix / "_tmp").iterdir())
    assert refused >= min(2, len(all_kilobytes))
    assert run(versions[1].path, prefix, **RATIO)[0] == 0
    assert published.everything(prefix) == versions[1].tables
    tried(f"{refused} runs on a full disk: exit 1, one line, the old tables")


if ENGINE == "duckdb":

    @pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.long)])
    def test_without_free_inodes_a_disk_has_all_tables_of_a_job_or_none(
        versions, small_disk, step, tried
    ):
        prefix = small_disk / "out"
        job = ("-m", "jobs.events_split")
        tables = JOBS[0].writes

        assert run(versions[1].path, prefix, python=job, **RATIO)[0] == 0
        disk = os.statvfs(small_disk)
        needed = disk.f_files - disk.f_ffree
        refused = 0
        for limit in range(needed - 10, needed + 50, step):
            shutil.rmtree(prefix)
            mount(small_disk, f"remount,nr_inodes={limit}")
            code, error = run(versions[1].path, prefix, python=job, **RATIO)
            there = [t for t in tables if any(published.files(prefix, t))]
            mount(small_disk, "remount,nr_inodes=10000")
            if code == 0:
                break
            refused += 1
            assert (code, there) == (1, []), error
        assert (code, there) == (0, [*tables])
        assert refused >= 10 // step
        tried(f"{refused} runs without inodes: exit 1, one line, no table")

    @pytest.mark.parametrize("times", [2, pytest.param(4, marks=pytest.mark.long)])
    def test_an_input_of_many_times_the_memory_is_processed_by_spilling(
        tmp_path, times, tried
    ):
        made = make_events(tmp_path / "in", times * 650_000)
        size = sum(path.stat().st_size for path in made.iterdir())
        assert size > times * 150e6
        code, error = run(made, tmp_path / "out", MEMORY_LIMIT="150MB")
        assert code == 0, error
        assert list((tmp_path / "out" / "_tmp").iterdir()) == []
        tried(f"{size / 1e6:,.0f} MB of input with MEMORY_LIMIT=150MB")


def test_too_little_memory_is_a_clear_error_that_leaves_the_old_tables(
    versions, prefix, tried
):
    limit = "8MB"
    code, error = run(versions[1].path, prefix, MEMORY_LIMIT=limit, **RATIO)
    assert (code, error) == (
        (1, "error: out of memory at MEMORY_LIMIT=8MB: it needs more, at least 128MB")
        if ENGINE == "duckdb"
        else (2, "error: MEMORY_LIMIT=8MB: Spark takes 512MB or more")
    )
    assert_whole(prefix, versions)
    tried(f"MEMORY_LIMIT={limit}: exit {code}, one line, the old tables")
