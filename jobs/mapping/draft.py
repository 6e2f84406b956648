"""Writes a mapping for a file that no preset knows, or for one that a preset knows."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.fields import AMOUNT, Number
from jobs.mapping.instants import Spelling, spelling
from jobs.mapping.mapping import FAMILIES, REQUIRED, EventMapping
from jobs.mapping.names import APP_EVENTS, our_event, rank
from jobs.mapping.paths import Path, as_text
from jobs.mapping.sample import Column, Sample
from jobs.mapping.trackers import Recognised, taken
from jobs.quoting import printable

Show = Callable[[str], str]
"""Shows a value of the input in a comment."""

_VALUES_SHOWN = 3
_LONGEST_ID = 4  # characters of an id that are shown
_NAMES_SHOWN = 40
_PATHS_SHOWN = 40
_MOST_NAMES = 1_000
_FEW_LINES = 20
# A name in one of these means what it means at the top; one of the others does not.
_CONTAINERS = (
    *("properties", "props", "params", "parameters", "attributes", "data", "payload"),
    *("event_properties", "event_params", "context", "event_data", "body", "meta"),
)
_OF_CONTAINER = ("id", "uuid", "name", "type", "key", "code")
_NO_AMOUNT = (AMOUNT.token([]), AMOUNT.token(None))
_LETTERS_OF_KEY = re.compile("[A-Za-z0-9_-]+")

_IDS = ("event_id", "session_id", "video_id", "account_id")


@dataclass(frozen=True)
class Found:
    """The paths of our fields that a file seems to have.

    Attributes:
        paths: the paths of each field; ``event`` is the event's name and ``user`` the
            user's id in both families.
        instant: how the timestamp is written; None if there is none.
    """

    paths: Mapping[str, tuple[Path, ...]]
    instant: Spelling | None

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that each mapping needs and that were not found."""
        needed = ("event", "timestamp", "user")
        return tuple(name for name in needed if name not in self.paths)


def draft_of_preset(
    sample: Sample, found: Recognised, mapping: EventMapping, show: Show
) -> str:
    """A mapping that takes a preset, with rules for names that resemble ours.

    Args:
        sample: the lines.
        found: the tracker that wrote them.
        mapping: the mapping of its preset.
        show: shows a value.
    """
    all_taken = [taken(mapping, event) for event in sample.events]
    names = Counter(
        (each.name or "(no name)", each.our_name if each.rule else "ignored")
        for each in all_taken
    )
    near: dict[Path, dict[str, str]] = {}
    for each in all_taken:
        ours = our_event(each.name) if each.name else None
        # A preset that does not take one of our own names has a reason.
        is_near = each.rule is None and ours and ours != each.name
        if is_near and each.path and each.name and ours:
            near.setdefault(each.path, {})[each.name] = ours
    lines = [
        f"# {found.lines:,} of {len(sample.events):,} lines are of {found.preset}: they"
        f" have {found.signs}.",
        f"preset = {_quoted(found.preset)}",
        "",
        "# The names of events in these lines, and what the preset makes of them:",
        *_table_of_names(names, show),
    ]
    if near:
        lines += ["", "# The preset does not take these names, which resemble ours."]
    for path, ours_of in near.items():
        for family in FAMILIES:
            is_app = family == "app"
            of = [n for n in ours_of if (ours_of[n] in APP_EVENTS) == is_app]
            lines += _rule_of_names(family, path, of, ours_of) if of else []
    return "\n".join(lines) + "\n"


def _table_of_names(
    names: Counter[tuple[str, str | None]], show: Show
) -> Iterator[str]:
    ordered = sorted(names.items(), key=lambda each: (-each[1], each[0]))
    for (name, ours), count in ordered[:_NAMES_SHOWN]:
        yield f"# {count:7,}  {show(name)}: {ours or 'rejected, without a name'}"
    if len(ordered) > _NAMES_SHOWN:
        others = sum(count for _, count in ordered[_NAMES_SHOWN:])
        yield f"# {others:7,}  {len(ordered) - _NAMES_SHOWN:,} other names"


