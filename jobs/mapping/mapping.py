"""A mapping says which lines of others are our events, and which fields they have.

docs/mapping.md explains the format.
"""

import hashlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from jobs.errors import SettingError
from jobs.mapping.paths import Path, read_path
from jobs.mapping.positions import Place, line_of, lines_of_keys
from jobs.mapping.times import DIRECTIVES, UNITS, directives, no_instant
from jobs.quoting import printable

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "app": (
        "event",
        "timestamp",
        "initiator_id",
        "event_id",
        "channel",
        "device_type",
    ),
    "playback": (
        "timestamp",
        "event_id",
        "account_id",
        "user_id",
        "video_id",
        "session_id",
        "event_name",
        "value",
        "device",
        "device_os",
        "app_version",
        "country",
    ),
}
"""The fields of each family."""

REQUIRED = {
    "app": ("event", "timestamp", "initiator_id"),
    "playback": ("event_name", "timestamp", "user_id"),
}
"""The fields that a rule needs: the event's name, its instant and the user's id."""

MOST_RULES = 100

_PRESETS = FilePath(__file__).parent / "presets"
_OF_RULE = ("when", "family", "fields", "time", "pairs", "json", "rename")
_OF_FILE = ("preset", *_OF_RULE, "events")
_MERGED = ("when", "fields", "rename")


@dataclass(frozen=True)
class Time:
    """How the field ``timestamp`` is written.

    Attributes:
        unit: the unit of a number, one of UNITS; None if its size tells the unit.
        format: the directives of a text, as strptime has them; None if the contract
            says how texts are written.
    """

    unit: str | None = None
    format: str | None = None


@dataclass(frozen=True)
class Rule:
    """Which lines are events of a family, and where their fields are.

    Attributes:
        when: the paths that a line has to have, each with the texts that are allowed
            there; numbers and booleans are compared as they are written.
        family: ``app`` or ``playback``.
        fields: the paths of each of our fields, the first of them first.
        time: how the timestamp is written.
        pairs: the paths of arrays of objects with ``key`` and ``value``.
        json: the paths of texts that hold JSON.
        rename: our name of an event, by its name in the line.
        is_of_preset: whether the rule is one of a preset, which knows more paths than
            the events of one product have.
    """

    when: Mapping[Path, tuple[str, ...]]
    family: str
    fields: Mapping[str, tuple[Path, ...]]
    time: Time = Time()
    pairs: frozenset[Path] = frozenset()
    json: frozenset[Path] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    is_of_preset: bool = False

    @property
    def name_field(self) -> str:
        """The field of the event's name."""
        return REQUIRED[self.family][0]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of all fields, each once."""
        return tuple(dict.fromkeys(p for of in self.fields.values() for p in of))


@dataclass(frozen=True)
class EventMapping:
    """The rules by which lines become events; the first that takes a line counts.

    Attributes:
        name: the name of the preset or of the file.
        rules: the rules.
    """

    name: str
    rules: tuple[Rule, ...]

    @property
    def type_path(self) -> Path | None:
        """The path by whose value lines are counted that no rule takes.

        None if the last rule takes every line.
        """
        return next(iter(self.rules[-1].when), None)

    @cached_property
    def digest(self) -> str:
        """Eight characters that tell two mappings apart, whatever their names are."""
        rules = [
            {
                "when": [[path, texts] for path, texts in rule.when.items()],
                "family": rule.family,
                "fields": sorted(rule.fields.items()),
                "time": asdict(rule.time),
                "pairs": sorted(rule.pairs),
                "json": sorted(rule.json),
                "rename": sorted(rule.rename.items()),
            }
            for rule in self.rules
        ]
        return hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:8]

    @property
    def title(self) -> str:
        """The name and the digest, to name what made a table."""
        return f"{self.name} ({self.digest})"

    def has_in_pairs(self, *fields: str) -> bool:
        """Whether a value of these fields is one of a pair."""
        return any(
            path[:-1] in rule.pairs
            for rule in self.rules
            for name in fields
            for path in rule.fields.get(name, ())
        )

    def names_of(self, *fields: str) -> tuple[str, ...]:
        """The last names of all paths of these fields, in lower case, each once."""
        names = (
            path[-1].lower()
            for rule in self.rules
            for name in fields
            for path in rule.fields.get(name, ())
        )
        return tuple(dict.fromkeys(names))


def presets() -> tuple[str, ...]:
    """The names of the presets."""
    return tuple(sorted(file.stem for file in _PRESETS.glob("*.toml")))


def read_mapping(name_or_path: str) -> EventMapping:
    """The mapping of a preset or in a TOML file.

    Raises:
        SettingError: there is no such preset or file, or it is no mapping.
    """
    if name_or_path in presets():
        return _File.of_preset(name_or_path).mapping()
    path = FilePath(name_or_path)
    if os.sep not in name_or_path and not path.suffix and not path.exists():
        known = _near_or_all(name_or_path, presets())
        raise SettingError(
            f"EVENT_MAPPING={printable(name_or_path)}: there is no such preset or file;"
            f" {known}"
        )
    return _File(path.absolute(), path.name).mapping()


class _WrongError(ValueError):
    """A value is wrong; the message says why, and the place where."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


