"""The published tables in a notebook: SQL on either engine, results for pandas."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jobs.engine import Store, find_table, open_engine
from jobs.settings import RunSettings, load
from jobs.tables import TABLES


class Tables:
    """Every table, under its layer and name: ``mart.fact_user_session``."""

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
        self.prefix = Path(self.settings.output_data_path_prefix).absolute()
        folders = {table: find_table(self.prefix, table) for table in TABLES}
        scratch = tempfile.mkdtemp()  # a prefix of its own, for what it spills
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        self._engine = open_engine(self.settings, Store(scratch))
        atexit.register(self._engine.close)
        for table, folder in folders.items():
            self._engine.name(table, folder)

    def sql(self, query: str) -> Any:
        """The pandas DataFrame of a query in Spark's SQL, whichever engine runs it."""
        return self._engine.ask(query)
