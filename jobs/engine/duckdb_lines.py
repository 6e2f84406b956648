"""The SQL by which DuckDB reads the fields of lines."""

from jobs.lines.exact import (
    DEEPEST_NESTING,
    ESCAPED_KEY,
    MISTYPED,
    SUSPICIOUS_LENGTH,
)
from jobs.tables import EVENT_FIELDS

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

# What the rules may take of a JSON value as text: a number, a string of digits, a text.
_TOKENS = {
    "user_id": """CASE WHEN starts_with(CAST(object.user_id AS VARCHAR), '"')
        THEN object.user_id->>'$' END""",
    "value": 'nullif(CAST(object."value" AS VARCHAR), \'""\')',
    "initiator_id": """CASE
        WHEN starts_with(CAST(object.initiator_id AS VARCHAR), '"-') THEN 'false'
        ELSE trim(CAST(object.initiator_id AS VARCHAR), '"') END""",
}


def objects_query(lines: str, plain_line: str) -> str:
    """SQL: a row for each line with raw, source_file, is_object and EVENT_FIELDS.

    Args:
        lines: the name of what ArrowLines gives.
        plain_line: the name by which SQL calls :func:`plain_line`.
    """
    structure = ", ".join(
        f'"{field}": "{"JSON" if field in _TOKENS else "VARCHAR"}"'
        for field in EVENT_FIELDS
    )
    not_plain = (
        *map(_matches, (MISTYPED, _BARE_CONSTANT, _TRAILING_COMMA)),
        f"contains(line, '[') AND {_matches(_BARE_CONSTANT_IN_ARRAY)}",
        f"contains(line, '\\u') AND {_matches(ESCAPED_KEY)}",
        f"strlen(line) > {SUSPICIOUS_LENGTH} AND strlen(line)"
        f" - strlen(translate(line, '[{{', '')) > {DEEPEST_NESTING}",
    )
    return _OBJECTS.format(
        lines=lines,
        plain_line=plain_line,
        fields=", ".join(
            _TOKENS.get(field, f'object."{field}"') + f' AS "{field}"'
            for field in EVENT_FIELDS
        ),
        structure=_text(f"{{{structure}}}"),
        is_unusual=f"{_matches(_UNUSUAL_VALUE)} OR (NOT"
        f" ends_with(line, {_text(_USUAL_END)}) AND {_matches(_UNUSUAL_END)})",
        is_not_plain=" OR ".join(not_plain),
    )


def _matches(pattern: str) -> str:
    return f"regexp_matches(line, {_text(pattern)})"


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
