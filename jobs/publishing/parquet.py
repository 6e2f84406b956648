"""Tables as folders of Parquet files, published in one go.

A run writes its tables in ``_tmp/{run}/{table}/format=parquet``. To publish them, it
writes down the state of the prefix as it will be, in ``_tmp/{run}/publishing``, and
then exchanges the folders. Its last step moves that state to ``_tables/current.json``.

From the moment when ``publishing`` stands, the new tables are the ones that count:
readers find each wherever it is, and whoever opens the prefix to write ends what a dead
run has begun. All that may fail for want of space comes before.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.engine.base import DataFile, TableFiles
from jobs.errors import InputError, RunError
from jobs.publishing import version_1
from jobs.publishing.state import State, TableRecord
from jobs.storage.local import LocalStorage, exchange, flush, link
from jobs.tables import REJECTED_EVENTS, Table, names

PUBLISHING = "publishing"
FILES = "files"
_FAILED = "_failed"
_STORAGE = LocalStorage()


@dataclass(frozen=True)
class Change:
    """A table that a run publishes.

    Attributes:
        table: which one.
        added: the data files that the run wrote.
        made_from: the run of each table that it was made from, by that table's name.
        kept: the data files of the published table that stay.
    """

    table: Table
    added: tuple[DataFile, ...]
    made_from: Mapping[str, str]
    kept: tuple[DataFile, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The published tables as one run left them.

    Attributes:
        state: what is known of each.
        half_done: the run whose publication is not ended, if there is one.
        prefix: where they are.
    """

    state: State
    half_done: str | None
    prefix: Path

    def files(self, table: Table) -> TableFiles:
        """Where a table lies.

        Raises:
            InputError: it is not there, a file of it is gone, or an older version
                wrote it.
        """
        wanted = self.state.record(table).files
        place = live(self.prefix, table)
        if self.half_done:
            new = aside(self.prefix / "_tmp" / self.half_done, table)
            if _holds(new, wanted):
                return TableFiles(new, wanted)
        for missing in _missing(place, wanted):
            raise InputError(f"{missing}: it is gone; run {table.written_by} again")
        return TableFiles(place, wanted)


