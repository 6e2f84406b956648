"""The published tables in a notebook: SQL on either engine, pandas DataFrames."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jobs.engine import open_engine
from jobs.ledger import LEDGERS, Ledger
from jobs.publishing.prefix import Snapshot
from jobs.publishing.reading import read_snapshot
from jobs.settings import RunSettings, load
from jobs.tables import PLAYBACK_EVENTS, TABLES


class Tables:
    """Every published table, by its layer and name: ``mart.fact_user_session``.

    Each query reads the tables of one run, the newest that is published.
    """

    def __init__(self, **flags: str) -> None:
        """Open the engine that ENGINE names, until Python ends.

        Settings come from the environment; a keyword such as ``engine="spark"``
        overrides one. This takes no lock, so a run may publish meanwhile.

        Raises:
            SettingError: a setting is wrong.
            InputError: a table does not exist.
            RunError: the engine cannot start here.
        """
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        [self.settings] = load((RunSettings,), "Tables", "", arguments)
        self.prefix = self.settings.prefix
        self._seen: Snapshot | None = None
        scratch = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        self._engine = open_engine(
            self.settings, scratch, self.settings.reporting_timezone
        )
        atexit.register(self._engine.close)
        read_snapshot(self.prefix, self._create_views)

    def sql(self, query: str) -> Any:
        """The result of a query in Spark's SQL, on either engine, for pandas."""

        def answer(tables: Snapshot) -> Any:
            self._create_views(tables)
            return self._engine.sql(query)

        return read_snapshot(self.prefix, answer)

    @property
    def mapping(self) -> str | None:
        """The mapping that made the events of the tables, if there was one."""

        def mapping_of(tables: Snapshot) -> str | None:
            run_id = tables.state.record(PLAYBACK_EVENTS).run_id
            ledger = Ledger.read(self.prefix / LEDGERS / f"{run_id}.json")
            return ledger.mapping if ledger else None

        return read_snapshot(self.prefix, mapping_of)

    def _create_views(self, tables: Snapshot) -> None:
        if tables == self._seen:
            return
        for table in TABLES:
            self._engine.create_view(table, tables.files(table))
        self._seen = tables
