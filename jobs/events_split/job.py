"""Raw lines to staging tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.engine import Engine, Rewrite
from jobs.errors import EventIdError, InputError, TooManyRejectedError
from jobs.events_split.config import LEAST_LINES, USE, EventsSplitSettings
from jobs.events_split.privacy import IDS, concealing, pseudonym
from jobs.fields import FIELDS
from jobs.ledger import LineAccount, percent
from jobs.publishing.run import Run
from jobs.runner import Job, JobResult
from jobs.storage.inputs import Inputs, find_inputs, tidy_csv
from jobs.tables import EVENT_TABLES, REJECTED_EVENTS, USERS, VIDEOS, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.events_split.model import SharedEventId, Tally


@dataclass(frozen=True)
class Judge:
    """Judges lines, and hides addresses and ids before anything is stored."""

    pseudonym_key: str | None
    first_micros: int
    until_micros: int

    def __call__(self, lines: "DataFrame", rewrite: Rewrite) -> "DataFrame":
        from jobs.events_split import model

        key = self.pseudonym_key
        hides = {"raw": concealing(key)}
        if key:
            hides |= dict.fromkeys(IDS, pseudonym(key))
        judged = model.judge(lines, self.first_micros, self.until_micros)
        return rewrite(judged, hides)


def run(run: Run, settings: EventsSplitSettings) -> JobResult:
    """Stage the six staging tables and account for every line.

    Raises:
        InputError: INPUT_DATA_PATH, users.csv or videos.csv cannot be read.
        TooManyRejectedError: only rejected_events is staged, to show the lines.
    """
    from jobs.events_split import model

    inputs = find_inputs(run.settings.input_data_path, run.prefix)
    started = datetime.fromisoformat(run.ledger.started)
    limits = settings.limits(run.settings.reporting_timezone, started)
    judge = Judge(settings.pseudonym_key, *limits)
    judged = run.engine.read_lines(inputs.event_files, FIELDS, judge)
    tally = run.engine.collect(model.tally(judged), model.Tally)
    _require_lines(tally, inputs)
    run.stage(REJECTED_EVENTS, model.only_rejected(judged))
    _require_few_rejected(tally, settings.max_rejected_ratio)
    notes = _stage_attributes(run, inputs, settings.pseudonym_key)
    stored = _stage_events(run, judged, tally, settings)
    return JobResult(lines=line_account(tally, stored), notes=notes)


def line_account(tally: Sequence["Tally"], stored: Mapping[str, int]) -> LineAccount:
    """The account of all lines.

    Args:
        tally: the number of lines of each outcome and detail.
        stored: the number of rows of each event table. If a table has more lines than
            rows, the others are duplicates.
    """
    from jobs.events_split import model

    kept = {counted.outcome: counted.lines for counted in tally}
    return LineAccount(
        read=sum(counted.lines for counted in tally),
        stored=stored,
        duplicates={name: kept.get(name, 0) - rows for name, rows in stored.items()},
        ignored=model.by_detail(tally, model.IGNORED),
        rejected=model.by_detail(tally, model.REJECTED),
    )


def _require_lines(tally: Sequence["Tally"], inputs: Inputs) -> None:
    if not tally:
        raise InputError(
            f"{inputs.path}: no line in {len(inputs.event_files):,} event files"
        )


def _require_few_rejected(tally: Sequence["Tally"], limit: float) -> None:
    from jobs.events_split import model

    rejected = model.by_detail(tally, model.REJECTED)
    lines, read = sum(rejected.values()), sum(counted.lines for counted in tally)
    if lines > Decimal(str(limit)) * read:
        reasons = ", ".join(f"{name} {n:,}" for name, n in sorted(rejected.items()))
        raise TooManyRejectedError(
            f"{lines:,} of {read:,} lines rejected ({percent(lines, read)}), more than"
            f" MAX_REJECTED_RATIO={limit}: {reasons}"
        )


def _stage_attributes(
    run: Run, inputs: Inputs, pseudonym_key: str | None
) -> tuple[str, ...]:
    """Stage users and videos; returns a note for each file that does not exist."""
    from jobs.events_split import model

    notes = []
    for table, typed in ((USERS, model.users), (VIDEOS, model.videos)):
        path = inputs.attributes(table.name)
        if path is None:
            notes.append(f"There is no {table.name}.csv: its attributes are NULL.")
        attributes = read_attributes(run.engine, table, path)
        if pseudonym_key and table is USERS:
            hides = {"user_id": pseudonym(pseudonym_key)}
            attributes = run.engine.rewrite(attributes, hides)
        run.stage(table, typed(attributes))
    return tuple(notes)


def read_attributes(engine: Engine, table: Table, path: Path | None) -> "DataFrame":
    """The rows of a CSV file, each column as text; no rows if there is no file.

    Raises:
        InputError: the file cannot be read, or has no column of the table's key.
    """
    tidy = engine.scratch / f"{table.name}.csv"
    if path is None:
        tidy.touch()
    else:
        tidy_csv(path, table.column_names, tidy)
    return engine.read_csv(tidy, table.column_names)


def _stage_events(
    run: Run,
    judged: "DataFrame",
    tally: Sequence["Tally"],
    settings: EventsSplitSettings,
) -> dict[str, int]:
    """Stage the event tables; returns the number of rows of each, by its name.

    Raises:
        EventIdError: too many different rows share an event_id.
    """
    from jobs.events_split import model

    stored = {}
    shared: list[SharedEventId] = []
    identified = {counted.outcome for counted in tally if counted.identified}
    for table in EVENT_TABLES:
        rows = model.event_rows(judged, table)
        if settings.event_id == USE and table.name in identified:
            rows = run.engine.cache(rows)
            found = model.shared_event_ids(rows, table)
            shared += run.engine.collect(found, model.SharedEventId)
            rows = model.only_first_of_event_id(rows, table)
        stored[table.name] = run.stage(table, rows)
    _require_identifying(shared, tally, settings.max_rejected_ratio)
    return stored


def _require_identifying(
    shared: Sequence["SharedEventId"], tally: Sequence["Tally"], limit: float
) -> None:
    kept = sum(
        counted.lines
        for counted in tally
        if counted.outcome in {table.name for table in EVENT_TABLES}
    )
    different = sum(found.different_rows for found in shared)
    if kept >= LEAST_LINES and limit < 1 and different > Decimal(str(limit)) * kept:
        examples = ", ".join(found.example for found in shared)
        raise EventIdError(
            f"event_id identifies no event: {different:,} of {kept:,} events"
            f" ({percent(different, kept)}) differ from another one of the same user,"
            f" day, name and event_id, such as {examples}; with EVENT_ID=ignore only"
            " equal events are one"
        )


JOB = Job(
    "events_split",
    "Raw lines to typed, deduplicated staging tables, with an account of every line.",
    EventsSplitSettings,
    run,
)
