"""The first lines of a file, and what stands at each path in them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from jobs.errors import InputError
from jobs.lines.chunks import first_lines
from jobs.lines.exact import fields_of_line
from jobs.lines.files import EventFile, listed
from jobs.lines.mapped import typed_value
from jobs.mapping.paths import Path
from jobs.storage.beginnings import short_beginning

MOST_LINES = 5_000
_MOST_PATHS = 2_000
_MOST_VALUES = 1_000  # of a path, that are counted one by one
_DEEPEST = 8


@dataclass(frozen=True)
class Event:
    """A line that is a JSON object.

    Attributes:
        fields: the fields of the line.
        values: the texts, numbers and booleans in it, by their path, and ``[]`` for an
            array. Null and empty texts are left out.
        pairs: the paths of arrays of key and value.
        json: the paths of texts that hold JSON.
    """

    fields: Mapping[str, Any]
    values: Mapping[Path, Any]
    pairs: frozenset[Path]
    json: frozenset[Path]

    def text(self, path: Path) -> str | None:
        """The value at a path as text; None if there is none."""
        value = self.values.get(path)
        return None if value is None else _as_text(value)

    def first_path(self, paths: Iterable[Path]) -> Path | None:
        """The first of these paths that has a value; None if none has."""
        return next((path for path in paths if path in self.values), None)


@dataclass
class Column:
    """What stands at a path.

    Attributes:
        path: the path.
        count: the lines that have a value there.
        values: the number of lines of each value, as text; only the first thousand
            different values are counted.
        kinds: the types of the values.
    """

    path: Path
    count: int = 0
    values: Counter[str] = field(default_factory=Counter)
    kinds: set[type] = field(default_factory=set)

    def add(self, value: Any) -> None:
        self.count += 1
        self.kinds.add(type(value))
        text = _as_text(value)
        if text in self.values or len(self.values) < _MOST_VALUES:
            self.values[text] += 1


@dataclass(frozen=True)
class Sample:
    """The first lines of a file.

    Attributes:
        file: the file.
        lines: the lines.
        events: those that are JSON objects.
        columns: what stands at each path, in the order of the paths in the lines.
    """

    file: EventFile
    lines: Sequence[bytes]
    events: Sequence[Event]
    columns: Mapping[Path, Column]

    @property
    def pairs(self) -> frozenset[Path]:
        """The paths of all arrays of key and value."""
        return frozenset(path for event in self.events for path in event.pairs)

    @property
    def json(self) -> frozenset[Path]:
        """The paths of all texts that hold JSON."""
        return frozenset(path for event in self.events for path in event.json)


def read_sample(path: FilePath) -> Sample:
    """The first lines of a file, however it is packed and encoded.

    Raises:
        InputError: it is no file, cannot be read, or has no JSON object.
    """
    if path.is_dir():
        raise InputError(f"{path}: it is a folder; name one of its files")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    file = listed(path, path.parent)
    lines = first_lines(file, MOST_LINES)
    events = [event for line in lines if (event := event_of(line)) is not None]
    if not events:
        kind = short_beginning(file).kind
        what = f"it is {kind}" if kind else f"none of {len(lines):,} lines is"
        raise InputError(f"{path}: {what}{'' if kind else ' a JSON object'}")
    return Sample(file, lines, events, _columns(events))


def event_of(line: bytes) -> Event | None:
    """The values of a line; None if it is no JSON object."""
    try:
        fields = fields_of_line(line.decode())
    except UnicodeDecodeError:
        return None
    if fields is None:
        return None
    pairs: set[Path] = set()
    json: set[Path] = set()
    values: dict[Path, Any] = {}
    for path, value in _values(fields, (), pairs, json):
        values.setdefault(path, value)
    return Event(fields, values, frozenset(pairs), frozenset(json))


def _columns(events: Sequence[Event]) -> dict[Path, Column]:
    columns: dict[Path, Column] = {}
    for event in events:
        for path, value in event.values.items():
            if path not in columns and len(columns) < _MOST_PATHS:
                columns[path] = Column(path)
            if path in columns:
                columns[path].add(value)
    return columns


def _values(
    fields: Mapping[str, Any], start: Path, pairs: set[Path], json: set[Path]
) -> Iterator[tuple[Path, Any]]:
    for name, value in fields.items():
        path = (*start, name)
        if isinstance(value, str) and value[:1] == "{" and len(start) < _DEEPEST:
            inner = fields_of_line(value)
            if inner is not None:
                json.add(path)
                value = inner
        if value is None or value == "" or value == {}:
            continue
        if isinstance(value, dict) and len(start) < _DEEPEST:
            yield from _values(value, path, pairs, json)
        elif isinstance(value, list) and _are_pairs(value):
            pairs.add(path)
            for pair in value:
                found = typed_value(pair["value"])
                if found is not None and found != "":
                    yield (*path, pair["key"]), found
        else:
            yield path, "[]" if isinstance(value, list | dict) else value


def _are_pairs(values: list[Any]) -> bool:
    return bool(values) and all(
        isinstance(each, dict) and isinstance(each.get("key"), str) and "value" in each
        for each in values
    )


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
