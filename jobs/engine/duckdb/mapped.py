"""The SQL by which DuckDB reads lines that a mapping makes our events.

DuckDB takes the values at all paths with one structure. Lines that need exact reading
are read by jobs/lines/mapped.py, which also says what a mapping means.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jobs.engine.duckdb.lines import (
    BLANK_AT_END,
    CODE_OR_TAB_AT_END,
    NO_IDS,
    NULL,
    TEXT_LIKE_NULL,
    WHOLE_NUMBER,
    field_text,
    field_without_id,
    matches,
    replaced,
)
from jobs.fields import NESTED, TEXT, Kind
from jobs.lines.exact import DEEPEST_NESTING, ESCAPED_KEY, KEY, NEVER_TOO_DEEP_LENGTH
from jobs.lines.mapped import FOUND, MOST_PATHS, RULE, TYPE, TYPED_VALUES, VALUE
from jobs.mapping import EventMapping, Path, Rule
from jobs.quoting import identifier, text

# An id that may be none, or has blanks or escapes at its beginning.
_MAY_NEED_TRIM = rf'"(?:[ \t\\]|(?:{NO_IDS})")'
_OR_NESTED = f"|{NESTED}"
# DuckDB's reader accepts NaN and Infinity in any case.
_BARE_CONSTANT = r"\s*-?(?i:nan|inf(?:inity)?)\s*[,\]}]"
_ESCAPE_IN_KEY = r'\\.[^"]*"\s*:'
_SCALAR_IN_PAIR = rf'"{VALUE}"\s*:\s*[^{{\s]'
_MAY_HAVE_ESCAPES = re.compile(r'[\x00-\x1f"\\/]')  # in a name, as JSON writes it
_NO_JSON_PATH = re.compile(r'["\\]')

_Step = tuple[str, str]
_NAME, _KEY, _TEXT = "name", "key of a pair", "text of JSON"

_Tree = dict[str, Any]
_PAIR = ""
"""In a tree, in place of a name: the value of a pair in an array. No name is empty."""


def mapped_objects_query(
    lines: str, plain_line: str, fields: Mapping[str, Kind], mapping: EventMapping
) -> str:
    """The SQL of ``objects_query``, by a mapping.

    The rows have three more columns, which jobs/lines/mapped.py names.

    Args:
        lines: the name of an ArrowLines in DuckDB.
        plain_line: the name of the method ``ExactReader.line`` in DuckDB.
        fields: the kind of each field, by its name.
        mapping: the mapping.
    """
    checks = _Checks(fields, mapping)
    values = _Values(mapping)
    stages = (
        _with_doubts(checks),
        _with_exactness(checks, values.are_quick),
        *values.stages(checks),
        _with_plain_line(plain_line, fields),
        _with_rule(mapping, values),
        _with_values(fields, mapping, values),
        _with_fields(fields),
    )
    query = f"(SELECT * FROM {lines} WHERE line IS NOT NULL)"
    for select in stages:
        query = f"({select} FROM {query})"
    return query[1:-1]


class _Checks:
    """The conditions under which a text of JSON may need, and needs exact reading."""

    def __init__(self, fields: Mapping[str, Kind], mapping: EventMapping) -> None:
        self._kinds: dict[str, dict[Kind, None]] = {}
        self._names: set[str] = set()
        for path, rule, kind in _paths(fields, mapping):
            self._names.update(path)
            is_of_pair = path[:-1] in rule.pairs
            for name in (VALUE, *TYPED_VALUES) if is_of_pair else path[-1:]:
                self._kinds.setdefault(name, {})[kind] = None
            if rule.pairs:
                self._kinds.setdefault(KEY, {})[TEXT] = None

    def may_need_exact(self, json_text: str) -> str:
        """SQL: whether a text of JSON may need exact reading."""
        ways = self._values_that_need_exact()
        if ids := [n for n, kinds in self._kinds.items() if any(k.text for k in kinds)]:
            ways.append(_one_of(ids) + _MAY_NEED_TRIM)
        condition = (
            f"{matches(json_text, '|'.join(ways))}"
            f" OR {_has_constant(json_text)}"
            f" OR contains({json_text}, '\\')"
            f" AND {matches(json_text, self._code_or_tab)}"
            f""" OR contains({json_text}, ' "')"""
            f" AND {matches(json_text, BLANK_AT_END)}"
            f" OR {self._is_deep(json_text)}"
        )
        # Outside of CASE, DuckDB evaluates all parts of OR and AND.
        return f"CASE WHEN {condition} THEN true ELSE false END"

    def needs_exact(self, json_text: str) -> str:
        """SQL: whether a text that may need exact reading needs it.

        Values that are nested are found later, since other objects may have fields of
        these names.
        """
        return (
            f"{matches(json_text, '|'.join(self._values_that_need_exact()))}"
            f" OR {_has_constant(json_text)}"
            f" OR contains({json_text}, '\\')"
            f" AND {matches(json_text, self._escaped_key)}"
            f" OR {self._is_deep(json_text)}"
        )

    def rewritten(self, json_text: str) -> str:
        """SQL: a text in which NaN is null, and 101.0 is 101 in an id."""
        ids = [
            name for name, kinds in self._kinds.items() if all(k.is_id for k in kinds)
        ]
        rewritten = replaced(json_text, NULL, "null")
        condition = f"contains({json_text}, 'NaN') OR contains({json_text}, 'Infinity')"
        if ids:
            whole_number = WHOLE_NUMBER % "|".join(map(re.escape, ids))
            rewritten = replaced(rewritten, whole_number)
            condition += (
                f" OR contains({json_text}, '.0')"
                f" AND {matches(json_text, whole_number)}"
            )
        may_mislead = (
            f"""contains({json_text}, '\\"')"""
            f" OR {matches(json_text, TEXT_LIKE_NULL)}"
        )
        return (
            f"CASE WHEN {condition} THEN CASE WHEN {may_mislead} THEN {json_text}"
            f" ELSE {rewritten} END ELSE {json_text} END"
        )

    def _values_that_need_exact(self) -> list[str]:
        return [
            _one_of(names) + needs_exact
            for needs_exact, names in _by_kind(self._kinds).items()
        ]

    @property
    def _escaped_key(self) -> str:
        is_any = any(map(_MAY_HAVE_ESCAPES.search, self._names))
        return _ESCAPE_IN_KEY if is_any else ESCAPED_KEY

    @property
    def _code_or_tab(self) -> str:
        return f"{CODE_OR_TAB_AT_END}|{self._escaped_key}"

    def _is_deep(self, json_text: str) -> str:
        brackets = (f"len(string_split({json_text}, '{sign}')) - 1" for sign in "[{")
        return (
            f"strlen({json_text}) > {NEVER_TOO_DEEP_LENGTH}"
            f" AND {' + '.join(brackets)} > {DEEPEST_NESTING}"
        )


def _has_constant(json_text: str) -> str:
    """SQL: whether NaN or Infinity stands in a text of JSON, in any case."""
    # A search for a pattern that begins with one sign is fastest.
    first, in_array, next_in_array = (
        matches(json_text, sign + _BARE_CONSTANT) for sign in (":", r"\[", ",")
    )
    has_array = f"contains({json_text}, '[')"
    return f"{first} OR {has_array} AND ({in_array} OR {next_in_array})"


def _paths(
    fields: Mapping[str, Kind], mapping: EventMapping
) -> Iterator[tuple[Path, Rule, Kind]]:
    """All paths with the kinds of their values."""
    for rule in mapping.rules:
        for path in rule.when:
            yield path, rule, TEXT
        for name, paths in rule.fields.items():
            for path in paths:
                yield path, rule, fields[name]


def _one_of(names: Iterable[str]) -> str:
    return rf'"(?:{"|".join(map(re.escape, names))})"\s*:\s*'


def _by_kind(kinds: Mapping[str, Iterable[Kind]]) -> Mapping[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, of_name in kinds.items():
        for kind in of_name:
            needs_exact = kind.needs_exact.replace(_OR_NESTED, "")
            names.setdefault(needs_exact, []).append(name)
    return names


class _Source:
    """A column of JSON, and what is taken of it.

    Attributes:
        column: the name of the column. The columns made of it have names that begin so.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        # Several structures, if a name is read in two ways, or if two names differ
        # only in their case.
        self._layers: list[_Tree] = []
        self._scalars: list[_Tree] = []
        self._pairs: dict[str, str] = {}

    def value(self, steps: Sequence[_Step]) -> str:
        """SQL for the text of the value at these steps, of which one may be a key."""
        keys = [name for kind, name in steps if kind == _KEY]
        names = [_PAIR if kind == _KEY else name for kind, name in steps]
        if not keys:
            return self._value(self._layers, "object", names)
        if names[-1] != _PAIR:
            return self._value(self._layers, "object", names, keys[0])
        typed = ", ".join(
            self._value(self._layers, "object", [*names, name], keys[0])
            for name in TYPED_VALUES
        )
        scalar = self._value(self._scalars, "scalar", names, keys[0])
        is_scalar = f"{scalar} IS NOT NULL AND NOT starts_with({scalar}, '{{')"
        return f"CASE WHEN {is_scalar} THEN {scalar} ->> '$' ELSE coalesce({typed}) END"

    def _value(
        self, layers: list[_Tree], kind: str, names: list[str], key: str = ""
    ) -> str:
        number = next(
            (n for n, layer in enumerate(layers) if _has_room(layer, names)),
            len(layers),
        )
        if number == len(layers):
            layers.append({})
        _add(layers[number], names)
        value = f"{self.column}_{kind}_{number}"
        for name in names:
            if name != _PAIR:
                value = f"struct_extract({value}, {text(name)})"
                continue
            found = f"list_filter({value}, lambda pair: pair.{KEY} = {text(key)})[1]"
            column = f"{self.column}_pair_{len(self._pairs)}"
            value = self._pairs.setdefault(f"{found}.{VALUE}", column)
        return value

    def objects(self, is_valid: str) -> str:
        """The select list of the objects of the JSON that is valid."""
        has_scalars = matches(self.column, _SCALAR_IN_PAIR)
        return "".join(
            f", CASE WHEN {condition} THEN json_transform({self.column},"
            f" {text(json.dumps(_structure(layer)))}) END"
            f" AS {self.column}_{kind}_{number}"
            for layers, kind, condition in (
                (self._layers, "object", is_valid),
                (self._scalars, "scalar", f"{is_valid} AND {has_scalars}"),
            )
            for number, layer in enumerate(layers)
        )

    def pairs(self) -> str:
        """The select list of the values of the pairs that are taken of the objects."""
        return "".join(f", {value} AS {name}" for value, name in self._pairs.items())


