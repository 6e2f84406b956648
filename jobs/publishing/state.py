"""The record of a prefix: the run that wrote each table, and the table's data files.

The file ``{prefix}/_tables/current.json`` is this record. A run that publishes replaces
the file in one step.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jobs import __version__
from jobs.engine.base import DataFile
from jobs.errors import InputError, RunError, SettingError
from jobs.settings import PARQUET
from jobs.tables import TABLES, Table

FORMAT = 4
"""Raise it when a table's rows or columns change. Version 0.1 wrote no number."""


@dataclass(frozen=True)
class TableRecord:
    """The record of a published table.

    Attributes:
        run_id: the run that wrote the table.
        files: its data files.
        made_from: the tables that it was made from: the run of each, by its name.
        table_format: the TABLE_FORMAT of the run.
        delta_version: the version of the Delta table that has these files; None for
            Parquet.
        version: the version of this project that wrote it.
        format: the format number of that version.
    """

    run_id: str
    files: tuple[DataFile, ...]
    made_from: Mapping[str, str] = field(default_factory=dict)
    table_format: str = PARQUET
    delta_version: int | None = None
    version: str = __version__
    format: int = FORMAT

    @property
    def is_older(self) -> bool:
        """Whether a version with other rows or columns wrote the table."""
        return self.format < FORMAT

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """The size of all data files, in bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class State:
    """The tables of a prefix after a run.

    Attributes:
        run_id: the run that was published last.
        tables: the record of each table that exists, by its name.
    """

    run_id: str
    tables: Mapping[str, TableRecord]

    def after(self, run_id: str, changed: Mapping[str, TableRecord]) -> "State":
        """The state after a run has published these tables."""
        return State(run_id, {**self.tables, **changed})

    def changed(self) -> dict[Table, TableRecord]:
        """The records of the tables that the last run has written."""
        return {
            table: record
            for table in TABLES
            if (record := self.tables.get(table.name)) and record.run_id == self.run_id
        }

    def record(self, table: Table) -> TableRecord:
        """The record of a table.

        Raises:
            InputError: the table does not exist, or an older version wrote it.
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

    def provenance(self) -> dict[str, dict[str, Any]]:
        """The run that wrote each table, its rows and its version, for the ledger."""
        return {
            name: {
                "run_id": record.run_id,
                "rows": record.rows,
                "format": record.format,
                "delta_version": record.delta_version,
            }
            for name, record in self.tables.items()
        }

    def as_json(self) -> bytes:
        document = {
            "format": FORMAT,
            "version": __version__,
            "run_id": self.run_id,
            "tables": {name: asdict(record) for name, record in self.tables.items()},
        }
        return (json.dumps(document, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes, path: Path, prefix: Path) -> "State":
        """The state that :meth:`as_json` wrote to a file of a prefix.

        Raises:
            SettingError: a later version wrote the file.
            RunError: the file is damaged.
        """
        try:
            document = json.loads(content)
            is_later = document["format"] > FORMAT
            if not is_later:
                tables = {
                    name: _record(record) for name, record in document["tables"].items()
                }
                return cls(document["run_id"], tables)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{path}: it is damaged ({error}); if you remove it, a run of the whole"
                " pipeline makes all tables anew"
            ) from error
        raise SettingError(
            f"OUTPUT_DATA_PATH_PREFIX={prefix}: its tables are of format"
            f" {document['format']}, which version {document.get('version')} wrote;"
            f" version {__version__} reads format {FORMAT} and earlier ones"
        )


def _record(document: Mapping[str, Any]) -> TableRecord:
    files = tuple(DataFile(**file) for file in document["files"])
    record = TableRecord(**{**document, "files": files})
    if record.format == FORMAT and not all(Path(file.path).name for file in files):
        raise ValueError("a data file has no name")
    if record.format == FORMAT and record.table_format == PARQUET and not files:
        raise ValueError("a table has no data file")
    return record
