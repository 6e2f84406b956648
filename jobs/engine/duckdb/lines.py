"""The SQL by which DuckDB reads the fields of lines."""

from collections.abc import Mapping

from jobs.fields import Kind
from jobs.lines.exact import DEEPEST_NESTING, ESCAPED_KEY, SUSPICIOUS_LENGTH
from jobs.quoting import text

# What few lines have, sought with little effort: a number with a fraction, something
# nested, what DuckDB's reader takes for a constant or for an ending. That a key's colon
# is one, and none of a time, shows in what follows the number.
_UNUSUAL_VALUE = r":\s*(?:-?(?:\d+[.eE][-+\deE]*[,}\s]|[iInN][aAnN])|[\[{])"
_UNUSUAL_END = r",\s*\}\s*$"
_USUAL_END = '"}'  # of most lines, which then need no search for the other

# DuckDB's reader takes these for JSON: NaN, Infinity in any case, and a trailing comma.
_BARE_CONSTANT = r":\s*-?[iInN][aAnN]"
_BARE_CONSTANT_IN_ARRAY = r"[\[,]\s*-?[iInN][aAnN]"
_TRAILING_COMMA = r",\s*[\]}]"

# A value keeps its JSON text, which tells a number from a string of digits.
_OBJECTS = """
SELECT raw, source_file, object IS NOT NULL AS is_object, {fields}
FROM (
    SELECT raw, source_file,
        CASE WHEN json_valid(plain) THEN json_transform(plain, {structure}) END
            AS object
    FROM (
        SELECT line AS raw, source_file, CASE
            WHEN exact IS NOT NULL THEN nullif(exact, '')
            WHEN NOT starts_with(line, '{{') OR ({is_unusual}) AND ({is_not_plain})
                THEN {plain_line}(line)
            ELSE line
        END AS plain
        FROM {lines}
        WHERE line IS NOT NULL
    )
)
"""


def objects_query(lines: str, plain_line: str, fields: Mapping[str, Kind]) -> str:
    """SQL: a row for each line with raw, source_file, is_object and every field.

    Args:
        lines: the name of what ArrowLines gives.
        plain_line: the name by which SQL calls :func:`plain_line`.
        fields: the kind of each field, by its name.
    """
    structure = ", ".join(
        f'"{name}": "{"JSON" if kind.keeps_json else "VARCHAR"}"'
        for name, kind in fields.items()
    )
    not_plain = (
        *map(_matches, (_needs_exact(fields), _BARE_CONSTANT, _TRAILING_COMMA)),
        f"contains(line, '[') AND {_matches(_BARE_CONSTANT_IN_ARRAY)}",
        f"contains(line, '\\u') AND {_matches(ESCAPED_KEY)}",
        f"strlen(line) > {SUSPICIOUS_LENGTH} AND strlen(line)"
        f" - strlen(translate(line, '[{{', '')) > {DEEPEST_NESTING}",
    )
    return _OBJECTS.format(
        lines=lines,
        plain_line=plain_line,
        fields=", ".join(
            kind.text.format(value=f'object."{name}"') + f' AS "{name}"'
            for name, kind in fields.items()
        ),
        structure=text(f"{{{structure}}}"),
        is_unusual=f"{_matches(_UNUSUAL_VALUE)} OR (NOT"
        f" ends_with(line, {text(_USUAL_END)}) AND {_matches(_UNUSUAL_END)})",
        is_not_plain=" OR ".join(not_plain),
    )


def _needs_exact(fields: Mapping[str, Kind]) -> str:
    """A regular expression that finds a field whose value needs exact reading."""
    names: dict[str, list[str]] = {}
    for name, kind in fields.items():
        names.setdefault(kind.needs_exact, []).append(name)
    ways = (
        rf'(?:{"|".join(of_kind)})"\s*:\s*{begins}' for begins, of_kind in names.items()
    )
    return rf'"(?:{"|".join(ways)})'


def _matches(pattern: str) -> str:
    return f"regexp_matches(line, {text(pattern)})"