def _has_room(tree: _Tree | None, names: Sequence[str]) -> bool:
    """Whether a structure can have a value at these names, too."""
    for name in names:
        if tree is None:
            return False
        if name not in tree:
            has_pair, has_names = _PAIR in tree, bool(tree)
            lower = {other.lower() for other in tree}
            is_alone = name.lower() not in lower and not has_pair
            return is_alone and not (name == _PAIR and has_names)
        tree = tree[name]
    return tree is None


def _add(tree: _Tree, names: Sequence[str]) -> None:
    *parents, last = names
    for name in parents:
        tree = tree.setdefault(name, {})
    tree.setdefault(last, None)


def _structure(tree: _Tree | None) -> Any:
    """A tree as json_transform has it."""
    if tree is None:
        return "VARCHAR"
    if _PAIR in tree:
        value = "JSON" if tree[_PAIR] is None else _structure(tree[_PAIR])
        return [{KEY: "VARCHAR", VALUE: value}]
    return {name: _structure(below) for name, below in tree.items()}


class _Values:
    """The columns of the values at all paths of a mapping.

    Attributes:
        are_quick: whether DuckDB can find all of them.
    """

    def __init__(self, mapping: EventMapping) -> None:
        self.are_quick = True
        self._line = _Source("valid")
        self._texts: dict[tuple[_Step, ...], _Source] = {}
        self._columns: dict[tuple[_Step, ...], str] = {}
        self._values: list[str] = []
        self._text_values: list[str] = []
        for rule in mapping.rules:
            for path in (*rule.when, *rule.paths):
                steps = _steps(path, rule)
                if steps not in self._columns:
                    self._columns[steps] = f"path_{len(self._columns)}"
                    self._values.append(self._value(steps))

    def column(self, path: Path, rule: Rule) -> str:
        """The column of the value at a path of a rule."""
        return self._columns[_steps(path, rule)]

    def stages(self, checks: _Checks) -> Iterator[str]:
        """The beginnings of nested queries that add the columns."""
        if not self.are_quick:
            nothing = (f", NULL::VARCHAR AS {name}" for name in self._columns.values())
            yield "SELECT *" + "".join(nothing)
            return
        yield f"SELECT *{self._line.objects('valid IS NOT NULL')}"
        yield f"SELECT *{self._line.pairs()}"
        sources = [*self._texts.values()]
        if sources:
            texts = zip(self._text_values, sources, strict=True)
            yield "SELECT *" + "".join(f", {t} AS {s.column}" for t, s in texts)
            may = " OR ".join(
                f"({s.column} IS NOT NULL AND {checks.may_need_exact(s.column)})"
                for s in sources
            )
            needs = " OR ".join(
                f"({s.column} IS NOT NULL AND ({checks.needs_exact(s.column)}))"
                for s in sources
            )
            yield f"SELECT *, CASE WHEN {may} THEN true ELSE false END AS texts_may"
            yield (
                "SELECT * REPLACE (may_need_exact OR texts_may AS may_need_exact,"
                " CASE WHEN is_exact THEN true WHEN texts_may"
                f" THEN CASE WHEN {needs} THEN true ELSE false END"
                " ELSE false END AS is_exact)"
            )
            yield "SELECT *" + "".join(
                s.objects(f"NOT is_exact AND json_valid({s.column})") for s in sources
            )
            yield "SELECT *" + "".join(s.pairs() for s in sources)
        yield "SELECT *" + "".join(
            f", nullif({value}, '') AS path_{n}" for n, value in enumerate(self._values)
        )
        nested = " OR ".join(
            f"starts_with(path_{n}, '{sign}')"
            for n in range(len(self._values))
            for sign in "[{"
        )
        yield (
            f"SELECT * REPLACE (CASE WHEN is_exact OR {nested} THEN true ELSE false END"
            " AS is_exact)"
        )

    def _value(self, steps: tuple[_Step, ...]) -> str:
        """SQL for the text of a value."""
        kinds = [kind for kind, _ in steps]
        if _TEXT not in kinds:
            return self._value_in(self._line, steps)
        at = kinds.index(_TEXT)
        before, after = steps[:at], steps[at + 1 :]
        if before not in self._texts:
            self._texts[before] = _Source(f"text_{len(self._texts)}")
            self._text_values.append(self._text(before))
        value = self._value_in(self._texts[before], after)
        if _KEY in kinds[:at]:
            return value
        # The JSON may stand there as it is, too, and not in a text.
        return f"coalesce({value}, {self._value_in(self._line, before + after)})"

    def _text(self, steps: tuple[_Step, ...]) -> str:
        """SQL for a text of JSON."""
        names = [name for _, name in steps]
        if any(kind == _KEY for kind, _ in steps):
            return self._value_in(self._line, steps)
        if any(map(_NO_JSON_PATH.search, names)):
            self.are_quick = False
            return "NULL"
        may_be_text = matches("valid", rf'"{re.escape(names[-1])}"\s*:\s*"')
        path = "$" + "".join(f'."{name}"' for name in names)
        found = f"json_extract_string(valid, {text(path)})"
        return f"CASE WHEN {may_be_text} THEN {found} END"

    def _value_in(self, source: _Source, steps: tuple[_Step, ...]) -> str:
        kinds = [kind for kind, _ in steps]
        if kinds.count(_KEY) > 1 or _TEXT in kinds:
            self.are_quick = False
            return "NULL"
        return source.value(steps)


