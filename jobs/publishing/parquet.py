"""Tables as folders of Parquet files, which are published by exchanging folders.

A run writes each table to its staging folder, and then exchanges this folder with the
published folder. Until the folders are exchanged, readers find the new table in the
staging folder.
"""

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.engine.base import TableFiles
from jobs.publishing.formats import (
    Change,
    missing,
    published_folder,
    staging_folder,
)
from jobs.publishing.state import TableRecord
from jobs.settings import PARQUET
from jobs.storage.local import flush, link, replace_folder
from jobs.tables import Table


@dataclass(frozen=True)
class ParquetFormat:
    """The Parquet tables of a prefix."""

    prefix: Path

    def begin(self, tables: Iterable[Table]) -> None:
        """Nothing to note: only the writer that has the lock replaces a folder."""

    def record(self, change: Change, run_id: str) -> TableRecord:
        return TableRecord(run_id, change.kept + change.added, change.made_from)

    def prepare(self, changes: Sequence[Change], scratch: Path) -> list[Table]:
        copied = []
        for change in changes:
            staging = staging_folder(scratch, change.table, PARQUET)
            published = published_folder(self.prefix, change.table, PARQUET)
            linked = [
                link(published / file.path, staging / file.path) for file in change.kept
            ]
            if not all(linked):
                copied.append(change.table)
            flush(staging)
            published.parent.mkdir(parents=True, exist_ok=True)
            _check_can_replace(staging, published)
        return copied

    def publish(self, records: Mapping[Table, TableRecord], scratch: Path) -> None:
        for table, record in records.items():
            staging = staging_folder(scratch, table, PARQUET)
            if _has_exactly(staging, record):
                # Readers and the next run find the new table in the staging folder
                # while the published folder does not exist.
                replace_folder(
                    published_folder(self.prefix, table, PARQUET),
                    staging,
                    staging.with_name("replaced"),
                )

    def discard(self, scratch: Path) -> None:
        """Nothing to undo: the scratch folder has all files."""

    def folder(self, table: Table, record: TableRecord, scratch: Path) -> Path:
        staging = staging_folder(scratch, table, PARQUET)
        if _has_exactly(staging, record):
            return staging
        return published_folder(self.prefix, table, PARQUET)

    def problem(self, table: Table, record: TableRecord) -> str | None:
        folder = published_folder(self.prefix, table, PARQUET)
        # A reader of the folder would count the rows of these files.
        strays = {*folder.rglob("*")} - {*TableFiles(folder, record.files).paths}
        strays = {path for path in strays if path.is_file()}
        if not strays:
            return None
        return f"{min(strays)} is no file of the table: remove it"


def _check_can_replace(staging: Path, published: Path) -> None:
    """Check that a published folder can be replaced by renaming.

    Raises:
        OSError: it cannot; the message names the folder.
    """
    beside = published.parent
    if beside.stat().st_dev != staging.stat().st_dev:
        code = errno.EXDEV
    elif not os.access(beside, os.W_OK) or (
        published.exists() and not os.access(published, os.W_OK)
    ):
        code = errno.EACCES
    else:
        return
    raise OSError(code, os.strerror(code), str(beside))


def _has_exactly(folder: Path, record: TableRecord) -> bool:
    """Whether a folder has the data files of a table and no others."""
    if missing(TableFiles(folder, record.files)):
        return False
    return sum(1 for _ in folder.rglob("*.parquet")) == len(record.files)
