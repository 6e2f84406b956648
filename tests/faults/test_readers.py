"""A reader finds a table whole while runs publish it."""

import json
import threading
from pathlib import Path

import duckdb

from jobs.tables import TABLES
from tests.faults.conftest import RATIO, run
from tests.support import published
from tests.support.engine import ENGINE


def origin(prefix, table):
    """Which run the table is of."""
    path = prefix / table.name / "format=parquet" / "_run.json"
    return json.loads(path.read_text())["run_id"]


class Reader(threading.Thread):
    """Reads all tables until it is stopped, as ``docs/reliability.md`` says."""

    def __init__(self, prefix: Path, versions):
        super().__init__()
        self.prefix, self.versions = prefix, versions
        self.stopped = threading.Event()
        self.whole, self.repeated = 0, 0
        self.torn: list[object] = []

    def run(self):
        while not self.stopped.is_set():
            for table in TABLES:
                try:
                    before = origin(self.prefix, table)
                    rows = published.rows(self.prefix, table)
                    after = origin(self.prefix, table)
                except (OSError, duckdb.IOException):
                    self.repeated += 1  # what it was about to open has been replaced
                    continue
                if before != after:
                    self.repeated += 1
                elif any(rows == v.tables[table.name] for v in self.versions):
                    self.whole += 1
                else:
                    self.torn.append((table.name, before, rows))


def test_a_reader_finds_the_old_table_or_the_new_one(versions, prefix, tried):
    runs = 6 if ENGINE == "duckdb" else 1
    reader = Reader(prefix, versions)
    reader.start()
    for number in range(runs):
        code, error = run(versions[(number + 1) % 2].path, prefix, **RATIO)
        assert code == 0, error
    reader.stopped.set()
    reader.join()
    assert reader.torn == []
    assert reader.whole > 50 * runs
    tried(
        f"{reader.whole:,} tables read whole while {runs} runs published,"
        f" {reader.repeated} reads repeated, none torn"
    )