def _steps(path: Path, rule: Rule) -> tuple[_Step, ...]:
    """How a rule goes from a line to the value at a path."""
    steps: list[_Step] = []
    for number, name in enumerate(path, start=1):
        steps.append((_KEY if path[: number - 1] in rule.pairs else _NAME, name))
        if number < len(path) and path[:number] in rule.json:
            steps.append((_TEXT, ""))
    return tuple(steps)


def _with_doubts(checks: _Checks) -> str:
    return f"""SELECT line AS raw, source_file, file, "at", size, exact,
        CASE WHEN exact IS NOT NULL OR NOT starts_with(line, '{{') THEN true
            ELSE {checks.may_need_exact("line")} END AS may_need_exact,
        CASE WHEN may_need_exact THEN {checks.rewritten("line")} ELSE line END
            AS line"""


def _with_exactness(checks: _Checks, are_quick: bool) -> str:
    return f"""SELECT *, CASE
            WHEN exact IS NOT NULL OR NOT starts_with(line, '{{') THEN true
            WHEN may_need_exact AND ({checks.needs_exact("line")}) THEN true
            ELSE false
        END {"" if are_quick else "OR true"} AS is_exact,
        CASE WHEN NOT is_exact THEN CASE WHEN json_valid(line) THEN line END END
            AS valid"""


