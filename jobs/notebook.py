"""The published tables in a notebook: SQL on either engine, results for pandas."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jobs.engine import open_engine
from jobs.publishing.parquet import Snapshot
from jobs.publishing.reading import read_snapshot
from jobs.settings import RunSettings, load
from jobs.tables import TABLES


class Tables:
    """Every table, under its layer and name: ``mart.fact_user_session``.

    Each query sees the tables of one run, the newest that is published.
    """

    def __init__(self, **flags: str) -> None:
        """Open the engine that ENGINE names, until Python ends.

        Settings come from the environment, where no keyword such as ``engine="spark"``
        gives another. Nothing is locked: a run may publish meanwhile.

        Raises:
            SettingError: a setting is wrong.
            InputError: a table is not there.
            RunError: the engine cannot start here.
        """
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        [self.settings] = load((RunSettings,), "Tables", "", arguments)
        self.prefix = self.settings.prefix
        self._seen: Snapshot | None = None
        scratch = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        self._engine = open_engine(self.settings, scratch)
        atexit.register(self._engine.close)
        read_snapshot(self.prefix, self._create_views)

    def sql(self, query: str) -> Any:
        """The pandas DataFrame of a query in Spark's SQL, whichever engine runs it."""

        def answer(tables: Snapshot) -> Any:
            self._create_views(tables)
            return self._engine.sql(query)

        return read_snapshot(self.prefix, answer)

    def _create_views(self, tables: Snapshot) -> None:
        if tables == self._seen:
            return
        for table in TABLES:
            self._engine.create_view(table, tables.files(table))
        self._seen = tables
