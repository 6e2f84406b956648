"""Earlier runs of Delta tables: reading their tables, and removing their files."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest

from jobs.engine.base import TableFiles
from jobs.errors import SettingError
from jobs.ledger import LEDGERS, Ledger
from jobs.publishing.formats import missing, published_folder
from jobs.publishing.prefix import Prefix, Snapshot
from jobs.publishing.state import FORMAT, State, TableRecord
from jobs.settings import DELTA
from jobs.tables import TABLES, Table, names


def as_of(newest: Snapshot, run_id: str) -> Snapshot:
    """The tables as an earlier run left them.

    Args:
        newest: the published tables.
        run_id: the run.

    Raises:
        SettingError: the tables of the run cannot be read; the message names the oldest
            run whose tables can.
    """
    runs = {run.run_id: run for run in _published_runs(newest)}
    try:
        if run_id not in runs:
            raise _GoneError("there is no such run, or it has published nothing")
        return _tables_after(newest, runs[run_id])
    except _GoneError as error:
        oldest = oldest_run(newest)
        hint = (
            f"the oldest run that can be read is {oldest}"
            if oldest
            else "without --as-of a query reads the newest run"
        )
        raise SettingError(f"--as-of={run_id}: {error}; {hint}") from error


def oldest_run(newest: Snapshot) -> str | None:
    """The oldest run whose tables can be read; None if there is none."""
    oldest = None
    for run in reversed(_published_runs(newest)):
        try:
            _tables_after(newest, run)
        except _GoneError:
            break
        oldest = run.run_id
    return oldest


def notes_on_old_files(prefix: Prefix, changed: Sequence[Table]) -> list[str]:
    """A sentence, if most bytes of some Delta tables are of earlier runs."""
    records = prefix.current().state.tables
    live, all_of = 0, 0
    most_are_old = []
    for table in changed:
        record = records[table.name]
        if record.table_format == DELTA:
            size = prefix.delta().bytes_of(table)
            if size > 2 * record.size:
                most_are_old.append(table)
                live, all_of = live + record.size, all_of + size
    if not most_are_old:
        return []
    return [
        f"{(all_of - live) / 1e6:,.1f} of the {all_of / 1e6:,.1f} MB of"
        f" {names(most_are_old)} are of earlier runs: scripts/task vacuum removes those"
        " that are older than VACUUM_DAYS."
    ]


def vacuum(prefix: Prefix, days: int) -> Iterator[tuple[Table, int]]:
    """Remove data files of earlier runs; gives the number of them for each table.

    Args:
        prefix: the tables. The caller has the lock of the prefix.
        days: the runs stay that were the newest at some time in these days.

    Raises:
        RunError: the log of a table cannot be read.
    """
    newest = prefix.current()
    runs = _published_runs(newest)
    since = datetime.now(UTC) - timedelta(days=days)
    kept = [
        run
        for run, later in zip_longest(runs, runs[1:])
        if later is None or _finished(later) >= since
    ]
    for table in TABLES:
        record = newest.state.tables.get(table.name)
        if record and record.delta_version is not None:
            versions = {record.delta_version}
            for run in kept:
                version = _version(prefix, table, run)
                if version is not None:
                    versions.add(version)
            yield table, prefix.delta().vacuum(table, versions, days)


def _published_runs(newest: Snapshot) -> list[Ledger]:
    """The ledgers of the runs that have published, the oldest first."""
    paths = sorted((newest.prefix / LEDGERS).glob("*.json"))
    ledgers = (Ledger.read(path) for path in paths)
    return [ledger for ledger in ledgers if ledger and ledger.status == "done"]


def _finished(run: Ledger) -> datetime:
    return datetime.fromisoformat(run.finished or run.started)


def _version(prefix: Prefix, table: Table, run: Ledger) -> int | None:
    """The version of a table after a run, if the log still has it."""
    provenance = run.tables.get(table.name, {})
    version = provenance.get("delta_version")
    if version is None:
        return None
    # Another log may be in the place of the one that the run wrote to.
    is_of_run = prefix.delta().run_of(table, version) == provenance["run_id"]
    return int(version) if is_of_run else None


class _GoneError(Exception):
    """The tables of a run cannot be read; the message says why."""


def _tables_after(newest: Snapshot, run: Ledger) -> Snapshot:
    prefix = Prefix(newest.prefix)
    records = {}
    for table in TABLES:
        if table.name not in run.tables:
            continue
        provenance = run.tables[table.name]
        if provenance.get("delta_version") is None:
            raise _GoneError("it wrote Parquet tables, which have no earlier versions")
        if provenance["format"] < FORMAT:
            raise _GoneError(f"version {run.version} wrote tables of another format")
        version = _version(prefix, table, run)
        if version is None:
            raise _GoneError(f"the log of {table.name} no longer has its commit")
        files = prefix.delta().files(table, version)
        folder = published_folder(newest.prefix, table, DELTA)
        if missing(TableFiles(folder, files)):
            raise _GoneError("its files were removed by scripts/task vacuum")
        records[table.name] = TableRecord(
            provenance["run_id"], files, table_format=DELTA, delta_version=version
        )
    return Snapshot(State(run.run_id, records), None, newest.prefix)
