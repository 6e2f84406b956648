"""The SQL by which DuckDB reads the fields of lines."""

from collections.abc import Mapping

from jobs.fields import Kind
from jobs.lines.exact import DEEPEST_NESTING, ESCAPED_KEY, NEVER_TOO_DEEP_LENGTH
from jobs.quoting import text

# A fast search for lines that may need exact reading; few lines match. It finds numbers
# with a fraction or an exponent, nested values, bare constants, and a comma before the
# end. A time such as 10:00:00.5 also has colons, so the pattern looks at the character
# after a number.
_MAY_NEED_EXACT = r":\s*(?:-?(?:\d+[.eE][-+\deE]*[,}\s]|[iInN][aAnN])|[\[{])"
_COMMA_BEFORE_END = r",\s*\}\s*$"
_COMMON_END = '"}'  # most lines end so, and are not searched for _COMMA_BEFORE_END

# DuckDB's reader accepts NaN and Infinity in any case, and a trailing comma.
_BARE_CONSTANT = r":\s*-?[iInN][aAnN]"
_BARE_CONSTANT_IN_ARRAY = r"[\[,]\s*-?[iInN][aAnN]"
_TRAILING_COMMA = r",\s*[\]}]"

_OBJECTS = """
SELECT raw, source_file, object IS NOT NULL AS is_object, {fields}
FROM (
    SELECT raw, source_file,
        CASE WHEN json_valid(plain) THEN json_transform(plain, {structure}) END
            AS object
    FROM (
        SELECT line AS raw, source_file, CASE
            WHEN exact IS NOT NULL THEN nullif(exact, '')
            WHEN NOT starts_with(line, '{{') OR ({may_need_exact}) AND ({needs_exact})
                THEN {plain_line}(line)
            ELSE line
        END AS plain
        FROM {lines}
        WHERE line IS NOT NULL
    )
)
"""


def objects_query(lines: str, plain_line: str, fields: Mapping[str, Kind]) -> str:
    """SQL that gives raw, source_file, is_object and every field of each line.

    Args:
        lines: the name of an ArrowLines in DuckDB.
        plain_line: the name of the function :func:`plain_line` in DuckDB.
        fields: the kind of each field, by its name.
    """
    structure = ", ".join(
        f'"{name}": "{"JSON" if kind.keeps_json else "VARCHAR"}"'
        for name, kind in fields.items()
    )
    needs_exact = (
        *map(_matches, (_needs_exact(fields), _BARE_CONSTANT, _TRAILING_COMMA)),
        f"contains(line, '[') AND {_matches(_BARE_CONSTANT_IN_ARRAY)}",
        f"contains(line, '\\u') AND {_matches(ESCAPED_KEY)}",
        f"strlen(line) > {NEVER_TOO_DEEP_LENGTH} AND strlen(line)"
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
        may_need_exact=f"{_matches(_MAY_NEED_EXACT)} OR (NOT"
        f" ends_with(line, {text(_COMMON_END)}) AND {_matches(_COMMA_BEFORE_END)})",
        needs_exact=" OR ".join(needs_exact),
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
