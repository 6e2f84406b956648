"""The peers of the benchmark write the same tables as the pipeline."""

import shutil
import sys

import pytest

from benchmarks.agree import COMPARED, differences
from benchmarks.peers import duckdb_sql, polars_script
from benchmarks.process import CommandError, measure
from benchmarks.table_jobs import TABLE_JOBS
from tests.support.processes import make_events
from tests.support.runs import run_jobs


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = make_events(tmp_path_factory.mktemp("events"), 5000)
    # The peers read only plain files; a larger input has no others.
    shutil.rmtree(folder / "spellings")
    for path in folder.glob("events-*"):
        if path.suffix != ".jsonl":
            path.unlink()
    return folder


@pytest.fixture(scope="module")
def ours(source, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("ours")
    paths = {"input_data_path": source, "output_data_path_prefix": prefix}
    assert run_jobs(prefix, *TABLE_JOBS, **paths).code == 0
    return prefix


@pytest.mark.slow
@pytest.mark.parametrize("peer", [duckdb_sql, polars_script])
def test_a_peer_gives_the_tables_of_the_pipeline(peer, source, ours, tmp_path):
    peer.run(source, tmp_path)
    assert list(differences(ours, tmp_path)) == []


@pytest.mark.slow
def test_tables_of_other_lines_differ(source, ours, tmp_path):
    last = max(source.glob("events-*.jsonl"))
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in source.glob("*"):
        if path != last:
            (fewer / path.name).write_bytes(path.read_bytes())
    duckdb_sql.run(fewer, tmp_path / "out")
    found = "\n".join(differences(ours, tmp_path / "out"))
    same = {"users", "videos"}
    assert all(
        (f"{t.name}: only in ours" in found) != (t.name in same) for t in COMPARED
    )


def test_memory_and_time_are_those_of_all_processes(tmp_path):
    # The child of the command goes on after the command has ended.
    child = "import time; memory = b'1' * 50_000_000; time.sleep(0.3)"
    start = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])"
    )
    usage = measure([sys.executable, "-c", start], {}, tmp_path / "log")
    assert usage.peak_memory > 50_000_000
    assert 0 < usage.wall < 10
    assert 0 < usage.cpu < 10


def test_the_error_of_a_command_has_its_output(tmp_path):
    with pytest.raises(CommandError, match="no such luck"):
        measure(["sh", "-c", "echo no such luck; exit 3"], {}, tmp_path / "log")
