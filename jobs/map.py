"""``python -m jobs.map FILE``: writes a mapping for a file of events."""

import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from jobs.errors import RunError, SettingError, in_one_line
from jobs.events_split.causes import Shown
from jobs.events_split.config import EventsSplitSettings
from jobs.events_split.gates import LEAST_LINES
from jobs.events_split.trial import try_mapping
from jobs.mapping import EventMapping, read_mapping
from jobs.mapping.draft import draft_of_fields, draft_of_preset, find_fields
from jobs.mapping.sample import Sample, read_sample
from jobs.mapping.trackers import are_ours, recognised
from jobs.quoting import printable, short, some
from jobs.settings import ON, Parser, RunSettings, load

_NAMES_SHOWN = 10

SUMMARY = """\
Look at the first lines of a file of events, and write a mapping (EVENT_MAPPING) for
them: the preset of the tracker that wrote them, or the fields that they seem to have.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a mapping; returns the exit code of the contract."""
    # A program that reads the output may end early, such as head: this is no error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = Parser(prog="python -m jobs.map", description=SUMMARY)
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of events")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="a new file; unset: stdout"
    )
    try:
        given = parser.parse_args(arguments)
        settings: RunSettings
        own: EventsSplitSettings
        settings, own = load(
            (RunSettings, EventsSplitSettings), parser.prog, SUMMARY, []
        )
        shown = Shown(settings.log_values == ON, own.pseudonym_key is not None)
        sample = read_sample(given.file.absolute())
        text = draft(sample, shown)
        if given.output is None:
            print(text, end="", flush=True)
        else:
            write_new(given.output, text)
        for line in outlook(sample, text, settings, own, shown):
            print(line, file=sys.stderr)
    except (Exception, KeyboardInterrupt) as error:
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        return error.exit_code if isinstance(error, RunError) else 1
    return 0


def draft(sample: Sample, shown: Shown) -> str:
    """A mapping for these lines."""
    found = recognised(sample)
    if found is not None:
        mapping = read_mapping(found.preset)
        return draft_of_preset(sample, found, mapping, shown.text)
    if are_ours(sample):
        return "# Most lines have the fields of our own events: no mapping is needed.\n"
    return draft_of_fields(sample, find_fields(sample), shown.text)


def outlook(
    sample: Sample,
    text: str,
    settings: RunSettings,
    own: EventsSplitSettings,
    shown: Shown,
) -> Iterator[str]:
    """What a run with a mapping would make of these lines, and why."""
    try:
        mapping = None if are_ours(sample) else mapping_of(text)
    except SettingError as error:
        yield f"A run would end, until a path is named: {error}"
        return
    trial = try_mapping(sample.lines, mapping, settings, own, shown)
    kept = sum(trial.kept.values())
    ignored = sum(trial.ignored.values())
    yield (
        f"Of the first {len(sample.lines):,} lines of {printable(sample.file.name)}, a"
        f" run would keep {kept:,}{_listed(trial.kept)}, ignore"
        f" {ignored:,}{_listed(trial.ignored)} and reject {trial.rejected:,}."
    )
    for cause in trial.causes:
        yield f"- {cause.reason} ({cause.lines:,}): the first has {cause.value}"
    if not kept:
        yield "No line would be kept, so a run would end with exit 4."
    elif trial.rejected > own.max_rejected_ratio * max(len(sample.lines), LEAST_LINES):
        yield (
            f"So many rejected lines, more than MAX_REJECTED_RATIO="
            f"{own.max_rejected_ratio}, would end a run with exit 4."
        )


def mapping_of(text: str) -> EventMapping:
    """The mapping of a text of TOML.

    Raises:
        SettingError: a field is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mapping.toml")
        path.write_text(text, encoding="utf-8")
        return read_mapping(str(path))


def _listed(counts: Mapping[str, int]) -> str:
    names = [f"{short(name)} {count:,}" for name, count in counts.items()]
    return f" ({some(names, _NAMES_SHOWN)})" if names else ""


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        SettingError: it is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SettingError(
            f"--output {path}: this file is there; name another, or remove it"
        ) from None
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise SettingError(f"--output {path}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