def find_fields(sample: Sample) -> Found:
    """The fields that a file seems to have, by the names and values of its paths."""
    columns = list(sample.columns.values())
    spellings = {
        column.path: found
        for column in columns
        if (found := spelling(column.values)) is not None
    }
    paths: dict[str, tuple[Path, ...]] = {}
    used: set[Path] = set()

    def take(field: str, fits: Callable[[Column], bool], by_name: bool = True) -> None:
        free = [each for each in columns if each.path not in used and fits(each)]
        best = _best(field, free, len(sample.events)) if by_name else free[:1]
        if best and field not in paths:
            paths[field] = tuple(each.path for each in best)
            used.update(paths[field])

    def is_instant(column: Column) -> bool:
        return column.path in spellings

    def is_name(column: Column) -> bool:
        few = min(_MOST_NAMES, max(_FEW_LINES, len(sample.events) // 2))
        is_text = column.kinds == {str} and not is_instant(column)
        return is_text and 0 < len(column.values) < few

    def is_id(column: Column) -> bool:
        return column.kinds <= {str, Number} and not _is_iso(column, spellings)

    def names_user(column: Column) -> bool:
        name = column.path[-1].lower()
        return is_id(column) and name.endswith(("id", "user", "uuid"))

    take("timestamp", is_instant)
    take("timestamp", is_instant, by_name=False)
    take("event", is_name)
    take("user", is_id)
    take("anonymous", is_id)
    for name in _IDS:
        take(name, is_id)
    take("value", _is_amount)
    for name in ("device", "device_os", "device_type", "app_version", "country"):
        take(name, _is_scalar)
    take("channel", _is_scalar)
    take(
        "event", lambda column: is_name(column) and _is_frequent(column, sample), False
    )
    take("user", names_user, by_name=False)
    anonymous = paths.pop("anonymous", ())
    if "user" not in paths:
        paths |= {"user": anonymous} if anonymous else {}
    elif _count(sample, paths["user"]) < len(sample.events):
        paths["user"] = (*paths["user"], *anonymous)
    first = paths.get("timestamp", ((),))[0]
    return Found(paths, spellings.get(first))


def _best(field: str, columns: Sequence[Column], lines: int) -> list[Column]:
    """The columns whose names tell a field; more than one if the best has gaps."""
    ranked = []
    for number, column in enumerate(columns):
        found = rank(field, _names(column.path))
        if found is not None:
            ranked.append((found, len(column.path), number, column))
    ranked.sort(key=lambda each: each[:3])
    best = [column for *_, column in ranked[:1]]
    for *_, column in ranked[1:2]:
        # A second name is for lines that lack the first, so not for another meaning.
        is_gap = best[0].count + column.count <= lines
        best += [column] if is_gap and best[0].count < lines else []
    return best


def _names(path: Path) -> Iterator[str]:
    """The names by which people may call a path: of user.id, userid and user."""
    is_within = len(path) > 1 and path[-2].lower() not in _CONTAINERS
    if is_within:
        yield "".join(path[-2:])
    if is_within and path[-1].lower() in _OF_CONTAINER:
        yield path[-2]
    else:
        yield path[-1]


def _is_iso(column: Column, spellings: Mapping[Path, Spelling]) -> bool:
    found = spellings.get(column.path)
    return found is not None and not found.why.startswith("numbers")


def _is_amount(column: Column) -> bool:
    """Whether nearly all values are amounts; a line with another one is rejected."""
    amounts = sum(
        count
        for value, count in column.values.items()
        if AMOUNT.token(value) not in _NO_AMOUNT
    )
    return 10 * amounts >= 9 * column.values.total()


def _is_scalar(column: Column) -> bool:
    return column.kinds <= {str, Number, bool} and "[]" not in column.values


def _is_frequent(column: Column, sample: Sample) -> bool:
    return 2 * column.count > len(sample.events)


def _count(sample: Sample, paths: Sequence[Path]) -> int:
    return sum(event.first_path(paths) is not None for event in sample.events)


def draft_of_fields(sample: Sample, found: Found, show: Show) -> str:
    """A mapping of the fields that a file seems to have, with a comment on each line.

    A field that was not found stands there as a comment.
    """
    names = _event_names(sample, found)
    counts = Counter({name: sum(paths.values()) for name, paths in names.items()})
    ours = {name: each for name in names if (each := our_event(name)) is not None}
    app = [name for name in ours if ours[name] in APP_EVENTS]
    writer = _Writer(sample, found, show)
    lines = [f"# The fields that {len(sample.events):,} lines seem to have."]
    lines += writer.arrays_and_json()
    if found.instant and found.instant.format:
        format_ = _quoted(found.instant.format)
        lines.append(f"time.format = {format_}  # {found.instant.why}")
    if app:
        others = [name for name in names if name not in app]
        lines += ["", *writer.fields(tuple(FAMILIES) if others else ("app",))]
        for family, of in (("app", app), ("playback", others)):
            for path in found.paths["event"]:
                here = [name for name in of if path in names[name]]
                lines += _rule_of_names(family, path, here, ours) if here else []
    else:
        why = f"no name of an event resembles {' or '.join(APP_EVENTS)}"
        lines += [f'family = "playback"  # {why}', *_renamed(ours, ours)]
        lines += ["", *writer.fields(("playback",))]
    lines += ["", "# The names of events in these lines, and what becomes of them:"]
    becomes = {(name, ours.get(name, name)): count for name, count in counts.items()}
    lines += _table_of_names(Counter(becomes), show)
    lines += writer.left_out()
    return "\n".join(lines) + "\n"


def _rule_of_names(
    family: str, path: Path, names: Sequence[str], ours: Mapping[str, str]
) -> Iterator[str]:
    """A rule that takes the events of these names."""
    yield ""
    yield "[[events]]"
    yield f"family = {_quoted(family)}"
    yield f"when.{_key(as_text(path))} = {_list(names)}"
    yield from _renamed(names, ours)


def _event_names(sample: Sample, found: Found) -> dict[str, Counter[Path]]:
    """The names of events, the frequent ones first, and where each of them stands."""
    names: dict[str, Counter[Path]] = {}
    for event in sample.events:
        path = event.first_path(found.paths.get("event", ()))
        name = event.text(path) if path else None
        if path and name:
            names.setdefault(name, Counter())[path] += 1
    ordered = sorted(names, key=lambda name: (-names[name].total(), name))
    return {name: names[name] for name in ordered}


def _renamed(names: Iterable[str], ours: Mapping[str, str]) -> list[str]:
    """The line that renames events; none if each has our name already."""
    renamed = {name: ours[name] for name in names if ours.get(name, name) != name}
    return [f"rename = {_inline(renamed)}"] if renamed else []


@dataclass(frozen=True)
class _Writer:
    sample: Sample
    found: Found
    show: Show

    def arrays_and_json(self) -> Iterator[str]:
        """The lines for arrays of key and value, and for texts that hold JSON."""
        for key, paths in (("pairs", self.sample.pairs), ("json", self.sample.json)):
            used = [p for p in sorted(paths) if any(map(_starts_with(p), self._used()))]
            if used:
                yield f"{key} = {_list(map(as_text, used))}"

    def _used(self) -> list[Path]:
        return [path for paths in self.found.paths.values() for path in paths]

    def fields(self, families: Sequence[str]) -> Iterator[str]:
        """The table of the fields of these families."""
        yield "[fields]"
        for each in families:
            name, _, user = REQUIRED[each]
            yield self._line(name, "event", "the event's name")
            if each == families[0]:
                yield self._line("timestamp", "timestamp", "its instant")
            yield self._line(user, "user", "the user's id")
        optional = [
            name
            for each in families
            for name in FAMILIES[each]
            if name not in REQUIRED[each]
        ]
        for name in dict.fromkeys(optional):
            if name in self.found.paths:
                yield self._line(name, name, "")

    def _line(self, name: str, found_as: str, what: str) -> str:
        paths = self.found.paths.get(found_as)
        if paths is None:
            return f'# {name} = "…"  # no path looks like {what}: name one'
        written = [as_text(path) for path in paths]
        value = _quoted(written[0]) if len(written) == 1 else _list(written)
        return f"{name} = {value}  # {self._comment(found_as, paths)}"

    def _comment(self, found_as: str, paths: Sequence[Path]) -> str:
        lines = len(self.sample.events)
        nulls = lines - _count(self.sample, paths)
        values = self.sample.columns[paths[0]].values.most_common(_VALUES_SHOWN)
        is_id = found_as in _IDS or found_as == "user"
        shown = (self.show(_short_id(text) if is_id else text) for text, _ in values)
        parts = [f"{_percent(nulls, lines)} null", ", ".join(shown)]
        if found_as == "timestamp" and self.found.instant:
            parts.append(self.found.instant.why)
        if found_as == "value":
            parts.append("taken as seconds, since no name says another unit")
        return "; ".join(parts)

    def left_out(self) -> Iterator[str]:
        """Comments on the paths that the mapping does not take."""
        used = set(self._used())
        others = [
            each for each in self.sample.columns.values() if each.path not in used
        ]
        if not others:
            return
        lines = len(self.sample.events)
        yield ""
        yield "# Paths that are left out, each with its share of nulls:"
        for column in others[:_PATHS_SHOWN]:
            nulls = _percent(lines - column.count, lines)
            yield f"#   {printable(as_text(column.path))}: {nulls}"
        if len(others) > _PATHS_SHOWN:
            yield f"#   and {len(others) - _PATHS_SHOWN:,} more"


def _starts_with(start: Path) -> Callable[[Path], bool]:
    return lambda path: path[: len(start)] == start and path != start


def _short_id(text: str) -> str:
    return text if len(text) <= _LONGEST_ID else f"{text[:_LONGEST_ID]}…"


def _percent(part: int, whole: int) -> str:
    if 0 < part * 100 < whole:
        return "under 1 %"
    return f"{part * 100 // whole} %"


def _quoted(text: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _key(name: str) -> str:
    return name if _LETTERS_OF_KEY.fullmatch(name) else _quoted(name)


def _inline(table: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{_key(k)} = {_quoted(v)}' for k, v in table.items())}}}"
