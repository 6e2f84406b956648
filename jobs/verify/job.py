"""The checks of publishing, on published tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jobs.checks import CHECKS, Check, failures, rules
from jobs.engine import Engine, Store
from jobs.errors import RunError
from jobs.runner import Job, JobResult
from jobs.settings import NoSettings
from jobs.tables import TABLES, WRITTEN_BY, Table

Runs = Mapping[Table, str | None]
"""The run that each published table came from, None where nothing says it."""


def run(engine: Engine, _: NoSettings) -> JobResult:
    """Run every check on the published tables, and change nothing.

    Raises:
        RunError: the tables of a job are of several runs, or checks failed; the message
            names each, its count and an example.
        InputError: a table is not there.
    """
    runs = _published_runs(engine.store)
    unfinished = engine.store.unfinished()
    if mixed := list(_mixed(runs, unfinished)):
        raise RunError("; ".join(mixed))
    outdated = [check for check in CHECKS if _is_outdated(check, runs)]
    if failed := failures(engine, dict.fromkeys(TABLES), without=outdated):
        raise RunError("; ".join(map(str, failed)))
    held = len(CHECKS) - len(outdated) + sum(len(list(rules(t))) for t in TABLES)
    notes = [
        f"Publication of run {run_id} is not ended: the next run ends it."
        for run_id in unfinished
    ]
    notes += [
        f"{check.table.name} is of an earlier run than {_names(check.reads)}, so one"
        f" check is left out: {check.name}."
        for check in outdated
    ]
    return JobResult(
        figures={"checks": held}, notes=tuple(notes), headline=f"{held} checks hold"
    )


def _published_runs(store: Store) -> Runs:
    origins = store.origins()
    return {
        table: origins.get(table.name, {}).get("run_id")
        for table in TABLES
        if store.live(table).exists()
    }


def _mixed(runs: Runs, unfinished: Mapping[str, Sequence[Table]]) -> Iterator[str]:
    """A sentence for each job whose tables are of several runs, or not all there."""
    for job, tables in WRITTEN_BY.items():
        found = {runs[table] for table in tables if table in runs}
        missing = [table for table in tables if table not in runs]
        if not found or (len(found) == 1 and not missing):
            continue
        named = [
            f"{_names(table for table in tables if runs.get(table, '') == run_id)}"
            f" of {f'run {run_id}' if run_id else 'a run that nothing names'}"
            for run_id in sorted(found, key=str)
        ]
        if missing:
            named.append(f"{_names(missing)} missing")
        begun = [run_id for run_id in unfinished if {*tables} & {*unfinished[run_id]}]
        way_out = (
            f"publication of run {begun[-1]} is half done, and the next run ends it"
            if begun
            else f"no publication is left to end: run {job} again"
        )
        yield f"the tables of {job} are not of one run: {', '.join(named)}; {way_out}"


def _is_outdated(check: Check, runs: Runs) -> bool:
    """Whether a table that the check reads is of a later run; ids begin with a time."""
    made = runs.get(check.table)
    return made is not None and any((runs.get(t) or made) > made for t in check.reads)


def _names(tables: Iterable[Table]) -> str:
    return ", ".join(table.name for table in tables)


JOB = Job(
    "verify",
    "Run the checks of publishing on published tables.",
    NoSettings,
    run,
    only_reads=True,
)
