"""The published tables of a prefix, and how a run publishes all of its tables at once.

To publish its tables, a run first writes the next state of the prefix to the file
``_tmp/{run}/publishing``, the *intent*. The format of the tables then publishes each
table. The last step of the run moves the intent to ``_tables/current.json``.

As soon as the intent exists, the new tables are the published ones, and readers find
them. If the run dies, the next run finishes its publication. All steps that may run out
of disk space come before the intent.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.engine.base import TableFiles
from jobs.errors import InputError, PrefixInUseError, RunError
from jobs.publishing import version_1
from jobs.publishing.formats import (
    FORMATS,
    Change,
    ConflictError,
    NotPublishedError,
    TableFormat,
    missing,
    published_folder,
    staging_folder,
)
from jobs.publishing.parquet import ParquetFormat
from jobs.publishing.state import State, TableRecord
from jobs.settings import DELTA, PARQUET
from jobs.storage.local import LocalStorage, flush
from jobs.tables import REJECTED_EVENTS, TABLES, Table, names

if TYPE_CHECKING:
    from jobs.publishing.delta import DeltaFormat

PUBLISHING = "publishing"
FILES = "files"
_FAILED = "_failed"
_STORAGE = LocalStorage()


@dataclass(frozen=True)
class Snapshot:
    """The published tables after one run.

    Attributes:
        state: the record of each table.
        half_done: the run whose publication is not finished; None if there is none.
        prefix: the folder of the tables.
        folders: the folder of each table, by its name, that this run publishes.
    """

    state: State
    half_done: str | None
    prefix: Path
    folders: Mapping[str, Path] = field(default_factory=dict)

    def files(self, table: Table) -> TableFiles:
        """The data files of a table, and the folder that has them.

        Raises:
            InputError: the table does not exist, one of its files is gone, or an older
                version wrote the table.
        """
        record = self.state.record(table)
        folder = self.folders.get(table.name) or published_folder(
            self.prefix, table, record.table_format
        )
        files = TableFiles(folder, record.files)
        for path in missing(files):
            raise InputError(f"{path}: it is gone; run {table.written_by} again")
        return files


class Prefix:
    """The tables of a prefix.

    Attributes:
        path: the folder of the tables.
        table_format: the format that a run publishes its tables in.
    """

    def __init__(self, path: Path, table_format: str = PARQUET) -> None:
        self.path = path
        self.table_format = table_format
        self._record = path / "_tables" / "current.json"
        self._replaced: list[Path] = []
        self._formats: dict[str, TableFormat] = {}

    def current(self) -> Snapshot:
        """The tables that a reader sees now; this takes no lock.

        Raises:
            SettingError: a later version wrote the tables.
            RunError: the record of the tables is damaged.
        """
        for intent in self._intents():
            # A run that finishes its publication meanwhile takes its intent away.
            if content := _STORAGE.read(intent):
                state = State.from_json(content, intent, self.path)
                scratch = intent.parent
                # The files of a Delta table never move.
                tables = ParquetFormat(self.path)
                folders = {
                    table.name: tables.folder(table, record, scratch)
                    for table, record in state.changed().items()
                    if record.table_format == PARQUET
                }
                return Snapshot(state, scratch.name, self.path, folders)
        content = _STORAGE.read(self._record)
        if content is None:
            return Snapshot(version_1.state(self.path), None, self.path)
        state = State.from_json(content, self._record, self.path)
        return Snapshot(state, None, self.path)

    def begin(self, tables: Sequence[Table]) -> None:
        """Note the tables that a run writes as they are now."""
        self._format(self.table_format).begin(tables)

    def state_after(self, changes: Sequence[Change], run_id: str) -> State:
        """The state of the prefix once a run has published its changes."""
        tables = self._format(self.table_format)
        records = {
            change.table.name: tables.record(change, run_id) for change in changes
        }
        return self.current().state.after(run_id, records)

    def commit(self, changes: Sequence[Change], scratch: Path) -> list[str]:
        """Publish the tables and files that a run has written in its scratch folder.

        Replaced folders stay in the scratch folder until :meth:`remove_replaced`.

        Args:
            changes: the tables.
            scratch: the folder of the run, ``_tmp/{run}``.

        Returns: sentences for the person who started the run.

        Raises:
            OSError: nothing is published.
            PrefixInUseError: nothing is published, since another program has changed a
                table.
            RunError: nothing is published, or the publication is half done and the next
                run has to finish it.
        """
        run_id = scratch.name
        tables = self._format(self.table_format)
        state = self.state_after(changes, run_id)
        intent = scratch / PUBLISHING
        try:
            copied = tables.prepare(changes, scratch)
            for _, published in _files_beside_tables(scratch / FILES, self.path):
                published.parent.mkdir(exist_ok=True)
            self._record.parent.mkdir(exist_ok=True)
            for folder in (scratch, scratch.parent, self.path):
                flush(folder)
            _STORAGE.put_if_absent(intent, state.as_json())
        except OSError:
            _STORAGE.delete(intent)
            tables.discard(scratch)
            raise
        try:
            self._finish(intent, state)
        except ConflictError as error:
            raise PrefixInUseError(f"nothing is published: {error}") from error
        except NotPublishedError as error:
            raise RunError(f"nothing is published: {error}") from error
        except OSError as error:
            raise RunError(
                f"the publication of run {run_id} is half done, and the next run"
                f" finishes it: {error}"
            ) from error
        self._replaced += [scratch / change.table.name for change in changes]
        self._replaced += self._in_other_formats(state)
        if not copied:
            return []
        return [
            f"The file system of {self.path} has no hard links, so files of"
            f" {names(copied)} were copied."
        ]

    def remove_replaced(self) -> None:
        """Remove the folders that a commit replaced.

        The next run removes a folder that cannot be removed now, for example because a
        reader on NFS has one of its files open.
        """
        while self._replaced:
            shutil.rmtree(self._replaced.pop(), ignore_errors=True)

    def keep_failed(self, table: Table, scratch: Path) -> Path:
        """Keep a table of a run that publishes nothing; returns the table's folder.

        The folder stays until a run publishes rejected_events.
        """
        kept = self.path / _FAILED / scratch.name / table.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        staging_folder(scratch, table, self.table_format).rename(kept)
        return kept

    def recover(self) -> list[str]:
        """Finish the publications of dead runs, and remove all their other files.

        Only the writer that has the prefix's lock may call this method.

        Returns: sentences for the person who started the run.
        """
        notes = [_done_now(run_id) for run_id in version_1.recover(self.path)]
        for intent in self._intents():
            if content := _STORAGE.read(intent):
                run_id = intent.parent.name
                try:
                    self._finish(intent, State.from_json(content, intent, self.path))
                    notes.append(_done_now(run_id))
                except NotPublishedError as error:
                    notes.append(
                        f"The publication of run {run_id} was half done, and is undone:"
                        f" {error}."
                    )
        state = self.current().state
        for scratch in (self.path / "_tmp").glob("*"):
            # The links of the run that was published last are the published files.
            if scratch.name != state.run_id and any(scratch.glob(f"*/format={DELTA}")):
                self._format(DELTA).discard(scratch)
        for folder in (self.path / "_tmp", *self._in_other_formats(state)):
            shutil.rmtree(folder, ignore_errors=True)
        return notes

    def problem(self, table: Table, record: TableRecord) -> str | None:
        """A sentence, if a reader of a published folder finds other files."""
        return self._format(record.table_format).problem(table, record)

    def delta(self) -> "DeltaFormat":
        """The Delta tables of the prefix.

        Raises:
            RunError: the package that they need is not installed.
        """
        # A run without Delta tables does without the package.
        from jobs.publishing.delta import DeltaFormat

        return DeltaFormat(self.path)

    def _format(self, name: str) -> TableFormat:
        if name not in self._formats:
            made = self.delta() if name == DELTA else ParquetFormat(self.path)
            self._formats[name] = made
        return self._formats[name]

    def _in_other_formats(self, state: State) -> list[Path]:
        """The folders of tables that are now published in another format."""
        folders = (
            published_folder(self.path, table, name)
            for table in TABLES
            for name in FORMATS
            if table.name in state.tables
            and name != state.tables[table.name].table_format
        )
        return [folder for folder in folders if folder.exists()]

    def _intents(self) -> list[Path]:
        runs = self.path / "_tmp"
        try:
            found = sorted(runs.iterdir())
        except FileNotFoundError:
            return []
        except PermissionError as error:
            raise RunError(
                f"{runs}: permission denied, so whether a publication is half done"
                " cannot be seen"
            ) from error
        intents = (scratch / PUBLISHING for scratch in found)
        return [intent for intent in intents if intent.exists()]

    def _finish(self, intent: Path, state: State) -> None:
        """Publish the tables and files of a run; those that are published stay.

        Raises:
            OSError: some are published, and this can be repeated.
            NotPublishedError: none is published, and the intent is gone.
        """
        scratch = intent.parent
        changed = state.changed()
        for name in FORMATS:
            records = {t: r for t, r in changed.items() if r.table_format == name}
            try:
                if records:
                    self._format(name).publish(records, scratch)
            except NotPublishedError:
                _STORAGE.delete(intent)
                self._format(name).discard(scratch)
                raise
        for staging, published in _files_beside_tables(scratch / FILES, self.path):
            staging.replace(published)
        if REJECTED_EVENTS in changed:
            shutil.rmtree(self.path / _FAILED, ignore_errors=True)
        intent.replace(self._record)
        with suppress(OSError):  # the publication is finished, whether or not this is
            flush(self._record.parent)


def _done_now(run_id: str) -> str:
    return f"The publication of run {run_id} was half done: it is done now."


def _files_beside_tables(written: Path, prefix: Path) -> Iterator[tuple[Path, Path]]:
    """The staging path and the published path of each file that is no table's."""
    for path in sorted(written.rglob("*")):
        if path.is_file():
            yield path, prefix / path.relative_to(written)
