"""Raw lines to staging tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.engine import Engine, Rewrite
from jobs.errors import InputError, TooManyRejectedError
from jobs.events_split.attributes import Attributes, read_attributes
from jobs.events_split.causes import Shown, causes, with_concealed_names
from jobs.events_split.config import USE, EventsSplitSettings
from jobs.events_split.gates import require_good_lines, require_identifying
from jobs.events_split.look import (
    findings_of_attributes,
    findings_of_lines,
    findings_of_mapping,
    findings_of_tables,
)
from jobs.events_split.privacy import IDS, concealing, pseudonym
from jobs.fields import FIELDS
from jobs.findings import Finding, most_serious_first, passed_over
from jobs.ledger import FileAccount, LineAccount
from jobs.lines.chunks import LineCount
from jobs.lines.mapped import TYPED_VALUES, VALUE
from jobs.mapping import UNITS, EventMapping
from jobs.mapping.times import text_pattern
from jobs.publishing.run import Run
from jobs.quoting import counted
from jobs.runner import Job, JobResult
from jobs.settings import ON
from jobs.storage.inputs import Inputs, find_inputs
from jobs.tables import EVENT_TABLES, REJECTED_EVENTS, USERS, VIDEOS
from jobs.zones import UTC_OFFSETS, Offsets, offsets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.events_split.model import MappedLines, SharedEventId, Tally

_NAMES_SHOWN = 20


@dataclass(frozen=True)
class Judge:
    """Judges lines, and hides addresses and ids before anything is stored."""

    pseudonym_key: str | None
    first_micros: int
    until_micros: int
    input_zone: Offsets = UTC_OFFSETS
    mapping: EventMapping | None = None

    def __call__(self, lines: "DataFrame", rewrite: Rewrite) -> "DataFrame":
        from jobs.events_split import model

        key = self.pseudonym_key
        judged = model.judge(
            lines,
            self.first_micros,
            self.until_micros,
            self.input_zone,
            mapped_lines(self.mapping) if self.mapping else None,
        )
        hides = {"raw": concealing(key, ids=id_names(self.mapping))}
        if not key:
            return rewrite(judged, hides)
        hides |= dict.fromkeys(IDS, pseudonym(key))
        hidden = rewrite(judged.transform(model.with_gap_digits), hides)
        return hidden.transform(model.with_pseudonym_of_gap)


def run(run: Run, settings: EventsSplitSettings) -> JobResult:
    """Stage the six staging tables and account for every line.

    Raises:
        InputError: the input, or the CSV file of users or videos, cannot be read.
        TooManyRejectedError: only rejected_events is staged, to show the lines.
    """
    from jobs.events_split import model

    started = datetime.fromisoformat(run.ledger.started)
    limits = settings.limits(run.settings.reporting_timezone, started)
    mapping = settings.mapping
    inputs = find_inputs(
        run.settings.input_data_path, run.prefix, run.settings.input_exclude, mapping
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
    judge = Judge(settings.pseudonym_key, *limits, input_zone, mapping)
    read = run.engine.read_lines(inputs.event_files, FIELDS, judge, mapping)
    judged = read.rows
    counts = run.engine.cache(model.counted(judged))
    shown = Shown(
        run.settings.log_values == ON,
        settings.pseudonym_key is not None,
        id_names(mapping),
    )
    found_tally = run.engine.collect(model.tally(counts), model.Tally)
    tally = with_concealed_names(found_tally, shown)
    _require_lines(tally, inputs)
    files = _file_accounts(run.engine, inputs, read.counts, counts)
    run.stage(REJECTED_EVENTS, model.only_rejected(judged))
    found, help_ = causes(run.engine, judged, tally, inputs.event_files, shown, mapping)
    try:
        require_good_lines(tally, files, settings.max_rejected_ratio, help_)
    except TooManyRejectedError as error:
        error.causes = found
        raise
    _stage_attributes(run, users, videos, settings.pseudonym_key)
    stored, shared = _stage_events(run, judged, tally, settings)
    without_id = dict(run.engine.collect(model.without_id(counts), model.WithoutId))
    of_mapping: Iterable[Finding | None] = ()
    if mapping:
        rules = run.engine.collect(model.rule_tally(counts), model.RuleTally)
        of_mapping = findings_of_mapping(mapping, rules)
    no_attributes = (
        f"There is no {table.name}.csv: its attributes are NULL."
        for table, attributes in ((USERS, users), (VIDEOS, videos))
        if attributes.path is None
    )
    return JobResult(
        lines=line_account(tally, stored),
        notes=(*notes_on_files(inputs), *no_attributes),
        event_files=files,
        causes=found,
        findings=most_serious_first(
            (
                *findings_of_lines(tally, without_id, shared, shown),
                *of_mapping,
                *findings_of_tables(run, shown),
                *findings_of_attributes(run, users, videos, shown),
                passed_over(list(inputs.passed_over)),
            )
        ),
        passed_over=inputs.passed_over,
        mapping=mapping.title if mapping else None,
    )


def mapped_lines(mapping: EventMapping) -> "MappedLines":
    """The rules of a mapping as the model judges by them."""
    from jobs.events_split import model

    times = [(number, rule.time) for number, rule in enumerate(mapping.rules)]
    type_path = mapping.type_path or ("type",)
    return model.MappedLines(
        no_type=f"(no {type_path[-1]})",
        units={number: UNITS[time.unit] for number, time in times if time.unit},
        formats={
            number: text_pattern(time.format) for number, time in times if time.format
        },
    )


def id_names(mapping: EventMapping | None) -> tuple[str, ...]:
    """The names of ids that are concealed in rejected lines."""
    if mapping is None:
        return IDS
    of_pairs = (VALUE, *TYPED_VALUES) if mapping.has_in_pairs(*IDS) else ()
    return tuple(dict.fromkeys((*IDS, *mapping.names_of(*IDS), *of_pairs)))


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
        ignored=model.by_detail(tally, model.IGNORED, model.NOT_MAPPED),
        rejected=model.by_detail(tally, model.REJECTED),
    )


def notes_on_files(inputs: Inputs) -> tuple[str, ...]:
    """A line for each of some files that were passed over, and one that counts them."""
    notes = []
    if inputs.passed_over:
        count = len(inputs.passed_over)
        notes.append(f"Passed over for lack of events: {counted(count, 'file')}.")
        names = islice(inputs.passed_over.items(), _NAMES_SHOWN)
        notes += [f"  {name}: {why}" for name, why in names]
        if count > _NAMES_SHOWN:
            more = count - _NAMES_SHOWN
            notes.append(f"  … and {more:,} more, which the ledger names.")
    if inputs.left_out:
        left_out = counted(inputs.left_out, "file or folder", "files or folders")
        notes.append(f"INPUT_EXCLUDE leaves out {left_out}.")
    return tuple(notes)


def _require_lines(tally: Sequence["Tally"], inputs: Inputs) -> None:
    if not tally:
        files = counted(len(inputs.event_files), "event file")
        raise InputError(f"{inputs.path}: no line in {files}{inputs.others}")


def _file_accounts(
    engine: Engine,
    inputs: Inputs,
    read: Sequence[LineCount],
    counts: "DataFrame",
) -> tuple[FileAccount, ...]:
    from jobs.events_split import model

    tallies = engine.collect(model.file_tally(counts), model.FileTally)
    by_file = {each.file: each[1:] for each in tallies}
    return tuple(
        FileAccount(
            file.name,
            count.size,
            count.line_size,
            count.lines,
            *by_file.get(number, (0, 0, 0)),
        )
        for number, (file, count) in enumerate(
            zip(inputs.event_files, read, strict=True)
        )
    )


def _stage_attributes(
    run: Run, users: Attributes, videos: Attributes, pseudonym_key: str | None
) -> None:
    from jobs.events_split import model

    rows = model.users(users.rows)
    if pseudonym_key:
        rows = run.engine.rewrite(rows, {"user_id": pseudonym(pseudonym_key)})
    run.stage(USERS, rows)
    run.stage(VIDEOS, model.videos(videos.rows))


def _zone_of_events(time_zone: str, tally: Sequence["Tally"]) -> Offsets:
    """The offsets of a zone from the oldest to the newest event of the tables."""
    kept = [each for each in tally if each.is_kept]
    oldest = min((each.oldest for each in kept if each.oldest is not None), default=0)
    newest = max((each.newest for each in kept if each.newest is not None), default=0)
    return offsets(time_zone, oldest, newest + 1)


def _stage_events(
    run: Run,
    judged: "DataFrame",
    tally: Sequence["Tally"],
    settings: EventsSplitSettings,
) -> tuple[dict[str, int], list["SharedEventId"]]:
    """Stage the event tables.

    Returns:
        The number of rows of each by its name, and the event_ids that rows share.

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
    require_identifying(shared, tally, settings.max_rejected_ratio)
    return stored, shared


JOB = Job(
    "events_split",
    "Raw lines to typed, deduplicated staging tables, with an account of every line.",
    EventsSplitSettings,
    run,
)
