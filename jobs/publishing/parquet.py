"""Tables as folders of Parquet files, which a run publishes in one step.

A run writes each table to its staging folder, ``_tmp/{run}/{table}/format=parquet``. To
publish its tables, the run first writes the next state of the prefix to the file
``_tmp/{run}/publishing``, the *intent*. It then exchanges each staging folder with the
published folder. Its last step moves the intent to ``_tables/current.json``.

As soon as the intent exists, the new tables are the published ones. A reader looks for
each in the staging folder and in the published folder. If the run dies, the next run
finishes its publication. Every step that may run out of disk space comes before the
intent.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jobs.engine.base import DataFile, TableFiles
from jobs.errors import InputError, RunError
from jobs.publishing import version_1
from jobs.publishing.state import State, TableRecord
from jobs.storage.local import LocalStorage, flush, link, replace_folder
from jobs.tables import REJECTED_EVENTS, Table, names

PUBLISHING = "publishing"
FILES = "files"
_FAILED = "_failed"
_STORAGE = LocalStorage()


@dataclass(frozen=True)
class Change:
    """A table that a run publishes.

    Attributes:
        table: the table.
        added: the data files that the run wrote.
        made_from: the tables that this one was made from: the run of each, by its name.
        kept: the data files of the published table that stay.
    """

    table: Table
    added: tuple[DataFile, ...]
    made_from: Mapping[str, str]
    kept: tuple[DataFile, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The published tables after one run.

    Attributes:
        state: the record of each table.
        half_done: the run whose publication is not finished; None if there is none.
        prefix: the folder of the tables.
        in_staging: the folder of each table, by its name, that this run still has to
            move to its published path.
    """

    state: State
    half_done: str | None
    prefix: Path
    in_staging: Mapping[str, Path] = field(default_factory=dict)

    def files(self, table: Table) -> TableFiles:
        """The data files of a table, and the folder that has them.

        Raises:
            InputError: the table does not exist, one of its files is gone, or an older
                version wrote the table.
        """
        wanted = self.state.record(table).files
        published = published_folder(self.prefix, table)
        folder = self.in_staging.get(table.name, published)
        for missing in _missing(folder, wanted):
            raise InputError(f"{missing}: it is gone; run {table.written_by} again")
        return TableFiles(folder, wanted)


