"""The gates: a run that rejects too much of its input publishes nothing."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from jobs.errors import EventIdError, TooManyRejectedError
from jobs.events_split.causes import short
from jobs.ledger import FileAccount, percent
from jobs.quoting import counted, some
from jobs.tables import APP_LOADED

if TYPE_CHECKING:
    from jobs.events_split.model import SharedEventId, Tally

LEAST_LINES = 100
"""In a run of fewer lines, no share of them ends the run."""

_NAMES_SHOWN = 5


def require_good_lines(
    tally: Sequence["Tally"], files: Sequence[FileAccount], limit: float, help_: str
) -> None:
    """Compare the rejected lines of a run with MAX_REJECTED_RATIO.

    Args:
        tally: the lines of each outcome and detail.
        files: what was read of each file.
        limit: MAX_REJECTED_RATIO; 1 allows a file without a good line, too.
        help_: what would help, if most lines are rejected for one reason.

    Raises:
        TooManyRejectedError: too many are rejected, a file has no good line, or no line
            is kept.
    """
    if limit < 1:
        _require_few_rejected(tally, files, limit, help_)
        _require_good_line_in_each(files, help_)
    _require_kept_line(tally, help_)


def _require_few_rejected(
    tally: Sequence["Tally"], files: Sequence[FileAccount], limit: float, help_: str
) -> None:
    from jobs.events_split import model

    read = sum(counted.lines for counted in tally)
    bad = [each for each in tally if each.outcome == model.REJECTED]
    loads = sum(each.lines for each in tally if each.outcome == APP_LOADED.name)
    anonymous = [each for each in tally if each.detail == model.ANONYMOUS_LOAD]
    if sum(each.lines for each in anonymous) > loads:
        bad += anonymous
    lines, size = sum(each.lines for each in bad), sum(each.size for each in bad)
    bad.sort(key=lambda each: (-each.lines, each.detail or ""))
    reasons = ", ".join(f"{short(each.detail or '')} {each.lines:,}" for each in bad)
    for part, whole, of in (
        (lines, read, "lines"),
        (size, sum(file.line_size for file in files), "bytes of lines"),
    ):
        if read >= LEAST_LINES and part > Decimal(str(limit)) * whole:
            raise TooManyRejectedError(
                f"{part:,} of {whole:,} {of} rejected ({percent(part, whole)}), more"
                f" than MAX_REJECTED_RATIO={limit}: {reasons}{_after(help_)}"
            )


def _require_good_line_in_each(files: Sequence[FileAccount], help_: str) -> None:
    bad = [file for file in files if file.lines and not file.kept + file.ignored]
    if bad:
        names = some([short(file.name) for file in bad], _NAMES_SHOWN)
        lines = sum(file.lines for file in bad)
        raise TooManyRejectedError(
            f"no good line in {names}: {'its only' if lines == 1 else f'all {lines:,}'}"
            f" {'line' if lines == 1 else 'lines'} rejected{_after(help_)}"
        )


def _require_kept_line(tally: Sequence["Tally"], help_: str) -> None:
    from jobs.events_split import model

    if any(each.is_kept for each in tally):
        return
    ignored = model.by_detail(tally, model.IGNORED)
    not_mapped = model.by_detail(tally, model.NOT_MAPPED)
    if not_mapped and not ignored:
        raise TooManyRejectedError(
            f"no line is kept: no rule of the mapping takes the lines of"
            f" {_named(not_mapped)}{_after(help_)}"
        )
    if not ignored:
        raise TooManyRejectedError(f"no line is kept: all are rejected{_after(help_)}")
    raise TooManyRejectedError(
        f"no line is kept: all app events are ignored, {_named(ignored)}, since only"
        f" registered and app_loaded are kept{_after(help_)}"
    )


def _named(counts: Mapping[str, int]) -> str:
    names = sorted(counts, key=lambda name: (-counts[name], name))
    shown = ", ".join(f"{short(n)} ({counts[n]:,})" for n in names[:_NAMES_SHOWN])
    more = f" and {counted(len(names) - _NAMES_SHOWN, 'more name')}"
    return shown + more * (len(names) > _NAMES_SHOWN)


def require_identifying(
    shared: Sequence["SharedEventId"], tally: Sequence["Tally"], limit: float
) -> None:
    """Compare the events of a shared event_id that differ with MAX_REJECTED_RATIO.

    Raises:
        EventIdError: they are too many, so event_id identifies no event.
    """
    kept = sum(each.lines for each in tally if each.is_kept)
    different = sum(found.different_rows for found in shared)
    if kept >= LEAST_LINES and limit < 1 and different > Decimal(str(limit)) * kept:
        examples = ", ".join(short(found.example) for found in shared)
        raise EventIdError(
            f"event_id identifies no event: {different:,} of {kept:,} events"
            f" ({percent(different, kept)}) differ from another one of the same user,"
            f" day, name and event_id, such as {examples}; with EVENT_ID=ignore only"
            " equal events are one"
        )


def _after(help_: str) -> str:
    return f"; {help_}" if help_ else ""
