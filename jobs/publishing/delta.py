"""Tables as Delta tables, which are published by a commit to the log of each table.

A run links the data files that it wrote into the folders of the tables. No reader sees
these files until a commit names them. A commit adds the new files and removes all
others, on exactly the version that the run found when it began. So a run never
overwrites the commit of another program.

The protocol of a log is https://github.com/delta-io/delta/blob/master/PROTOCOL.md, of
which these tables have the reader version 1 and the writer version 2.
"""

import errno
import json
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jobs.engine.base import DataFile, TableFiles
from jobs.engine.duckdb.tables import delta_statistics
from jobs.errors import InputError, RunError, SettingError
from jobs.publishing.formats import (
    Change,
    ConflictError,
    NotPublishedError,
    published_folder,
    staging_folder,
)
from jobs.publishing.state import TableRecord
from jobs.settings import DELTA
from jobs.storage.local import flush, link
from jobs.tables import TABLES, Table

try:
    from deltalake import CommitProperties, DeltaTable, Field, Schema
    from deltalake.exceptions import DeltaError, TableNotFoundError
    from deltalake.schema import PrimitiveType
    from deltalake.transaction import (
        AddAction,
        PostCommitHookProperties,
        create_table_with_add_actions,
    )
except ImportError as error:
    raise RunError(
        "Delta tables need the package deltalake: scripts/setup delta installs it"
    ) from error

_TYPES = {
    "BIGINT": "long",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "double",
    "INT": "integer",
    "STRING": "string",
    "TIMESTAMP": "timestamp",
}

# Readers of a log begin at its last checkpoint. The protocol's own default is 10, and
# that of deltalake 100.
_CONFIGURATION: Mapping[str, str | None] = {"delta.checkpointInterval": "10"}

# Only vacuum() shortens a log, since a query can read any run that the log has.
_KEEPS_LOG = PostCommitHookProperties(cleanup_expired_logs=False)


