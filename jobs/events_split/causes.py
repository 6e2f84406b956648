"""Why lines are rejected: the count, the first line and its value, and what would help.

Lines are shown as they are stored, with addresses and, with a key, ids concealed.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from jobs.engine import Engine
from jobs.events_split.privacy import IDS, MASK, NEVER_STORED, concealing
from jobs.fields import FIELDS, OPTIONAL_ID, OPTIONAL_KNOWN_ID, Number
from jobs.ledger import Cause
from jobs.lines.exact import LONG_LINE, as_written, fields_of_line
from jobs.lines.files import EventFile, line_number
from jobs.lines.mapped import mapped_line
from jobs.mapping import EventMapping
from jobs.quoting import counted, printable, shell_word, some

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.events_split.model import RejectedLine, Tally

_LINES_SEEN = 100  # of each reason, to find the keys of such lines
_LONGEST_SEEN = 10_000  # characters of a line
_LONGEST_FIRST = LONG_LINE  # characters of the first line of a reason
_LONGEST_SHOWN = 60
_NAMES_SHOWN = 12
_E_MAIL = re.compile(r"[^\s@\"',;:<>]+@[^\s@\"',;:<>]+")
_ID_FIELDS = (
    NEVER_STORED,
    *(name for name in FIELDS if FIELDS[name] in (OPTIONAL_ID, OPTIONAL_KNOWN_ID)),
)
_FIELD_OF_REASON = {
    **{kind.missing: name for name, kind in FIELDS.items() if kind.missing},
    **{kind.invalid: name for name, kind in FIELDS.items() if kind.invalid},
    "past_timestamp": "timestamp",
    "future_timestamp": "timestamp",
}
_HELP = {
    "malformed_json": "each line has to be a JSON object",
    "invalid_timestamp": "the README lists the spellings of an instant",
    "past_timestamp": "if these times are right, set DATA_FROM before them",
    "future_timestamp": "if these times are right, set DATA_UNTIL after them",
    "invalid_initiator_id": "an id is a text or a number",
    "invalid_user_id": "an id is a text or a number",
    "invalid_value": "a value is a number of at least 0, such as seconds watched",
}
# The fields that a line without this field may have under other names.
_WANTED = {
    "missing_event": ("event", "event_name", "timestamp", "user_id"),
    "missing_timestamp": ("timestamp", "event", "event_name", "user_id"),
    "missing_initiator_id": ("initiator_id", "user_id"),
    "missing_user_id": ("user_id",),
}


@dataclass(frozen=True)
class Shown:
    """How values of the input are shown.

    Attributes:
        values: whether they are shown (LOG_VALUES), or only their kind and length.
        hides_ids: whether no id is shown. The users' ids are pseudonyms already.
        id_names: the names of users' ids in lines.
    """

    values: bool
    hides_ids: bool
    id_names: tuple[str, ...] = IDS

    def json(self, value: Any) -> str:
        """A value of JSON as it is written, made short."""
        written = as_written(value)
        if not self.values:
            kind = _KINDS[type(value)]
            return f"{kind} of {counted(len(written), 'character')}"
        return self.text(written)

    def text(self, text: str) -> str:
        """A text made short, without anything like an e-mail address."""
        if not self.values:
            return f"a text of {counted(len(text), 'character')}"
        return short(self._concealed(text))

    def name(self, name: str) -> str:
        """A name in full, without anything like an address or an e-mail address."""
        return _E_MAIL.sub(MASK, self._concealed(name[:_LONGEST_SEEN]))

    def _concealed(self, text: str) -> str:
        masked: tuple[str, ...] = (NEVER_STORED,)
        if self.hides_ids:
            masked = (*_ID_FIELDS, *(n for n in self.id_names if n not in IDS))
        return concealing(None, masked)(text) or ""

    def id(self, text: str) -> str:
        """An id that is no user's, unless ids are hidden."""
        return MASK if self.hides_ids else self.text(text)


def with_concealed_names(tally: Sequence["Tally"], shown: Shown) -> list["Tally"]:
    """The tally with the names of ignored events as they may be shown."""
    from jobs.events_split import model

    return [
        (
            each._replace(detail=shown.name(each.detail))
            if each.outcome in (model.IGNORED, model.NOT_MAPPED) and each.detail
            else each
        )
        for each in tally
    ]


_KINDS = {
    str: "a text",
    Number: "a number",
    dict: "an object",
    list: "an array",
    bool: "a boolean",
    type(None): "a null",
}


