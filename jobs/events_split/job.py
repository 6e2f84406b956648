"""Raw lines to staging tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.engine import Engine, Rewrite
from jobs.errors import EventIdError, InputError, TooManyRejectedError
from jobs.events_split.attributes import MissingColumn, tidy_csv
from jobs.events_split.config import LEAST_LINES, USE, EventsSplitSettings
from jobs.events_split.privacy import IDS, Hide, concealing, pseudonym
from jobs.fields import FIELDS
from jobs.findings import (
    Finding,
    missing_column,
    most_serious_first,
    unknown_ids,
    unreadable_values,
)
from jobs.ledger import LineAccount, percent
from jobs.publishing.run import Run
from jobs.runner import Job, JobResult
from jobs.storage.inputs import Inputs, find_inputs
from jobs.tables import (
    EVENT_TABLES,
    PLAYBACK_EVENTS,
    REJECTED_EVENTS,
    USERS,
    VIDEOS,
    Table,
)
from jobs.zones import UTC_OFFSETS, Offsets, offsets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.events_split.model import SharedEventId, Tally


_NAMES_SHOWN = 20


@dataclass(frozen=True)
class Attributes:
    """The attributes of users or videos.

    Attributes:
        path: the CSV file; None if there is none.
        rows: its rows, each column as text.
        missing: the columns that it does not have.
    """

    path: Path | None
    rows: "DataFrame"
    missing: Sequence[MissingColumn]

@dataclass(frozen=True)
class Judge:
    """Judges lines, and hides addresses and ids before anything is stored."""

    pseudonym_key: str | None
    first_micros: int
    until_micros: int
    input_zone: Offsets = UTC_OFFSETS

    def __call__(self, lines: "DataFrame", rewrite: Rewrite) -> "DataFrame":
        from jobs.events_split import model

        key = self.pseudonym_key
        hides = {"raw": concealing(key)}
        if key:
            hides |= dict.fromkeys(IDS, pseudonym(key))
        judged = model.judge(
            lines, self.first_micros, self.until_micros, self.input_zone
        )
        return rewrite(judged, hides)


def run(run: Run, settings: EventsSplitSettings) -> JobResult:
    """Stage the six staging tables and account for every line.

    Raises:
        InputError: the input, or the CSV file of users or videos, cannot be read.
        TooManyRejectedError: only rejected_events is staged, to show the lines.
    """
    from jobs.events_split import model

    started = datetime.fromisoformat(run.ledger.started)
    limits = settings.limits(run.settings.reporting_timezone, started)
    inputs = find_inputs(
        run.settings.input_data_path, run.prefix, run.settings.input_exclude
    )
    users, videos = (
        read_attributes(
            run.engine, table, Path(path) if path else inputs.attributes(table.name)
        )
        for table, path in (
            (USERS, settings.users_path),
            (VIDEOS, settings.videos_path),
        )
    )
    input_zone = offsets(settings.input_timezone, *limits)
    judge = Judge(settings.pseudonym_key, *limits, input_zone)
    judged = run.engine.read_lines(inputs.event_files, FIELDS, judge).rows
    tally = run.engine.collect(model.tally(judged), model.Tally)
    _require_lines(tally, inputs)
    run.stage(REJECTED_EVENTS, model.only_rejected(judged))
    _require_few_rejected(tally, settings.max_rejected_ratio)
    _stage_attributes(run, users, videos, settings.pseudonym_key)
    stored = _stage_events(run, judged, tally, settings)
    no_attributes = (
        f"There is no {table.name}.csv: its attributes are NULL."
        for table, attributes in ((USERS, users), (VIDEOS, videos))
        if attributes.path is None
    )
    return JobResult(
        lines=line_account(tally, stored),
        notes=(*notes_on_files(inputs), *no_attributes),
        findings=_findings(run, users, videos, concealing(settings.pseudonym_key)),
        passed_over=inputs.passed_over,
    )


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


def notes_on_files(inputs: Inputs) -> tuple[str, ...]:
    """A line for each of some files that were passed over, and one that counts them."""
    notes = []
    if inputs.passed_over:
        count = len(inputs.passed_over)
        notes.append(f"Passed over, since they have no events: {count:,} of the files.")
        names = islice(inputs.passed_over.items(), _NAMES_SHOWN)
        notes += [f"  {name}: {why}" for name, why in names]
        if count > _NAMES_SHOWN:
            more = count - _NAMES_SHOWN
            notes.append(f"  … and {more:,} more, which the ledger names.")
    if inputs.left_out:
        notes.append(f"INPUT_EXCLUDE leaves out {inputs.left_out:,} files or folders.")
    return tuple(notes)


def _require_lines(tally: Sequence["Tally"], inputs: Inputs) -> None:
    if not tally:
        raise InputError(
            f"{inputs.path}: no line in {len(inputs.event_files):,} event files"
            f"{inputs.others}"
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


def read_attributes(engine: Engine, table: Table, path: Path | None) -> Attributes:
    """The rows of a CSV file; no rows if there is no file.

    Raises:
        InputError: the file cannot be read, or has no column of the table's key.
    """
    tidy = engine.scratch / f"{table.name}.csv"
    missing: Sequence[MissingColumn] = ()
    if path is None:
        tidy.touch()
    else:
        missing = tidy_csv(path, table.column_names, tidy)
    return Attributes(path, engine.read_csv(tidy, table.column_names), missing)


def _stage_attributes(
    run: Run, users: Attributes, videos: Attributes, pseudonym_key: str | None
) -> None:
    from jobs.events_split import model

    rows = model.users(users.rows)
    if pseudonym_key:
        rows = run.engine.rewrite(rows, {"user_id": pseudonym(pseudonym_key)})
    run.stage(USERS, rows)
    run.stage(VIDEOS, model.videos(videos.rows))


def _findings(
    run: Run, users: Attributes, videos: Attributes, conceal: Hide
) -> tuple[Finding, ...]:
    """What looks wrong in the CSV files, and in the events beside them."""
    from jobs.events_split import model

    engine = run.engine
    events = engine.read(PLAYBACK_EVENTS, run.files(PLAYBACK_EVENTS))
    found: list[Finding | None] = []
    for table, attributes, name, typed, takes in (
        (USERS, users, "signup_date", model.day, "a date such as 2021-01-31"),
        (VIDEOS, videos, "duration_seconds", model.whole_int, "a number of seconds"),
    ):
        if attributes.path is None:
            continue
        file, key = attributes.path.name, table.key[0]
        found += (
            missing_column(file, each.name, each.near) for each in attributes.missing
        )
        values = model.unreadable(attributes.rows, name, typed)
        [unreadable] = engine.collect(values, model.Unreadable)
        example = conceal(unreadable.example)
        count = unreadable.values
        found.append(unreadable_values(file, name, takes, count, example))
        rows = engine.read(table, run.files(table))
        [ids] = engine.collect(model.known_ids(events, rows, key), model.Ids)
        found.append(unknown_ids(file, key, *ids))
    return most_serious_first(found)


def _zone_of_events(time_zone: str, tally: Sequence["Tally"]) -> Offsets:
    """The offsets of a zone from the oldest to the newest event of the tables."""
    kept = [each for each in tally if each.outcome in {t.name for t in EVENT_TABLES}]
    oldest = min((each.oldest for each in kept if each.oldest is not None), default=0)
    newest = max((each.newest for each in kept if each.newest is not None), default=0)
    return offsets(time_zone, oldest, newest + 1)


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

    zone = _zone_of_events(run.settings.reporting_timezone, tally)
    stored = {}
    shared: list[SharedEventId] = []
    identified = {counted.outcome for counted in tally if counted.identified}
    for table in EVENT_TABLES:
        rows = model.event_rows(judged, table, zone)
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
