"""The record of a prefix: which run each table came from, and its data files.

``{prefix}/_tables/current.json`` holds it. A run that is published replaces it in one
step.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jobs import __version__
from jobs.engine.base import DataFile
from jobs.errors import InputError, RunError, SettingError
from jobs.tables import TABLES, Table

FORMAT = 2
"""Every change of a table's rows or columns raises it. Version 0.1 wrote no number."""


@dataclass(frozen=True)
class TableRecord:
    """What is known of a published table.

    Attributes:
        run_id: the run that wrote it.
        files: its data files.
        made_from: the run of each table that it was made from, by that table's name.
        version: the version of this project that wrote it.
        format: the format number of that version.
    """

    run_id: str
    files: tuple[DataFile, ...]
    made_from: Mapping[str, str] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT

    @property
    def is_older(self) -> bool:
        """Whether a version with other rows or columns wrote it."""
        return self.format < FORMAT

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class State:
    """The tables of a prefix after a run.

    Attributes:
        run_id: the run that was published last.
        tables: the record of each table that is there, by its name.
    """

    run_id: str
    tables: Mapping[str, TableRecord]

    def after(self, run_id: str, changed: Mapping[str, TableRecord]) -> "State":
        """The state once a run has published these tables."""
        return State(run_id, {**self.tables, **changed})

    def changed(self) -> list[Table]:
        """The tables that the last run has written."""
        return [
            table
            for table in TABLES
            if (record := self.tables.get(table.name)) and record.run_id == self.run_id
        ]

    def record(self, table: Table) -> TableRecord:
        """What is known of a table.

        Raises:
            InputError: it is not there, or an older version wrote it.
        """
        record = self.tables.get(table.name)
        if record is None:
            raise InputError(
                f"there is no table {table.name} yet: run {table.written_by}"
            )
        if record.is_older:
            raise InputError(
                f"{table.name} was written by version {record.version}: run"
                f" {table.written_by} to make it anew"
            )
        return record

    def origins(self) -> dict[str, dict[str, Any]]:
        """The run of each table and its rows, by its name, for the ledger."""
        return {
            name: {"run_id": record.run_id, "rows": record.rows}
            for name, record in self.tables.items()
        }

    def as_json(self) -> bytes:
        told = {
            "format": FORMAT,
            "version": __version__,
            "run_id": self.run_id,
            "tables": {name: asdict(record) for name, record in self.tables.items()},
        }
        return (json.dumps(told, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes, path: Path) -> "State":
        """What :meth:`as_json` wrote to a path.

        Raises:
            SettingError: a later version wrote it.
            RunError: it is damaged.
        """
        try:
            told = json.loads(content)
            later = told["format"] > FORMAT
            if not later:
                tables = {
                    name: _record(record) for name, record in told["tables"].items()
                }
                return cls(told["run_id"], tables)
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path}: it is damaged ({error}); if you remove it, a run of the whole"
                " pipeline makes all tables anew"
            ) from error
        raise SettingError(
            f"OUTPUT_DATA_PATH_PREFIX={path.parents[1]}: its tables are of format"
            f" {told['format']}, which version {told['version']} wrote; version"
            f" {__version__} reads format {FORMAT} and earlier ones"
        )


def _record(told: Mapping[str, Any]) -> TableRecord:
    files = tuple(DataFile(**file) for file in told["files"])
    return TableRecord(**{**told, "files": files})