def short(text: str) -> str:
    """A text in at most 60 characters, without e-mails and control characters."""
    shown = printable(_E_MAIL.sub(MASK, text[:_LONGEST_SEEN]))
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[: _LONGEST_SHOWN - 1]}…"


def causes(
    engine: Engine,
    judged: "DataFrame",
    tally: Sequence["Tally"],
    files: Sequence[EventFile],
    shown: Shown,
    mapping: EventMapping | None = None,
) -> tuple[tuple[Cause, ...], str]:
    """The cause of each reason, and what would help.

    The help is empty unless most lines are rejected for one reason, or none is kept.

    Args:
        engine: has the lines.
        judged: the judged lines.
        tally: the lines of each outcome and detail.
        files: the files of the lines.
        shown: shows values.
        mapping: the mapping of the lines, if there is one.

    Raises:
        InputError: a file is no longer as it was listed.
    """
    from jobs.events_split import model

    rejected = model.by_detail(tally, model.REJECTED)
    is_any_kept = any(each.is_kept for each in tally)
    if not rejected:
        return (), "" if is_any_kept else _mapping_of(files[0], mapping)
    lines = model.first_rejected(judged, _LINES_SEEN, _LONGEST_SEEN, _LONGEST_FIRST)
    seen: dict[str, list[RejectedLine]] = {reason: [] for reason in rejected}
    for line in sorted(engine.collect(lines, model.RejectedLine), key=_place):
        seen[line.reason].append(line)
    found = tuple(
        Cause(
            reason,
            count,
            files[first.file].name,
            line_number(files[first.file], first.at),
            value_of(first.raw, reason, shown, mapping),
        )
        for reason, count in rejected.items()
        for first in seen[reason][:1]
    )
    all_lines = sum(each.lines for each in tally)
    if not found or (is_any_kept and 2 * found[0].lines <= all_lines):
        return found, ""
    reason = found[0].reason
    lines_of_reason = [line.raw for line in seen[reason]]
    help_ = _HELP.get(reason) or _mapping_of(files[seen[reason][0].file], mapping)
    return found, "; ".join(
        [*([] if mapping else keys_of(reason, lines_of_reason)), help_]
    )


def _mapping_of(file: EventFile, mapping: EventMapping | None) -> str:
    """What would help, if lines are not our events."""
    if mapping:
        return f"compare the mapping {mapping.name} with such a line"
    return (
        "such lines need a mapping, which says which of their fields are ours:"
        f" scripts/task map -- {shell_word(str(file.path))} prints one"
    )


def _place(line: "RejectedLine") -> tuple[int, int]:
    return line.file, line.at


def value_of(
    raw: str, reason: str, shown: Shown, mapping: EventMapping | None = None
) -> str:
    """What a rejected line has in the field that breaks a rule."""
    fields = fields_of_line(raw)
    name = _FIELD_OF_REASON.get(reason)
    if fields is not None and name and mapping:
        value = mapped_line(fields, mapping).values.get(name)
        return f"no {name}" if value is None else shown.json(value)
    if fields is None:
        return shown.text(raw)
    if name is None:
        return short("keys: " + ", ".join(fields))
    return shown.json(fields[name]) if name in fields else f"no key {name}"


def keys_of(reason: str, lines: Sequence[str]) -> list[str]:
    """Sentences on the keys of lines that are rejected for one reason."""
    keys: Counter[str] = Counter()
    for line in lines:
        keys.update(list(fields_of_line(line) or ()))
    sentences = []
    wanted = _WANTED.get(reason, ())
    if keys and wanted:
        names = some([short(name) for name, _ in keys.most_common()], _NAMES_SHOWN)
        sentences.append(f"such lines have the keys {names}")
        others = {name: count for name, count in keys.items() if name not in FIELDS}
        for field in wanted:
            if field not in keys and (near := near_names(field, others)):
                sentences.append(f"{short(near[0])} resembles {field}")
    return sentences


def near_names(
    name: str, others: Mapping[str, int], likeness: float = 0.7
) -> list[str]:
    """The names that resemble a name, the nearest first.

    Args:
        name: the name.
        others: the other names.
        likeness: how much alike they have to be, from 0 to 1.
    """
    by_plain: dict[str, list[str]] = {}
    for other in sorted(others):
        by_plain.setdefault(_plain(other), []).append(other)
    near = get_close_matches(_plain(name), by_plain, n=3, cutoff=likeness)
    return [other for plain in near for other in by_plain[plain] if other != name]


def _plain(name: str) -> str:
    """A name as people compare it: without case, blanks and separators."""
    return re.sub(r"[\W_]", "", name).lower()
