"""A run: the tables that its jobs see, its publication and its ledger."""

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.engine.base import DataFile, Engine, TableFiles
from jobs.errors import InputError, RunError, SettingError
from jobs.ledger import LEDGERS, Ledger
from jobs.publishing.formats import Change, staging_folder
from jobs.publishing.history import notes_on_old_files
from jobs.publishing.lock import Lock
from jobs.publishing.prefix import FILES, PUBLISHING, Prefix, Snapshot
from jobs.settings import RunSettings
from jobs.storage.local import PART, LocalStorage
from jobs.tables import Table
from jobs.zones import Offsets, offsets_of_days

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass
class Run:
    """The tables as the jobs of a run see them, and those that they have staged.

    Attributes:
        settings: the settings of the run.
        engine: computes the rows.
        published: the tables that were published when the run began.
        scratch: the folder of the run's own files.
        ledger: the record of the run so far.
        staged: the new data files of each table that the run has written.
    """

    settings: RunSettings
    engine: Engine
    published: Snapshot
    scratch: Path
    ledger: Ledger
    staged: dict[Table, tuple[DataFile, ...]] = field(default_factory=dict)
    _made_from: dict[Table, dict[str, str]] = field(default_factory=dict)
    _may_read: tuple[Table, ...] = ()
    _may_write: tuple[Table, ...] = ()
    _has_read: set[Table] = field(default_factory=set)

    @property
    def prefix(self) -> Path:
        return self.settings.prefix

    def begin_job(self, reads: Iterable[Table], writes: Iterable[Table]) -> None:
        """Let the next job read and write these tables, and no others."""
        self._may_read, self._may_write = tuple(reads), tuple(writes)
        self._has_read = set()

    def end_job(self) -> None:
        """Check that the job has read and written every table that it declares.

        Raises:
            ValueError: the job has not.
        """
        unread = [t.name for t in self._may_read if t not in self._has_read]
        unwritten = [t.name for t in self._may_write if t not in self.staged]
        if unread or unwritten:
            raise ValueError(f"the job does not read {unread} or write {unwritten}")

    def table(self, table: Table) -> "DataFrame":
        """The rows of a table, as this run has staged it or else as it is published.

        Raises:
            InputError: the table does not exist, or a table that it was made from has
                been written anew since.
            ValueError: the job does not declare that it reads this table.
        """
        if table not in self._may_read:
            raise ValueError(f"the job does not declare that it reads {table.name}")
        self._has_read.add(table)
        self._check_state(table)
        return self.engine.read(table, self.files(table))

    def stage(self, table: Table, rows: "DataFrame") -> int:
        """Write a table to its staging folder; returns the number of its rows.

        The run publishes the table when all jobs are done.

        Raises:
            ValueError: the job does not declare that it writes this table.
        """
        if table not in self._may_write:
            raise ValueError(f"the job does not declare that it writes {table.name}")
        files = self.engine.write(table, rows, self._staging_folder(table))
        self.staged[table] = tuple(files)
        self._made_from[table] = {t.name: self.run_of(t) for t in self._may_read}
        return self.rows(table)

    def stage_file(self, name: str) -> Path:
        """The path to write a file such as ``report/index.html`` to, for publishing."""
        path = self.scratch / FILES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def files(self, table: Table) -> TableFiles:
        """The data files of the rows that :meth:`table` gives.

        Raises:
            InputError: the table does not exist.
        """
        if table in self.staged:
            return TableFiles(self._staging_folder(table), self.staged[table])
        return self.published.files(table)

    def zone_of_days(self, *tables: Table) -> Offsets:
        """The offsets of REPORTING_TIMEZONE over the days of some tables.

        Args:
            tables: tables that are partitioned by day.
        """
        days = {f.partition for table in tables for f in self.files(table).files}
        return offsets_of_days(
            self.settings.reporting_timezone,
            (date.fromisoformat(day) for day in days if day is not None),
        )

    def rows(self, table: Table) -> int:
        """The number of rows of a table that this run has staged."""
        return sum(file.rows for file in self.staged[table])

    def has(self, table: Table) -> bool:
        """Whether :meth:`files` finds the table."""
        with suppress(InputError):
            self.files(table)
            return True
        return False

    def run_of(self, table: Table) -> str:
        """The run that wrote a table; this run, if it has staged the table."""
        if table in self.staged:
            return self.ledger.run_id
        return self.published.state.record(table).run_id

    def outdated(self, table: Table) -> list[str]:
        """The tables that this one was made from and that were written anew since."""
        made_from = self.published.state.record(table).made_from
        records = self.published.state.tables
        now = {name: record.run_id for name, record in records.items()}
        now |= {staged.name: self.ledger.run_id for staged in self.staged}
        return [name for name, run_id in made_from.items() if now.get(name) != run_id]

    def problem(self, table: Table) -> str | None:
        """A sentence, if readers of a published folder find other files of the table.

        Raises:
            InputError: the table does not exist.
        """
        record = self.published.state.record(table)
        # While a publication is half done, folders and logs may be of the run before.
        if self.published.half_done:
            return None
        return Prefix(self.prefix).problem(table, record)

    def ledger_of(self, table: Table) -> Ledger | None:
        """The ledger of the run that wrote a table; None if the ledger is lost."""
        if table in self.staged:
            return self.ledger
        return Ledger.read(self.prefix / LEDGERS / f"{self.run_of(table)}.json")

    def changes(self) -> list[Change]:
        """The tables that the run has to publish."""
        return [
            Change(table, files, self._made_from[table])
            for table, files in self.staged.items()
        ]

    def _staging_folder(self, table: Table) -> Path:
        return staging_folder(self.scratch, table, self.settings.table_format)

    def _check_state(self, table: Table) -> None:
        """Refuse a table if one that it was made from has been written anew since."""
        if table in self.staged:
            return
        for name in self.outdated(table):
            raise InputError(
                f"{table.name} was made before {name} was written anew: run"
                f" {table.written_by}, or the whole pipeline"
            )