def _with_plain_line(plain_line: str, fields: Mapping[str, Kind]) -> str:
    structure = dict.fromkeys((*fields, RULE, TYPE, FOUND), "VARCHAR")
    return f"""SELECT *, CASE
            WHEN exact IS NOT NULL THEN nullif(exact, '')
            WHEN is_exact THEN {plain_line}(raw)
        END AS plain,
        CASE WHEN json_valid(plain)
            THEN json_transform(plain, {text(json.dumps(structure))}) END AS ours"""


def _with_rule(mapping: EventMapping, values: _Values) -> str:
    conditions = []
    for number, rule in enumerate(mapping.rules):
        wanted = [_has(values.column(p, rule), texts) for p, texts in rule.when.items()]
        condition = " AND ".join(("valid IS NOT NULL", *wanted))
        conditions.append(f"WHEN {condition} THEN {number}::TINYINT")
    return f"""SELECT *,
        CASE WHEN is_exact THEN ours IS NOT NULL ELSE valid IS NOT NULL END
            AS is_object,
        CASE WHEN is_exact THEN CAST(ours.{RULE} AS TINYINT) {" ".join(conditions)} END
            AS rule_taken"""


def _has(column: str, texts: Sequence[str]) -> str:
    """SQL: whether a value is one of these texts."""
    # DuckDB makes a join of IN, which costs time for every line.
    cases = " ".join(f"WHEN {text(each)} THEN true" for each in texts)
    return f"CASE {column} {cases} ELSE false END"