class ParquetTables:
    """The tables of a prefix."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self._record = prefix / "_tables" / "current.json"
        self._replaced: list[Path] = []

    def current(self) -> Snapshot:
        """What a reader sees now; it takes no lock.

        Raises:
            SettingError: a later version wrote the tables.
            RunError: their record is damaged.
        """
        for begun in self._begun():
            # It may be gone by now: then its publication has ended.
            if content := _STORAGE.read(begun):
                return Snapshot(
                    State.from_json(content, begun), begun.parent.name, self.prefix
                )
        if content := _STORAGE.read(self._record):
            state = State.from_json(content, self._record)
        else:
            state = version_1.state(self.prefix)
        return Snapshot(state, None, self.prefix)

    def commit(self, changes: Sequence[Change], scratch: Path) -> list[str]:
        """Publish all that a run has written in its scratch folder.

        What is replaced stays there until :meth:`remove_replaced`.

        Args:
            changes: the tables.
            scratch: the folder of the run, ``_tmp/{run}``.

        Returns: what a person should know of it, in sentences.

        Raises:
            OSError: nothing is published.
            RunError: publishing has begun, and the next run has to end it.
        """
        run_id = scratch.name
        before = self.current()
        records = {}
        copied = []
        for change in changes:
            new = aside(scratch, change.table)
            if not _take_in(change, before, new):
                copied.append(change.table)
            flush(new)
            records[change.table.name] = TableRecord(
                run_id, change.kept + change.added, change.made_from
            )
            live(self.prefix, change.table).parent.mkdir(parents=True, exist_ok=True)
        for _, place in _files(scratch / FILES, self.prefix):
            place.parent.mkdir(exist_ok=True)
        self._record.parent.mkdir(exist_ok=True)
        for folder in (scratch, scratch.parent, self.prefix):
            flush(folder)
        state = before.state.after(run_id, records)
        begun = scratch / PUBLISHING
        try:
            _STORAGE.put_if_absent(begun, state.as_json())
        except OSError:
            _STORAGE.delete(begun)
            raise
        try:
            self._exchange(begun, state)
        except OSError as error:
            raise RunError(
                f"publication of run {run_id} is half done, and the next run ends it:"
                f" {error}"
            ) from error
        self._replaced += [scratch / change.table.name for change in changes]
        if REJECTED_EVENTS.name in records:
            self._replaced.append(self.prefix / _FAILED)
        if not copied:
            return []
        return [
            f"The file system of {self.prefix} has no hard links, so unchanged files"
            f" of {names(copied)} were copied."
        ]

    def remove_replaced(self) -> None:
        """Remove what a commit has replaced, and rejected lines of failed runs.

        A folder may refuse to go, as where a reader on NFS has a file open: it is then
        left to the next run.
        """
        while self._replaced:
            shutil.rmtree(self._replaced.pop(), ignore_errors=True)

    def keep_failed(self, table: Table, scratch: Path) -> Path:
        """Keep a table of a run that publishes nothing; returns its folder.

        It stays until rejected lines are published.
        """
        kept = self.prefix / _FAILED / scratch.name / table.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside(scratch, table).rename(kept)
        return kept

    def recover(self) -> list[str]:
        """End the publications of dead runs, and remove what else they have left.

        Only the one writer of the prefix may call it.

        Returns: the runs whose publication it ended.
        """
        ended = version_1.recover(self.prefix)
        for begun in self._begun():
            if content := _STORAGE.read(begun):
                self._exchange(begun, State.from_json(content, begun))
                ended.append(begun.parent.name)
        shutil.rmtree(self.prefix / "_tmp", ignore_errors=True)
        return ended

    def _begun(self) -> list[Path]:
        return sorted((self.prefix / "_tmp").glob(f"*/{PUBLISHING}"))

    def _exchange(self, begun: Path, state: State) -> None:
        """Put what a run has written in its place; whatever is there already stays."""
        scratch = begun.parent
        for table in state.changed():
            new, place = aside(scratch, table), live(self.prefix, table)
            if _holds(new, state.tables[table.name].files):
                _move_into_place(new, place)
        for new, place in _files(scratch / FILES, self.prefix):
            new.replace(place)
        begun.replace(self._record)
        flush(self._record.parent)


def live(prefix: Path, table: Table) -> Path:
    """The folder of a published table."""
    return prefix / table.name / "format=parquet"


def aside(scratch: Path, table: Table) -> Path:
    """The folder where a run writes a table before it is published."""
    return scratch / table.name / "format=parquet"


def _missing(folder: Path, wanted: Iterable[DataFile]) -> Iterator[Path]:
    """The data files that do not lie in a folder. A name is never used twice."""
    for file in wanted:
        path = folder / file.path
        if not path.exists():
            yield path


def _holds(folder: Path, wanted: Sequence[DataFile]) -> bool:
    """Whether these data files lie in a folder, and no others."""
    if any(_missing(folder, wanted)):
        return False
    return sum(1 for _ in folder.rglob("*.parquet")) == len(wanted)


def _take_in(change: Change, before: Snapshot, new: Path) -> bool:
    """Let the new folder of a table hold the files that stay, too.

    Returns: whether that took no copies.
    """
    if not change.kept:
        return True
    published = before.files(change.table).folder
    linked = [link(published / file.path, new / file.path) for file in change.kept]
    return all(linked)


def _files(written: Path, prefix: Path) -> Iterator[tuple[Path, Path]]:
    """Each file that is published beside the tables, and its place."""
    for path in sorted(written.rglob("*")):
        if path.is_file():
            yield path, prefix / path.relative_to(written)


def _move_into_place(new: Path, place: Path) -> None:
    if place.exists():
        if exchange(new, place):
            return
        # The old folder steps aside first. Until the next step both lie in the scratch
        # folder, where readers and the next run find the new one.
        place.rename(new.with_name("replaced"))
    new.rename(place)
