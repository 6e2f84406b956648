"""The output of a run: progress on stderr, account of lines and answer on stdout."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.findings import Finding
from jobs.ledger import Cause, JobRecord, LineAccount
from jobs.quoting import printable

# Printed texts may come from the input, so they must not be read as markup.
PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
_NAMES_SHOWN = 20
SHOW_REJECTED = (
    "scripts/task sql --"
    " 'SELECT reason, source_file, raw FROM staging.rejected_events'"
)


class Progress:
    """Prints a line on stderr for each step; a terminal shows that the step runs."""

    def __init__(self, is_shown: bool) -> None:
        self._console = Console(stderr=True, quiet=not is_shown, **PLAIN)

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[None]:
        started = time.perf_counter()
        if self._console.is_terminal:
            with self._console.status(f"{name}: {doing}"):
                yield
        else:
            self._console.print(f"{name}: {doing} …")
            yield
        self._console.print(f"{name}: done in {time.perf_counter() - started:.1f} s")

    def print_line(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True)


def show(record: JobRecord) -> None:
    """Print a job's account of lines, what looks wrong, its notes and its headline."""
    console = Console(**PLAIN)
    result = record.result
    if result.lines is not None:
        console.print(_account_table(result.lines))
    show_causes(result.causes)
    if result.causes:
        console.print(f"All of them: {SHOW_REJECTED}", soft_wrap=True)
    show_findings(result.findings)
    show_notes(result.notes)
    if result.headline is not None:
        console.print(result.headline)


def show_causes(causes: Iterable[Cause]) -> None:
    """Print why lines were rejected; nothing if none was."""
    console = Console(**PLAIN)
    for number, cause in enumerate(causes):
        if number == 0:
            console.print("Why lines were rejected, with the first line of each reason")
        first = f"{printable(cause.source_file)}:{cause.line_number}"
        console.print(
            f"- {cause.reason} ({cause.lines:,}): {first} has {cause.value}",
            soft_wrap=True,
        )


def show_notes(notes: Iterable[str]) -> None:
    """Print sentences for the person who started the run."""
    console = Console(**PLAIN)
    for note in notes:
        console.print(printable(note), soft_wrap=True)


def show_findings(findings: Iterable[Finding]) -> None:
    """Print what looks wrong in the data; nothing if nothing does."""
    console = Console(**PLAIN)
    for number, finding in enumerate(findings):
        if number == 0:
            console.print("What looks wrong")
        console.print(f"- {finding.text}", soft_wrap=True)


def _account_table(account: LineAccount) -> Table:
    table = Table(title="Every line", title_justify="left", show_footer=True)
    table.add_column("outcome", footer="read")
    table.add_column("table, event or reason")
    table.add_column("lines", footer=f"{account.read:,}", justify="right")
    ignored = sorted(account.ignored, key=lambda name: -account.ignored[name])
    others = set(ignored[_NAMES_SHOWN:])
    shown = None
    for outcome, name, lines in account.entries():
        if outcome == "ignored" and name in others:
            continue
        table.add_row(
            "" if outcome == shown else outcome, printable(name), f"{lines:,}"
        )
        shown = outcome
    if others:
        lines = sum(account.ignored[name] for name in others)
        table.add_row("ignored", "other names", f"{lines:,}")
    return table