class ParquetTables:
    """The tables of a prefix."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self._record = prefix / "_tables" / "current.json"
        self._replaced: list[Path] = []

    def current(self) -> Snapshot:
        """The tables that a reader sees now; this takes no lock.

        Raises:
            SettingError: a later version wrote the tables.
            RunError: the record of the tables is damaged.
        """
        for intent in self._intents():
            # A run that finishes its publication meanwhile takes its intent away.
            if content := _STORAGE.read(intent):
                state = State.from_json(content, intent, self.prefix)
                scratch = intent.parent
                staging = {t: staging_folder(scratch, t) for t in state.changed()}
                in_staging = {
                    table.name: folder
                    for table, folder in staging.items()
                    if _has_exactly(folder, state.tables[table.name].files)
                }
                return Snapshot(state, scratch.name, self.prefix, in_staging)
        content = _STORAGE.read(self._record)
        if content is None:
            return Snapshot(version_1.state(self.prefix), None, self.prefix)
        state = State.from_json(content, self._record, self.prefix)
        return Snapshot(state, None, self.prefix)

    def state_after(self, changes: Sequence[Change], run_id: str) -> State:
        """The state of the prefix once a run has published its changes."""
        records = {
            change.table.name: TableRecord(
                run_id, change.kept + change.added, change.made_from
            )
            for change in changes
        }
        return self.current().state.after(run_id, records)

    def commit(self, changes: Sequence[Change], scratch: Path) -> list[str]:
        """Publish the tables and files that a run has written in its scratch folder.

        The replaced files stay in the scratch folder until :meth:`remove_replaced`.

        Args:
            changes: the tables.
            scratch: the folder of the run, ``_tmp/{run}``.

        Returns: sentences for the person who started the run.

        Raises:
            OSError: nothing is published.
            RunError: the publication is half done, and the next run has to finish it.
        """
        run_id = scratch.name
        state = self.state_after(changes, run_id)
        copied = []
        for change in changes:
            staging = staging_folder(scratch, change.table)
            if change.kept and not _add_kept_files(change, self.current(), staging):
                copied.append(change.table)
            flush(staging)
            published = published_folder(self.prefix, change.table)
            published.parent.mkdir(parents=True, exist_ok=True)
            _check_can_replace(staging, published)
        for _, published in _files_beside_tables(scratch / FILES, self.prefix):
            published.parent.mkdir(exist_ok=True)
        self._record.parent.mkdir(exist_ok=True)
        for folder in (scratch, scratch.parent, self.prefix):
            flush(folder)
        intent = scratch / PUBLISHING
        try:
            _STORAGE.put_if_absent(intent, state.as_json())
        except OSError:
            _STORAGE.delete(intent)
            raise
        try:
            self._exchange(intent, state)
        except OSError as error:
            raise RunError(
                f"the publication of run {run_id} is half done, and the next run"
                f" finishes it: {error}"
            ) from error
        self._replaced += [scratch / change.table.name for change in changes]
        if not copied:
            return []
        return [
            f"The file system of {self.prefix} has no hard links, so unchanged files"
            f" of {names(copied)} were copied."
        ]

    def remove_replaced(self) -> None:
        """Remove the files that a commit replaced.

        The next run removes a folder that cannot be removed now, for example because a
        reader on NFS has one of its files open.
        """
        while self._replaced:
            shutil.rmtree(self._replaced.pop(), ignore_errors=True)

    def keep_failed(self, table: Table, scratch: Path) -> Path:
        """Keep a table of a run that publishes nothing; returns the table's folder.

        The folder stays until a run publishes rejected_events.
        """
        kept = self.prefix / _FAILED / scratch.name / table.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        staging_folder(scratch, table).rename(kept)
        return kept

    def recover(self) -> list[str]:
        """Finish the publications of dead runs, and remove all their other files.

        Only the writer that has the prefix's lock may call this method.

        Returns: the runs whose publication it has finished.
        """
        finished = version_1.recover(self.prefix)
        for intent in self._intents():
            if content := _STORAGE.read(intent):
                self._exchange(intent, State.from_json(content, intent, self.prefix))
                finished.append(intent.parent.name)
        shutil.rmtree(self.prefix / "_tmp", ignore_errors=True)
        return finished

    def _intents(self) -> list[Path]:
        runs = self.prefix / "_tmp"
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

    def _exchange(self, intent: Path, state: State) -> None:
        """Move the tables and files of a run to their published paths.

        Tables and files that are there already stay.
        """
        scratch = intent.parent
        for table in state.changed():
            staging = staging_folder(scratch, table)
            if _has_exactly(staging, state.tables[table.name].files):
                # Readers and the next run find the new table in the staging folder
                # while the published folder does not exist.
                replace_folder(
                    published_folder(self.prefix, table),
                    staging,
                    staging.with_name("replaced"),
                )
        for staging, published in _files_beside_tables(scratch / FILES, self.prefix):
            staging.replace(published)
        if REJECTED_EVENTS in state.changed():
            shutil.rmtree(self.prefix / _FAILED, ignore_errors=True)
        intent.replace(self._record)
        with suppress(OSError):  # the publication is finished, whether or not this is
            flush(self._record.parent)


def published_folder(prefix: Path, table: Table) -> Path:
    """The folder of a published table."""
    return prefix / table.name / "format=parquet"


def staging_folder(scratch: Path, table: Table) -> Path:
    """The folder that a run writes a table to before it publishes the table."""
    return scratch / table.name / "format=parquet"


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


def _missing(folder: Path, wanted: Iterable[DataFile]) -> Iterator[Path]:
    """The data files that a folder lacks. No two data files have the same name."""
    for file in wanted:
        path = folder / file.path
        if not path.exists():
            yield path


def _has_exactly(folder: Path, wanted: Sequence[DataFile]) -> bool:
    """Whether a folder has these data files and no others."""
    if any(_missing(folder, wanted)):
        return False
    return sum(1 for _ in folder.rglob("*.parquet")) == len(wanted)


def _add_kept_files(change: Change, before: Snapshot, staging: Path) -> bool:
    """Link the data files that stay into the staging folder of their table.

    Returns: False if a file was copied, because the file system has no hard links.
    """
    published = before.files(change.table).folder
    linked = [link(published / file.path, staging / file.path) for file in change.kept]
    return all(linked)


def _files_beside_tables(written: Path, prefix: Path) -> Iterator[tuple[Path, Path]]:
    """The staging path and the published path of each file that is no table's."""
    for path in sorted(written.rglob("*")):
        if path.is_file():
            yield path, prefix / path.relative_to(written)