class Writer:
    """The only writer of a prefix, from :meth:`__init__` until :meth:`close`.

    Attributes:
        run_id: the name of this run in ``_tmp`` and ``_runs``: its start in UTC and
            the number of its process.
        tables: the tables of the prefix.
        published: these tables as the run found them.
        scratch: the folder of the run's own files.
        ledger: the file that the run's ledger is written to.
        lock: the lock of the prefix.
        notes: sentences about the prefix for the person who started the run.
    """

    def __init__(self, settings: RunSettings, writes: Sequence[Table]) -> None:
        """Lock the prefix, and finish or remove the work of runs that died.

        Args:
            settings: the settings of the run.
            writes: the tables that the run writes.

        Raises:
            PrefixInUseError: another run writes to the prefix; the message names it.
            SettingError: a later version wrote the tables, or tables that the run does
                not write have another format.
            RunError: the prefix cannot be made or written.
        """
        self.run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
        prefix = settings.prefix
        self.tables = Prefix(prefix, settings.table_format)
        self.ledger = prefix / LEDGERS / f"{self.run_id}.json"
        try:
            prefix.mkdir(parents=True, exist_ok=True)
            self.lock = Lock(prefix, self.run_id)
            try:
                # This fails if a later version wrote the tables. It has to come first,
                # since such tables must stay as they are.
                self.tables.current()
                self.notes = self.tables.recover()
                for part in self.ledger.parent.glob(f"*{PART}"):
                    part.unlink()
                self.scratch = prefix / "_tmp" / self.run_id
                self.scratch.mkdir(parents=True)
                self.published = self.tables.current()
                self.notes += _notes_on_older(self.published, writes)
                if writes:
                    self.notes += self._notes_on_format(writes)
                    self.tables.begin(writes)
            except BaseException:
                self.lock.close()
                raise
        except OSError as error:
            raise RunError(
                f"OUTPUT_DATA_PATH_PREFIX={prefix} cannot be written:"
                f" {error.strerror or error}"
            ) from error

    def publish(self, changes: Sequence[Change], ledger: Ledger) -> None:
        """Publish the changes of a run together with its ledger.

        Raises:
            OSError: nothing is published.
            RunError: the publication is half done, and the next run has to finish it.
        """
        ledger.tables = self.tables.state_after(changes, self.run_id).provenance()
        ledger.finished = datetime.now(UTC).isoformat()
        ledger.status = "done"
        staged = self.scratch / FILES / LEDGERS / self.ledger.name
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(ledger.as_json())
        try:
            ledger.notes += self.tables.commit(changes, self.scratch)
        except BaseException:
            ledger.status = "failed"
            raise
        with suppress(OSError):
            changed = [change.table for change in changes]
            ledger.notes += notes_on_old_files(self.tables, changed)

    def record_failure(self, ledger: Ledger, error: str) -> None:
        """Write the ledger of a run that has not published.

        The run's other files go first, to make room on the disk, unless the next run
        needs them.

        Raises:
            RunError: the ledger cannot be written.
        """
        ledger.error = error
        ledger.finished = datetime.now(UTC).isoformat()
        self._remove_scratch()
        try:
            ledger.tables = self.tables.current().state.provenance()
            self.ledger.parent.mkdir(exist_ok=True)
            LocalStorage().put(self.ledger, ledger.as_json())
        except OSError as failure:
            raise RunError(
                f"{error}; and {self.ledger} cannot be written: {failure.strerror}"
            ) from failure

    def close(self) -> None:
        """Remove this run's scratch files, unless the next run needs them; unlock."""
        self.tables.remove_replaced()
        self._remove_scratch()
        self.lock.close()

    def _notes_on_format(self, writes: Sequence[Table]) -> list[str]:
        """A sentence on the tables that change their format, if there are any.

        Raises:
            SettingError: other tables have another format.
        """
        name = self.tables.table_format
        records = self.published.state.tables.items()
        others = {table: r for table, r in records if r.table_format != name}
        if not others:
            return []
        [other] = {record.table_format for record in others.values()}
        if not {*others} <= {table.name for table in writes}:
            raise SettingError(
                f"TABLE_FORMAT={name}: {', '.join(others)} in {self.tables.path} have"
                f" the format {other}; a run of the whole pipeline changes the format"
            )
        return [
            f"The tables had the format {other}: this run makes them anew as {name},"
            f" and removes their {other} files."
        ]

    def _remove_scratch(self) -> None:
        if not (self.scratch / PUBLISHING).exists():
            shutil.rmtree(self.scratch, ignore_errors=True)


def _notes_on_older(tables: Snapshot, writes: Iterable[Table]) -> list[str]:
    """A sentence on the tables that older versions wrote, if there are any."""
    records = tables.state.tables.items()
    older = {name: record for name, record in records if record.is_older}
    if not older:
        return []
    versions = " and ".join(sorted({record.version for record in older.values()}))
    who = (
        "this run makes"
        if {*older} <= {table.name for table in writes}
        else "run the whole pipeline to make"
    )
    return [f"Version {versions} wrote {', '.join(older)}: {who} them anew."]
