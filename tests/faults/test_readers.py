"""A reader finds the tables of one run while runs publish them."""

import threading
from pathlib import Path

import duckdb
import pytest

from jobs.tables import TABLES
from tests.faults.conftest import RATIO, run
from tests.support import published
from tests.support.engine import ENGINE


class Reader(threading.Thread):
    """Reads all tables until it is stopped, as ``docs/reliability.md`` describes."""

    def __init__(self, prefix: Path, versions):
        super().__init__()
        self.prefix, self.versions = prefix, versions
        self.stopped = threading.Event()
        self.whole, self.repeated = 0, 0
        self.torn: list[object] = []

    def run(self):
        while not self.stopped.is_set():
            record = published.recorded(self.prefix)
            try:
                tables = {
                    table.name: published.rows(
                        self.prefix, table, record[table.name].files
                    )
                    for table in TABLES
                }
            except (OSError, duckdb.IOException):
                self.repeated += 1  # a run has published, so read the new record
                continue
            if any(tables == version.tables for version in self.versions):
                self.whole += 1
            else:
                self.torn.append(tables)


@pytest.mark.delta
@pytest.mark.long_on_spark
def test_a_reader_finds_the_tables_of_one_run(versions, prefix, tried):
    runs = 4 if ENGINE == "duckdb" else 1
    reader = Reader(prefix, versions)
    reader.start()
    for number in range(runs):
        code, error = run(versions[(number + 1) % 2].path, prefix, **RATIO)
        assert code == 0, error
    reader.stopped.set()
    reader.join()
    assert reader.torn == []
    assert reader.whole > 3 * runs
    tried(
        f"all tables read {reader.whole:,} times while {runs} runs published,"
        f" {reader.repeated} times anew, never those of two runs"
    )
