"""Raw lines to staging tables."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jobs.engine import Engine, Rewrite, find_inputs
from jobs.errors import InputError, TooManyRejectedError
from jobs.events_split.config import EventsSplitSettings
from jobs.events_split.privacy import IDS, concealing, number_pseudonym, pseudonym
from jobs.fields import FIELDS
from jobs.ledger import LineAccount, percent
from jobs.runner import Job, JobResult
from jobs.tables import (
    APP_LOADED,
    EVENT_TABLES,
    PLAYBACK_EVENTS,
    REJECTED_EVENTS,
    USER_REGISTRATION,
    USERS,
    VIDEOS,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Judge:
    """The rules for a line, and what is hidden of it before anything is stored."""

    pseudonym_key: str | None

    def __call__(self, lines: "DataFrame", rewrite: Rewrite) -> "DataFrame":
        from jobs.events_split import model

        key = self.pseudonym_key
        hides = {"raw": concealing(key)}
        if key:
            hides |= dict.fromkeys(IDS, pseudonym(key))
            hides["initiator_id"] = number_pseudonym(key)
        return rewrite(model.judge(lines), hides)


def run(engine: Engine, settings: EventsSplitSettings) -> JobResult:
    """Stage the six staging tables and account for every line.

    Raises:
        InputError: INPUT_DATA_PATH, users.csv or videos.csv cannot be read.
        TooManyRejectedError: rejected_events alone is staged, for a look at the lines.
    """
    from jobs.events_split import model

    inputs = find_inputs(engine.settings.input_data_path, engine.store.prefix)
    key = settings.pseudonym_key

    judged = engine.judged(inputs, FIELDS, Judge(key))
    tally: dict[tuple[str, Any], int] = {
        (counted.outcome, counted.detail): counted.lines
        for counted in engine.collect(model.tally(judged), model.Tally)
    }
    if not tally:
        raise InputError(
            f"{inputs.path}: no line in {len(inputs.event_files):,} event files"
        )
    engine.stage(REJECTED_EVENTS, model.only_rejected(judged))
    rejected = {d: n for (o, d), n in tally.items() if o == model.REJECTED}
    _check_ratio(rejected, sum(tally.values()), settings.max_rejected_ratio)

    notes = []
    for table, rows in ((USERS, model.users), (VIDEOS, model.videos)):
        path = inputs.attributes(table.name)
        if path is None:
            notes.append(f"There is no {table.name}.csv: its attributes are NULL.")
        attributes = engine.read_attributes(table, path)
        if key and table is USERS:
            attributes = engine.rewrite(attributes, {"user_id": pseudonym(key)})
        engine.stage(table, rows(attributes))
    stored = {
        USER_REGISTRATION.name: engine.stage(
            USER_REGISTRATION, model.only_registrations(judged)
        ),
        APP_LOADED.name: engine.stage(APP_LOADED, model.only_app_loads(judged)),
        PLAYBACK_EVENTS.name: engine.stage(
            PLAYBACK_EVENTS, model.only_playback_events(judged)
        ),
    }
    kept = {table.name: tally.get((table.name, None), 0) for table in EVENT_TABLES}
    account = LineAccount(
        read=sum(tally.values()),
        stored=stored,
        duplicates={name: kept[name] - stored[name] for name in kept},
        ignored={d: n for (o, d), n in tally.items() if o == model.IGNORED},
        rejected=rejected,
    )
    return JobResult(lines=account, notes=tuple(notes))


def _check_ratio(rejected: dict[str, int], read: int, limit: float) -> None:
    lines = sum(rejected.values())
    if lines > Decimal(str(limit)) * read:
        reasons = ", ".join(f"{name} {n:,}" for name, n in sorted(rejected.items()))
        raise TooManyRejectedError(
            f"{lines:,} of {read:,} lines rejected ({percent(lines, read)}), more than"
            f" MAX_REJECTED_RATIO={limit}: {reasons}"
        )


JOB = Job(
    "events_split",
    "Raw lines to typed, deduplicated staging tables, every line accounted for.",
    EventsSplitSettings,
    run,
)