class _File:
    """A TOML file as it is written."""

    def __init__(self, path: FilePath, name: str) -> None:
        """Read the file.

        Raises:
            SettingError: it cannot be read, or is no TOML.
        """
        self.path, self.name = path, name
        try:
            self._text = path.read_bytes().decode()
            self.values = tomllib.loads(
                self._text.replace("\r\n", "\n"), parse_float=str
            )
        except OSError as error:
            raise SettingError(
                f"EVENT_MAPPING={printable(str(path))}: {error.strerror}"
            ) from None
        except UnicodeDecodeError:
            raise SettingError(
                f"EVENT_MAPPING={printable(str(path))}: it is not UTF-8"
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise SettingError(
                f"EVENT_MAPPING={printable(str(path))}: it is no TOML: {error}"
            ) from None

    @classmethod
    def of_preset(cls, name: str) -> "_File":
        return cls(_PRESETS / f"{name}.toml", name)

    def mapping(self) -> EventMapping:
        try:
            _check_keys(self.values, (), _OF_FILE)
            base = self._preset()
        except _WrongError as error:
            raise self.error(error) from None
        return EventMapping(self.name, tuple(self._rules(base)))

    @property
    def _is_preset(self) -> bool:
        return self.path.parent == _PRESETS

    def _preset(self) -> "_File | None":
        name = self.values.get("preset")
        if name is None:
            return None
        if not isinstance(name, str) or name not in presets():
            known = _near_or_all(str(name), presets())
            raise _WrongError(("preset",), f"there is no preset {name}; {known}")
        return _File.of_preset(name)

    def _rules(self, base: "_File | None") -> Iterator[Rule]:
        """The rules of this file, and then those of its preset."""
        top = _defaults(self.values)
        defaults = _merged(_defaults(base.values), top) if base else top
        own = self._own_rules(is_rule=base is None)
        if len(own) > MOST_RULES:
            raise self.error(
                _WrongError(("events",), f"more than {MOST_RULES} rules are too many")
            )
        for place, values in own:
            rule = self._rule(place, values, defaults)
            yield replace(rule, is_of_preset=self._is_preset)
        for _, values in base._own_rules(is_rule=True) if base else ():
            renamed = {"rename": {**values.get("rename", {}), **top.get("rename", {})}}
            is_renamed = isinstance(values.get("rename", {}), dict)
            values = values | renamed if is_renamed else values
            rule = self._rule(("preset",), values, defaults)
            yield replace(rule, is_of_preset=True)

    def _own_rules(self, is_rule: bool) -> list[tuple[Place, dict[str, Any]]]:
        """The rules as they are written, each with its place.

        Args:
            is_rule: whether the top level is a rule, if there is no other.
        """
        rules = self.values.get("events")
        if rules is None:
            return [((), {})] if is_rule else []
        try:
            if not isinstance(rules, list) or not rules:
                raise _WrongError(
                    ("events",), "events is an array of tables: [[events]]"
                )
            for number, rule in enumerate(rules):
                place = ("events", number)
                if not isinstance(rule, dict):
                    raise _WrongError(place, "a rule is a table: [[events]]")
                _check_keys(rule, place, _OF_RULE)
        except _WrongError as error:
            raise self.error(error) from None
        return [(("events", number), rule) for number, rule in enumerate(rules)]

    def _rule(
        self, place: Place, values: dict[str, Any], defaults: dict[str, Any]
    ) -> Rule:
        try:
            return _rule(place, values, defaults)
        except _WrongError as error:
            raise self.error(error) from None

    def error(self, error: _WrongError) -> SettingError:
        line = line_of(lines_of_keys(self._text), error.place)
        where = printable(str(self.path))
        return SettingError(f"EVENT_MAPPING={where}: line {line}: {error}")


def _defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in _OF_RULE}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two levels of keys: tables merge key by key, other values are replaced."""
    merged = {**below, **above}
    for key in _MERGED:
        lower, upper = below.get(key), above.get(key)
        if isinstance(lower, dict) and isinstance(upper, dict):
            merged[key] = {**lower, **upper}
    return merged


def _check_keys(values: Mapping[str, Any], place: Place, known: Sequence[str]) -> None:
    for key in values:
        if key not in known:
            raise _unknown((*place, key), "key", key, known)


def _rule(place: Place, own: Mapping[str, Any], defaults: Mapping[str, Any]) -> Rule:
    """A rule of its own keys and the defaults.

    Raises:
        _WrongError: a key is missing or wrong.
    """
    # A default has its place at the top level.
    places = {key: (*place, key) if key in own else (key,) for key in (*own, *defaults)}
    values = _merged(defaults, own)
    family = values.get("family")
    if family is None:
        raise _WrongError(place, "a rule has no family: it is app or playback")
    if family not in FAMILIES:
        raise _unknown(places["family"], "family", family, tuple(FAMILIES))
    fields = _fields(place, own, defaults, family)
    for name in REQUIRED[family]:
        if name not in fields:
            raise _WrongError(
                (*place, "fields"),
                f"the field {name} is missing, which a rule of {family} needs",
            )
    rename = _table(values.get("rename", {}), places.get("rename", ()))
    for theirs, ours in rename.items():
        if not isinstance(ours, str) or not ours:
            raise _WrongError(
                (*places["rename"], theirs),
                "rename is a table of names; a name with a dot stands in quotes",
            )
    when = _table(values.get("when", {}), places.get("when", ()))
    return Rule(
        dict(_conditions(when, places.get("when", ()), ())),
        family,
        fields,
        _time(values.get("time", {}), places.get("time", ())),
        _paths(values.get("pairs", []), places.get("pairs", ())),
        _paths(values.get("json", []), places.get("json", ())),
        rename,
    )


def _fields(
    place: Place, own: Mapping[str, Any], defaults: Mapping[str, Any], family: str
) -> dict[str, tuple[Path, ...]]:
    """The paths of a family's fields. A default of another family's field is none."""
    any_family = tuple(dict.fromkeys(name for f in FAMILIES.values() for name in f))
    found: dict[str, tuple[Path, ...]] = {}
    is_top = not place
    for values, at in ((defaults, ("fields",)), (own, (*place, "fields"))):
        is_own = values is own or is_top
        known = FAMILIES[family] if is_own else any_family
        for name, written in _table(values.get("fields", {}), at).items():
            if name not in known:
                kind = f"field of {family}" if is_own else "field"
                raise _unknown((*at, name), kind, name, known)
            if name in FAMILIES[family]:
                found[name] = _alternatives(written, (*at, name))
    return {name: found[name] for name in FAMILIES[family] if name in found}


def _alternatives(written: Any, place: Place) -> tuple[Path, ...]:
    paths = [written] if isinstance(written, str) else written
    if not isinstance(paths, list) or not paths:
        raise _WrongError(place, "a field is a path, or a list of paths")
    return tuple(dict.fromkeys(_path(path, place) for path in paths))


def _paths(written: Any, place: Place) -> frozenset[Path]:
    if not isinstance(written, list):
        raise _WrongError(place, f"{place[-1]} is a list of paths")
    return frozenset(_path(path, place) for path in written)


def _path(written: Any, place: Place) -> Path:
    if not isinstance(written, str):
        raise _WrongError(place, f"{written} is no path, which is a text")
    try:
        return read_path(written)
    except ValueError as error:
        raise _WrongError(place, f"{written} is no path: {error}") from None


def _conditions(
    written: Mapping[str, Any], place: Place, start: Path
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for key, value in written.items():
        at = (*place, key)
        path = (*start, *_path(key, at))
        if isinstance(value, dict):
            yield from _conditions(value, at, path)
            continue
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(each, str | int) for each in values):
            raise _WrongError(at, "when takes texts, numbers and booleans, or a list")
        if "" in values:
            raise _WrongError(at, "an empty text is no value")
        yield path, tuple(dict.fromkeys(map(_as_written, values)))


def _as_written(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _time(written: Any, place: Place) -> Time:
    time = _table(written, place)
    _check_keys(time, place, ("unit", "format"))
    unit, format_ = time.get("unit"), time.get("format")
    if unit is not None and unit not in UNITS:
        raise _unknown((*place, "unit"), "unit", unit, tuple(UNITS))
    if unit is not None and format_ is not None:
        raise _WrongError(place, "a time has a unit or a format, and not both")
    if format_ is not None:
        at = (*place, "format")
        if not isinstance(format_, str):
            raise _WrongError(at, "a format is a text")
        for each in directives(format_):
            if each not in DIRECTIVES:
                raise _WrongError(
                    at, f"there is no directive {each}; there are {_all(DIRECTIVES)}"
                )
        if why := no_instant(format_):
            raise _WrongError(at, f"{format_} is no format of an instant: {why}")
    return Time(unit, format_)


def _table(value: Any, place: Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _WrongError(place, f"{place[-1]} is a table")
    return value


def _unknown(place: Place, kind: str, name: Any, known: Sequence[str]) -> _WrongError:
    return _WrongError(
        place, f"there is no {kind} {printable(str(name))}; {_near_or_all(name, known)}"
    )


def _near_or_all(name: Any, known: Sequence[str]) -> str:
    near = get_close_matches(str(name).lower(), known, n=1, cutoff=0.5)
    return f"the nearest is {near[0]}" if near else f"there are {_all(known)}"


def _all(names: Sequence[str]) -> str:
    return ", ".join(names)
