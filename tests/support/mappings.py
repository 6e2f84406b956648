"""Mappings at random, and lines in the shapes that they map."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath

from jobs.mapping import EventMapping, read_mapping
from tests.support.reference import MappingRule

Path = tuple[str, ...]
Token = Callable[[str, random.Random], str]
"""Gives the JSON token of one of our fields."""

FIELDS = {
    "app": ("event", "timestamp", "initiator_id", "event_id", "channel", "device_type"),
    "playback": (
        *("timestamp", "event_id", "account_id", "user_id", "video_id", "session_id"),
        *("event_name", "value", "device", "device_os", "app_version", "country"),
    ),
}
REQUIRED = {
    "app": ("event", "timestamp", "initiator_id"),
    "playback": ("event_name", "timestamp", "user_id"),
}
NAMES = (
    *("a", "b", "id", "Id", "user_id", "properties", "value", "key", "string_value"),
    *("x.y", 'q"t', "back\\slash", "sl/ash", "ü", "$os", "sp ace", "timestamp", "0"),
    *("event", "event_name", "int_value", "[0]", "n\tb", "null", "NaN"),
)
THEIR_NAMES = ("Signed Up", "signed_up", "App Opened", "Video Progress", "7", "true")
OUR_NAMES = ("registered", "app_loaded", "watch_time", "session_start")
TYPES = ("track", "page", "7", "true", "1.50", "Signed Up")
FORMATS = (
    "%d/%m/%Y %H:%M:%S",
    "%Y-%d-%m %H:%M",
    "%b %d, %Y %I:%M:%S %p",
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y%m%d-%H%M%S.%f",
    "%Y.%m.%dT%H:%M%%%z",
)
USUAL = {"value": ("12.5", "7", '"30"', "null"), "text": ('"u1"', '"u2"', "7", '"ü"')}
UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
TYPED = ("string_value", "int_value", "float_value", "double_value")


@dataclass(frozen=True)
class Place:
    """Where values may stand: an object, or an array of pairs.

    Attributes:
        path: its path.
        pairs: the paths of pairs on the way, with its own.
        json: the paths of texts of JSON on the way, with its own.
    """

    path: Path = ()
    pairs: frozenset[Path] = frozenset()
    json: frozenset[Path] = frozenset()


def written_mapping(toml: str, file: FilePath) -> EventMapping:
    """The mapping of a text of TOML that is written to this file."""
    file.write_text(toml, encoding="utf-8")
    return read_mapping(str(file))


def some_mapping(chance: random.Random) -> tuple[list[MappingRule], str]:
    """The rules of a mapping, and its TOML."""
    places = [Place()]
    for _ in range(chance.randrange(5)):
        above = chance.choice(places)
        path = (*above.path, chance.choice(NAMES))
        is_pairs, is_json = chance.random() < 0.35, chance.random() < 0.35
        places.append(
            Place(
                path,
                above.pairs | {path} if is_pairs else above.pairs,
                above.json | {path} if is_json else above.json,
            )
        )
    rules = [some_rule(chance, places) for _ in range(chance.choice((1, 1, 2, 3)))]
    return rules, toml_of(rules)


def some_rule(chance: random.Random, places: Sequence[Place]) -> MappingRule:
    family = chance.choice(("app", "playback", "playback"))
    used = [Place()]

    def some_path() -> Path:
        used.append(chance.choice(places))
        return (*used[-1].path, chance.choice(NAMES))

    fields = {}
    for name in FIELDS[family]:
        if name in REQUIRED[family] or chance.random() < 0.6:
            number = chance.choice((1, 1, 1, 2, 3))
            fields[name] = [*dict.fromkeys(some_path() for _ in range(number))]
    when = {
        some_path(): chance.sample(TYPES, chance.choice((1, 2)))
        for _ in range(chance.choice((0, 1, 1, 2)))
    }
    renamed = chance.sample(THEIR_NAMES, chance.randrange(len(THEIR_NAMES) + 1))
    time = chance.random()
    return MappingRule(
        family,
        fields,
        when,
        tuple(frozenset().union(*(place.pairs for place in used))),
        tuple(frozenset().union(*(place.json for place in used))),
        {name: chance.choice(OUR_NAMES) for name in renamed},
        chance.choice(UNITS) if time < 0.25 else None,
        chance.choice(FORMATS) if time > 0.8 else None,
    )


def toml_of(rules: Sequence[MappingRule]) -> str:
    return "".join(map(toml_of_rule, rules))


def toml_of_rule(rule: MappingRule) -> str:
    time = {"unit": rule.unit, "format": rule.format}
    lines = [
        "[[events]]",
        f'family = "{rule.family}"',
        f"pairs = {texts(map(path_text, rule.pairs))}",
        f"json = {texts(map(path_text, rule.json))}",
        "[events.time]",
        *(f"{key} = {quoted(each)}" for key, each in time.items() if each),
        "[events.when]",
        *(f"{quoted(path_text(p))} = {texts(of)}" for p, of in rule.when.items()),
        "[events.fields]",
        *(
            f"{name} = {texts(map(path_text, paths))}"
            for name, paths in rule.fields.items()
        ),
        "[events.rename]",
        *(f"{quoted(a)} = {quoted(b)}" for a, b in rule.rename.items()),
    ]
    return "\n".join(lines) + "\n"


def path_text(path: Path) -> str:
    return ".".join(
        '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in path
    )


def texts(values: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, values))}]"


def quoted(value: str) -> str:
    return json.dumps(value)


Tree = dict[str, "Tree | str"]


def some_mapped_line(
    rules: Sequence[MappingRule],
    token: Token,
    chance: random.Random,
    line_end: str = "",
) -> bytes:
    """An event in the shape of one of the rules, or of none."""
    rule = chance.choice(rules)
    tree: Tree = {}
    for path, allowed in rule.when.items():
        value = chance.choice((*allowed, *allowed, *allowed, *TYPES))
        if chance.random() < 0.95:
            put(tree, path, value_token(value, chance), chance)
    for name, paths in rule.fields.items():
        at = chance.choice((0, 0, 0, len(paths) - 1))
        for path in paths[:at]:
            put(tree, path, chance.choice(("null", '""', "NaN")), chance)
        put(tree, paths[at], some_value(rule, name, token, chance), chance)
    put(tree, ("number",), str(chance.randrange(10**12)), chance)
    style = Style(chance, rule, line_end)
    return style.of_object(tree, ()).encode(errors="surrogateescape")


def value_token(value: str, chance: random.Random) -> str:
    is_bare = value in ("true", "7", "1.50") and chance.random() < 0.7
    return value if is_bare else quoted(value)


def some_value(
    rule: MappingRule, name: str, token: Token, chance: random.Random
) -> str:
    if name in ("event", "event_name") and chance.random() < 0.6:
        names = (*rule.rename, *OUR_NAMES)
        return value_token(chance.choice(names), chance)
    if name == "timestamp" and chance.random() < 0.7:
        at = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(
            seconds=chance.randrange(10**8), microseconds=chance.randrange(10**6)
        )
        if rule.format:
            return quoted(at.strftime(rule.format))
        if rule.unit:
            number = int(at.timestamp() * 10**9) // 10 ** (
                9 - 3 * UNITS.index(rule.unit)
            )
            ways = (f"{number}", f'"{number}"', f"{number}.25", f"{number}e0", "-1.5")
            return chance.choice((*ways, f"{number}000", f"{number // 1000}"))
        return quoted(at.isoformat())
    if chance.random() < 0.6:
        return chance.choice(USUAL["value" if name == "value" else "text"])
    return token(name, chance)


def put(tree: Tree, path: Path, token: str, chance: random.Random) -> None:
    """Put a value into a tree, unless another one is in its way."""
    for name in path[:-1]:
        below = tree.setdefault(name, {})
        if isinstance(below, str):
            return
        tree = below
    if chance.random() < 0.97:
        tree.setdefault(path[-1], token)


class Style:
    """How the trees of a line are written."""

    def __init__(self, chance: random.Random, rule: MappingRule, line_end: str) -> None:
        self.chance, self.rule, self.line_end = chance, rule, line_end
        self.colon = chance.choice((": ", ":", " :\t"))
        self.last = chance.choice(("", "", "", ",", " ,\t"))

    def of_value(self, value: Tree | str, path: Path) -> str:
        if isinstance(value, str):
            return value
        is_pairs = path in self.rule.pairs and self.chance.random() < 0.97
        written = (self.of_pairs if is_pairs else self.of_object)(value, path)
        if path in self.rule.json and self.chance.random() < 0.8:
            if self.chance.random() < 0.05:
                at = self.chance.randrange(len(written))
                written = written[:at] + self.chance.choice('"}{,x\\') + written[at:]
            return self.quoted(written)
        return written

    def of_object(self, tree: Tree, path: Path) -> str:
        end = self.line_end if not path else ""
        members = [
            f"{self.quoted(name)}{self.colon}{self.of_value(value, (*path, name))}"
            for name, value in tree.items()
        ]
        if self.chance.random() < 0.1 and members:
            members.insert(self.chance.randrange(len(members)), self.repeated(tree))
        if not path:
            self.chance.shuffle(members)
        last = self.last if members else ""
        return "{" + end + f", {end}".join(members) + last + end + "}"

    def repeated(self, tree: Tree) -> str:
        name = self.chance.choice([*tree])
        value = self.chance.choice(("null", "1", '"again"', "{}", "[1.50]", "1.50"))
        return f"{self.quoted(name)}{self.colon}{value}"

    def of_pairs(self, tree: Tree, path: Path) -> str:
        items = []
        for key, value in tree.items():
            written = self.of_value(value, (*path, key))
            if self.chance.random() < 0.6 and (
                isinstance(value, str) or (*path, key) in self.rule.json
            ):
                typed = self.chance.sample(TYPED, self.chance.choice((1, 4)))
                place = self.chance.choice(typed)
                inner = (
                    f'"{name}"{self.colon}{written if name == place else "null"}'
                    for name in typed
                )
                written = f"{{{', '.join(inner)}}}"
            members = [
                f'"key"{self.colon}{self.quoted(key)}',
                f'"value"{self.colon}{written}',
            ]
            if self.chance.random() < 0.2:
                members.reverse()
            items.append(f"{{{','.join(members)}{self.last}}}")
        if self.chance.random() < 0.05:
            more = ("7", "null", "{}", '{"key": 0, "value": 1}', '{"key": "a"}', "[]")
            items.insert(
                self.chance.randrange(len(items) + 1), self.chance.choice(more)
            )
        return f"[{', '.join(items)}{self.last if items else ''}]"

    def quoted(self, value: str) -> str:
        written = json.dumps(value, ensure_ascii=self.chance.random() < 0.5)
        if self.chance.random() < 0.03:
            return written.replace("/", "\\/")
        if self.chance.random() < 0.02 and value.isascii() and value.isprintable():
            return '"' + "".join(f"\\u{ord(c):04x}" for c in value) + '"'
        return written