@dataclass
class DeltaFormat:
    """The Delta tables of a prefix.

    Attributes:
        prefix: the folder of the tables.
        found: the version of each table, by its name, that this run found; the table's
            new version follows it.
    """

    prefix: Path
    found: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a prefix that deltalake would take for another one.

        Raises:
            SettingError: deltalake decodes the path, whose %20 stands for itself.
        """
        if re.search("%[0-9A-Fa-f]{2}", str(self.prefix)):
            raise SettingError(
                f"OUTPUT_DATA_PATH_PREFIX={self.prefix}: for Delta tables it takes a"
                " path in which no two hexadecimal digits follow a %"
            )

    def begin(self, tables: Iterable[Table]) -> None:
        """Note the versions that the tables have when a run begins."""
        self.found = {table.name: self._newest(table) for table in tables}

    def record(self, change: Change, run_id: str) -> TableRecord:
        # A file without rows has no value of the partition, and a log needs no file.
        return TableRecord(
            run_id,
            change.kept + tuple(file for file in change.added if file.rows),
            change.made_from,
            table_format=DELTA,
            delta_version=self.found[change.table.name] + 1,
        )

    def prepare(self, changes: Sequence[Change], scratch: Path) -> list[Table]:
        copied = []
        for change in changes:
            staging = staging_folder(scratch, change.table, DELTA)
            folder = self._folder(change.table)
            folder.mkdir(parents=True, exist_ok=True)
            linked = [
                link(staging / file.path, folder / file.path)
                for file in change.added
                if file.rows
            ]
            if not all(linked):
                copied.append(change.table)
            flush(folder)
        return copied

    def publish(self, records: Mapping[Table, TableRecord], scratch: Path) -> None:
        try:
            self._commit_all(records)
        except NotPublishedError:
            self._undo(records)
            raise
        except InputError as error:
            self._undo(records)
            raise NotPublishedError(str(error)) from error
        except OSError as error:
            if any(self._has_commit(*each) for each in records.items()):
                raise OSError(_in_one_line(error)) from error
            raise NotPublishedError(_in_one_line(error)) from error

    def discard(self, scratch: Path) -> None:
        for table in TABLES:
            staging = staging_folder(scratch, table, DELTA)
            linked = [path.relative_to(staging) for path in staging.rglob("*.parquet")]
            if linked:
                # Another program may have changed the table after the run's commit. Its
                # commit then stays, and names files of the run.
                in_log = self._named(table)
                for path in linked:
                    if str(path) not in in_log:
                        (self._folder(table) / path).unlink(missing_ok=True)

    def problem(self, table: Table, record: TableRecord) -> str | None:
        if self._named(table) == {file.path for file in record.files}:
            return None
        return (
            f"its log in {self._folder(table)} does not name the files of the record of"
            " the run, so another program has changed the table: run"
            f" {table.written_by} to make it anew"
        )

    def files(self, table: Table, version: int | None = None) -> tuple[DataFile, ...]:
        """The data files that the log names for a version; None is the newest.

        Raises:
            FileNotFoundError: the log no longer has this version.
        """
        try:
            opened = DeltaTable(self._uri(table), version=version)
        except DeltaError as error:
            raise FileNotFoundError(errno.ENOENT, _in_one_line(error)) from error
        actions = opened.get_add_actions()
        columns = ("path", "num_records", "size_bytes")
        values = (actions.column(name).to_pylist() for name in columns)
        return tuple(map(DataFile.at, *values))

    def bytes_of(self, table: Table) -> int:
        """The size of the data files of all versions."""
        paths = self._folder(table).rglob("*.parquet")
        return sum(path.stat().st_size for path in paths)

    def run_of(self, table: Table, version: int) -> str | None:
        """The run that committed a version of a table, if the log has its commit."""
        path = self._log(table) / f"{version:020}.json"
        try:
            actions = [json.loads(line) for line in path.read_text().splitlines()]
        except (FileNotFoundError, ValueError):
            return None
        run_ids = (action.get("commitInfo", {}).get("runId") for action in actions)
        return next(filter(None, run_ids), None)

    def vacuum(self, table: Table, versions: Collection[int], days: int) -> int:
        """Remove the files of old versions; returns the number of data files.

        Args:
            table: the table.
            versions: the versions whose files and commits stay.
            days: files that were removed from the table in these days stay, too.

        Raises:
            RunError: its log cannot be read.
        """
        folder = self._folder(table)
        try:
            opened = DeltaTable(self._uri(table))
            remove = partial(
                opened.vacuum,
                retention_hours=24 * days,
                enforce_retention_duration=False,
                full=True,
                keep_versions=sorted(versions),
                post_commithook_properties=_KEEPS_LOG,
            )
            found = {path for path in remove(dry_run=True) if (folder / path).exists()}
            # This adds two commits to the log.
            if found:
                remove(dry_run=False)
        except DeltaError as error:
            raise self._unreadable(table, error) from error
        self._shorten_log(table, min(versions))
        for path in folder.glob("*=*"):
            with suppress(OSError):  # it has files
                path.rmdir()
        return len(found)

    def _shorten_log(self, table: Table, oldest: int) -> None:
        """Remove the commits before the last checkpoint that the oldest version has."""
        checkpoints = (
            _version(p) for p in self._log(table).glob("*.checkpoint.parquet")
        )
        first = max((v for v in checkpoints if v <= oldest), default=0)
        for path in self._log(table).glob("0*"):
            if _version(path) < first:
                path.unlink()

    def _folder(self, table: Table) -> Path:
        return published_folder(self.prefix, table, DELTA)

    def _log(self, table: Table) -> Path:
        return self._folder(table) / "_delta_log"

    def _uri(self, table: Table) -> str:
        return self._folder(table).as_uri()

    def _named(self, table: Table) -> set[str]:
        """The paths of the files that the log names; none if it cannot be read."""
        with suppress(FileNotFoundError):
            return {file.path for file in self.files(table)}
        return set()

    def _newest(self, table: Table) -> int:
        """The newest version of a table; -1 if there is no table.

        Raises:
            RunError: its log cannot be read.
        """
        try:
            return DeltaTable(self._uri(table)).version()
        except TableNotFoundError:
            return -1
        except DeltaError as error:
            raise self._unreadable(table, error) from error

    def _unreadable(self, table: Table, error: DeltaError) -> RunError:
        return RunError(
            f"{self._folder(table)}: its log cannot be read ({_in_one_line(error)}); if"
            " you remove the folder, a run of the whole pipeline makes all tables anew"
        )

    def _has_commit(self, table: Table, record: TableRecord) -> bool:
        """Whether the log has the commit of a run.

        Raises:
            ConflictError: it has the commit of another program in its place.
        """
        assert record.delta_version is not None
        run_id = self.run_of(table, record.delta_version)
        path = self._log(table) / f"{record.delta_version:020}.json"
        if run_id is None and not path.exists():
            return False
        if run_id != record.run_id:
            raise ConflictError(
                f"{table.name}: another program has changed it since the run began"
            )
        return True

    def _commit_all(self, records: Mapping[Table, TableRecord]) -> None:
        """Make the commits that are missing.

        Raises:
            NotPublishedError: a commit cannot be made.
            InputError: a data file cannot be read.
        """
        for table, record in records.items():
            assert record.delta_version is not None
            if self.run_of(table, record.delta_version + 1) == _undo_of(record):
                raise NotPublishedError(f"{table.name}: its commit was undone")
        missing = {
            table: record
            for table, record in records.items()
            if not self._has_commit(table, record)
        }
        statistics = delta_statistics(
            {
                table: TableFiles(self._folder(table), record.files)
                for table, record in missing.items()
            }
        )
        for table, record in missing.items():
            try:
                self._commit(table, record, statistics.get(table, {}))
            except DeltaError as error:
                if not self._has_commit(table, record):
                    raise NotPublishedError(
                        f"{table.name}: its log takes no commit"
                        f" ({_in_one_line(error)}); if you remove"
                        f" {self._folder(table)}, a run of the whole pipeline makes the"
                        " table anew"
                    ) from error

    def _commit(
        self, table: Table, record: TableRecord, statistics: Mapping[str, str]
    ) -> None:
        """Add the files of a record to a table, and remove all others."""
        by = [table.partition.name] if table.partition else []
        now = time.time_ns() // 1_000_000
        added = [
            AddAction(
                path=file.path,
                size=file.size,
                partition_values=dict.fromkeys(by, file.partition),
                modification_time=now,
                data_change=True,
                stats=statistics[file.path],
            )
            for file in record.files
        ]
        commit = _commit_of(record.run_id)
        if record.delta_version:
            before = DeltaTable(self._uri(table), version=record.delta_version - 1)
            before.create_write_transaction(
                [*added],
                "overwrite",
                _schema(table),
                by,
                commit_properties=commit,
                post_commithook_properties=_KEEPS_LOG,
            )
        else:
            create_table_with_add_actions(
                self._uri(table),
                _schema(table),
                added,
                partition_by=by,
                name=table.name,
                configuration=_CONFIGURATION,
                commit_properties=commit,
                post_commithook_properties=_KEEPS_LOG,
            )

    def _undo(self, records: Mapping[Table, TableRecord]) -> None:
        """Give tables that were committed the files that they had before.

        Later commits of other programs stay.

        Raises:
            OSError: some tables still have the new files.
        """
        for table, record in records.items():
            with suppress(ConflictError):
                if not self._has_commit(table, record):
                    continue
                opened = DeltaTable(self._uri(table))
                if opened.version() != record.delta_version:
                    continue
                commit = _commit_of(_undo_of(record))
                try:
                    if record.delta_version:
                        opened.restore(
                            record.delta_version - 1,
                            ignore_missing_files=True,
                            commit_properties=commit,
                        )
                    else:
                        opened.create_write_transaction(
                            [], "overwrite", _schema(table), commit_properties=commit
                        )
                except DeltaError as error:
                    raise OSError(_in_one_line(error)) from error


def _version(path: Path) -> int:
    """The version of a file in a log."""
    return int(path.name.split(".")[0])


def _undo_of(record: TableRecord) -> str:
    return f"undo of {record.run_id}"


def _commit_of(run_id: str) -> CommitProperties:
    """The properties of a commit that is made on the version that was read."""
    # By default, deltalake tries again on the version of another writer.
    return CommitProperties({"runId": run_id}, max_commit_retries=0)


def _in_one_line(error: Exception) -> str:
    """The message of an error, without the colours and frames that deltalake gives."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    return text.split(" 0: <")[0]


def _schema(table: Table) -> Schema:
    return Schema(
        [
            Field(
                column.name,
                PrimitiveType(_TYPES.get(column.type, column.type.lower())),
                nullable=column.nullable,
                metadata={"comment": column.means},
            )
            for column in table.schema
        ]
    )
