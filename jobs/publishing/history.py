"""Earlier runs of Delta tables: reading their tables, and removing their files."""

from collections.abc import Iterator, Sequence

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
    try:
        return _tables_after(newest, run_id)
    except _GoneError as error:
        oldest = oldest_run(newest)
        hint = (
            f"the oldest run that can be read is {oldest}"
            if oldest
            else "without --as-of a query reads the newest run"
        )
        raise SettingError(f"--as-of={run_id}: {error}; {hint}") from error


def oldest_run(newest: Snapshot) -> str | None:
    """The oldest run whose tables can be read; None if there are no Delta tables."""
    oldest = None
    ledgers = (newest.prefix / LEDGERS).glob("*.json")
    for run_id in sorted((path.stem for path in ledgers), reverse=True):
        ledger = Ledger.read(newest.prefix / LEDGERS / f"{run_id}.json")
        if ledger and ledger.status == "done":
            try:
                _tables_after(newest, run_id)
            except _GoneError:
                break
            oldest = run_id
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
        days: the files of runs that were the newest in these days stay.
    """
    records = prefix.current().state.tables
    for table in TABLES:
        record = records.get(table.name)
        if record and record.table_format == DELTA:
            yield table, prefix.delta().vacuum(table, record, days)


class _GoneError(Exception):
    """The tables of a run cannot be read; the message says why."""


def _tables_after(newest: Snapshot, run_id: str) -> Snapshot:
    ledger = Ledger.read(newest.prefix / LEDGERS / f"{run_id}.json")
    if ledger is None or ledger.status != "done":
        raise _GoneError("there is no such run, or it has published nothing")
    records = {}
    for table in TABLES:
        if table.name not in ledger.tables:
            continue
        provenance = ledger.tables[table.name]
        version = provenance.get("delta_version")
        if version is None:
            raise _GoneError("it wrote Parquet tables, which have no earlier versions")
        if provenance["format"] < FORMAT:
            raise _GoneError(f"version {ledger.version} wrote tables of another format")
        try:
            files = Prefix(newest.prefix).delta().files(table, version)
        except FileNotFoundError as error:
            raise _GoneError(f"the log of {table.name} begins later") from error
        folder = published_folder(newest.prefix, table, DELTA)
        if missing(TableFiles(folder, files)):
            raise _GoneError("its files were removed by scripts/task vacuum")
        records[table.name] = TableRecord(
            provenance["run_id"], files, table_format=DELTA, delta_version=version
        )
    return Snapshot(State(run_id, records), None, newest.prefix)
