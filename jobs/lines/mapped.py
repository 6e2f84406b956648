"""The exact reading of lines that a mapping makes our events.

These functions say what a mapping means for a single line. jobs/engine/duckdb/mapped.py
gives the same for the lines that need no exact reading.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.fields import text_of
from jobs.lines.exact import (
    KEY,
    LONG_LINE,
    Wanted,
    fields_of_line,
    part_of_long_text,
    plain_line,
    plain_long_line,
    plain_object,
    value_of_text,
)
from jobs.mapping import EventMapping, Path, Rule

VALUE = "value"
TYPED_VALUES = ("string_value", "int_value", "float_value", "double_value")
"""The fields of a pair's value, if this is an object; the first that is not null."""

RULE, TYPE, FOUND = "rule", "type", "found"
"""Further columns of a line: the number of the rule that takes the line, the value by
which lines are counted that no rule takes, and the rule's paths that the line has."""

MOST_PATHS = 63
"""So many paths of a rule are looked for, each with a bit of FOUND."""


@dataclass(frozen=True)
class MappedLine:
    """What a mapping makes of a line.

    Attributes:
        rule: the number of the rule that takes the line; None if none does.
        values: the value of each of our fields, if a rule takes the line.
        type: the text by which a line is counted that no rule takes.
        found: the numbers of the rule's paths that the line has.
    """

    rule: int | None
    values: Mapping[str, Any]
    type: str | None = None
    found: tuple[int, ...] = ()


def mapped_line(fields: Mapping[str, Any], mapping: EventMapping) -> MappedLine:
    """What a mapping makes of a line with these fields."""
    for number, rule in enumerate(mapping.rules):
        if takes(rule, fields):
            values = {path: value_at(fields, path, rule) for path in rule.paths}
            found = (n for n, path in enumerate(rule.paths) if _is_there(values[path]))
            ours = {
                name: next(filter(_is_there, map(values.get, paths)), None)
                for name, paths in rule.fields.items()
            }
            name = text_of(ours[rule.name_field]) or ""
            if name in rule.rename:
                ours[rule.name_field] = rule.rename[name]
            return MappedLine(number, ours, found=tuple(found))
    last, path = mapping.rules[-1], mapping.type_path
    value = text_of(value_at(fields, path, last)) if path else None
    return MappedLine(None, {}, value or None)


def takes(rule: Rule, fields: Mapping[str, Any]) -> bool:
    """Whether a line has all that a rule wants."""
    return all(
        text_of(value_at(fields, path, rule)) in texts
        for path, texts in rule.when.items()
    )


def value_at(fields: Mapping[str, Any], path: Path, rule: Rule) -> Any:
    """The value of a line at a path, as a rule reads it; None if it has none."""
    value: Any = fields
    for number, name in enumerate(path, start=1):
        is_pair = path[: number - 1] in rule.pairs
        if is_pair:
            value = _of_key(value, name)
        else:
            value = value.get(name) if isinstance(value, dict) else None
        is_text_of_json = number < len(path) and path[:number] in rule.json
        if is_pair and (is_text_of_json or number == len(path)):
            value = typed_value(value)
        if is_text_of_json and isinstance(value, str):
            value = _in_text(value, rule, path[:number])
    return value


def _is_there(value: Any) -> bool:
    return value is not None and value != ""


def _of_key(pairs: Any, key: str) -> Any:
    """The value of the first pair that has this key."""
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, dict) and text_of(pair.get(KEY)) == key:
            return pair.get(VALUE)
    return None


def typed_value(value: Any) -> Any:
    """The value of a pair: the first typed one that is not null, if it is an object."""
    if not isinstance(value, dict):
        return value
    typed = map(value.get, TYPED_VALUES)
    return next((each for each in typed if each is not None), None)


def _in_text(text: str, rule: Rule, path: Path) -> Any:
    """The JSON in a text, as far as the rule's paths go through it."""
    if len(text) <= LONG_LINE:
        return value_of_text(text)
    return part_of_long_text(text.encode(), _wanted([rule], path))


def _wanted(rules: Iterable[Rule], start: Path) -> Wanted:
    """The part of the value at a path that these rules read."""
    paths = [
        (path, rule)
        for rule in rules
        for path in (*rule.paths, *rule.when)
        if path[: len(start)] == start
    ]
    return _part(paths, len(start))


def _part(paths: Sequence[tuple[Path, Rule]], depth: int) -> Wanted:
    """The part of a value that these paths read from this depth on."""
    below = [(path, rule) for path, rule in paths if len(path) > depth]
    in_pairs = [(p, rule) for p, rule in below if p[:depth] in rule.pairs]
    in_object = [(p, rule) for p, rule in below if p[:depth] not in rule.pairs]
    names = {
        name: _part([each for each in in_object if each[0][depth] == name], depth + 1)
        for name in dict.fromkeys(path[depth] for path, _ in in_object)
    }
    if not in_pairs:
        return Wanted(names)
    value = _part(in_pairs, depth + 1)
    typed = dict.fromkeys(TYPED_VALUES, Wanted())
    pair = {KEY: Wanted(), VALUE: replace(value, names={**typed, **value.names})}
    keys = frozenset(path[depth] for path, _ in in_pairs)
    return Wanted(names, Wanted(pair, keys=keys))


class ExactReader:
    """Reads lines exactly, by a mapping if there is one."""

    def __init__(self, mapping: EventMapping | None = None) -> None:
        self.mapping = mapping

    def line(self, line: str | None) -> str | None:
        """The line as a plain line; None if it is not one JSON object."""
        if self.mapping is None or line is None:
            return plain_line(line)
        if len(line) > LONG_LINE:
            return self.long_line(line.encode())
        return self._plain(fields_of_line(line), self.mapping)

    def long_line(self, line: bytes | memoryview) -> str | None:
        """The result of :meth:`line`; only the texts of fields take memory."""
        if self.mapping is None:
            return plain_long_line(line)
        part = part_of_long_text(line, _wanted(self.mapping.rules, ()))
        return self._plain(part if isinstance(part, dict) else None, self.mapping)

    def _plain(
        self, fields: Mapping[str, Any] | None, mapping: EventMapping
    ) -> str | None:
        if fields is None:
            return None
        found = mapped_line(fields, mapping)
        more = {TYPE: found.type}
        if found.rule is not None:
            bits = sum(1 << number for number in found.found if number < MOST_PATHS)
            more = {RULE: str(found.rule), FOUND: str(bits)}
        return plain_object(found.values, more)
