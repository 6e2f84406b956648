"""What a run would make of some lines: all in memory, and nothing is written."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.engine import open_engine
from jobs.events_split.causes import Shown, causes
from jobs.events_split.config import EventsSplitSettings
from jobs.events_split.job import Judge
from jobs.fields import FIELDS
from jobs.ledger import Cause
from jobs.lines.files import listed
from jobs.mapping import EventMapping
from jobs.settings import RunSettings
from jobs.tables import EVENT_TABLES
from jobs.zones import offsets


@dataclass(frozen=True)
class Trial:
    """What would become of lines.

    Attributes:
        kept: the number of lines of each table, duplicates included.
        ignored: the number of lines of each name that would be ignored.
        causes: why lines would be rejected.
    """

    kept: Mapping[str, int]
    ignored: Mapping[str, int]
    causes: Sequence[Cause]

    @property
    def rejected(self) -> int:
        return sum(cause.lines for cause in self.causes)


def try_mapping(
    lines: Sequence[bytes],
    mapping: EventMapping | None,
    settings: RunSettings,
    own: EventsSplitSettings,
    shown: Shown,
) -> Trial:
    """What a run on the embedded engine would make of these lines.

    Args:
        lines: the lines.
        mapping: the mapping; None if the lines are our events already.
        settings: the settings of the run.
        own: the settings of the job.
        shown: shows values of the input.
    """
    limits = own.limits(settings.reporting_timezone, datetime.now(UTC))
    zone = offsets(own.input_timezone, *limits)
    judge = Judge(None, *limits, zone, mapping)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines.jsonl")
        path.write_bytes(b"\n".join(lines))
        files = [listed(path, path.parent)]
        engine = open_engine(replace(settings, engine="duckdb"), path.parent)
        try:
            engine.bind_models()
            from jobs.events_split import model

            judged = engine.read_lines(files, FIELDS, judge, mapping).rows
            counts = engine.cache(model.counted(judged))
            tally = engine.collect(model.tally(counts), model.Tally)
            found, _ = causes(engine, judged, tally, files, shown, mapping)
        finally:
            engine.close()
    kept = Counter({each.outcome: each.lines for each in tally if each.is_kept})
    return Trial(
        {table.name: kept[table.name] for table in EVENT_TABLES if kept[table.name]},
        model.by_detail(tally, model.IGNORED, model.NOT_MAPPED),
        found,
    )