def _with_values(
    fields: Mapping[str, Kind], mapping: EventMapping, values: _Values
) -> str:
    columns = [
        f"CASE WHEN is_exact THEN ours.{identifier(name)}"
        f" {_value_by_rule(name, mapping, values)} END AS {identifier(name)}"
        for name in fields
    ]
    last, path = mapping.rules[-1], mapping.type_path
    type_of_line = values.column(path, last) if path else "NULL"
    found = " ".join(
        f"WHEN rule_taken = {number} THEN {_found(rule, values)}"
        for number, rule in enumerate(mapping.rules)
    )
    return f"""SELECT raw, source_file, file, "at", size, is_object,
        may_need_exact OR is_exact AS may_need_exact,
        {", ".join(columns)}, rule_taken AS {RULE},
        CASE WHEN rule_taken IS NULL THEN
            CASE WHEN is_exact THEN ours.{TYPE} ELSE {type_of_line} END END AS {TYPE},
        CASE WHEN is_exact THEN CAST(ours.{FOUND} AS BIGINT) {found} END AS {FOUND}"""


def _value_by_rule(name: str, mapping: EventMapping, values: _Values) -> str:
    """The cases of the rules that have a field; rules that read it alike are one."""
    numbers: dict[str, list[str]] = {}
    for number, rule in enumerate(mapping.rules):
        if name not in rule.fields:
            continue
        columns = [values.column(path, rule) for path in rule.fields[name]]
        value = f"coalesce({', '.join(columns)})"
        if name == rule.name_field and rule.rename:
            value = _renamed(value, rule.rename)
        numbers.setdefault(value, []).append(f"rule_taken = {number}")
    return " ".join(
        f"WHEN {' OR '.join(of_value)} THEN {value}"
        for value, of_value in numbers.items()
    )


def _renamed(value: str, rename: Mapping[str, str]) -> str:
    names = " ".join(f"WHEN {text(a)} THEN {text(b)}" for a, b in rename.items())
    return f"CASE {value} {names} ELSE {value} END"


def _found(rule: Rule, values: _Values) -> str:
    """SQL for a number with a bit for each path of a rule that a line has."""
    bits = (
        f"CASE WHEN {values.column(path, rule)} IS NOT NULL THEN {1 << number} ELSE 0"
        " END"
        for number, path in enumerate(rule.paths[:MOST_PATHS])
    )
    return f"({' + '.join(bits)})::BIGINT"


def _with_fields(fields: Mapping[str, Kind]) -> str:
    columns = (
        f"{field_text(identifier(name), kind, 'may_need_exact')} AS {identifier(name)}"
        for name, kind in fields.items()
    )
    return f"""SELECT raw, source_file, file, "at", size, is_object,
        {", ".join(columns)}, {RULE}, {TYPE}, {FOUND},
        {field_without_id(fields, identifier, "may_need_exact")} AS field_without_id"""
