"""The checks of publishing, on published tables."""

from collections.abc import Iterator

from jobs.checks import CHECKS, Check, failures, rules
from jobs.errors import InputError, RunError
from jobs.ledger import JobResult
from jobs.publishing.run import Run
from jobs.runner import Job
from jobs.settings import NoSettings
from jobs.tables import TABLES, names


def run(run: Run, _: NoSettings) -> JobResult:
    """Run every check on the published tables, and change nothing.

    Raises:
        RunError: checks failed; the message names each, its count and an example.
        InputError: a table or one of its files does not exist.
    """
    if not run.published.state.tables:
        raise InputError(f"{run.prefix}: there are no tables yet")
    outdated = [check for check in CHECKS if _is_outdated(check, run)]
    failed = [*map(str, failures(run, TABLES, without=outdated)), *_strays(run)]
    if failed:
        raise RunError("; ".join(failed))
    done = len(CHECKS) - len(outdated) + sum(len(list(rules(t))) for t in TABLES)
    notes = []
    if half_done := run.published.half_done:
        notes.append(
            f"The publication of run {half_done} is half done: the next run finishes"
            " it."
        )
    notes += [
        f"{check.table.name} was made before {names(check.reads)} was written anew, so"
        f" one check is left out: {check.name}."
        for check in outdated
    ]
    return JobResult(
        figures={"checks": done}, notes=tuple(notes), headline=f"{done} checks hold"
    )


def _is_outdated(check: Check, run: Run) -> bool:
    """Whether a table that the check reads was written after the checked table."""
    written_anew = run.outdated(check.table)
    return any(table.name in written_anew for table in check.reads)


def _strays(run: Run) -> Iterator[str]:
    """A sentence for each table whose folder or log has files of no run."""
    for table in TABLES:
        if problem := run.problem(table):
            yield f"{table.name}: {problem}"


JOB = Job(
    "verify",
    "Run the checks of publishing on published tables.",
    NoSettings,
    run,
    is_read_only=True,
)
