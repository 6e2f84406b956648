"""The SQL by which DuckDB reads the fields of lines."""

import re
from collections.abc import Callable, Mapping

from jobs.fields import NO_ID, Kind, means_no_id
from jobs.lines.exact import DEEPEST_NESTING, ESCAPED_KEY, NEVER_TOO_DEEP_LENGTH
from jobs.quoting import text

NO_IDS = "|".join(map(re.escape, NO_ID))

# A fast search for lines that may need exact reading; few lines match. It finds -0,
# numbers with a fraction or an exponent, bare constants, booleans, nested values, texts
# that begin with a blank, an escape or a number that has an exponent, or that mean no
# id. A time such as 10:00:00.5 also has colons, so the pattern looks at the character
# after a number. Further lines have texts that end with a blank, or escapes by a code.
_MAY_NEED_EXACT = (
    r":\s*(?:(?:-0|-?\d+[.eE][-+\deE]*)[,}\s]|-?[iInN][aAnN]|[\[{tf]"
    rf'|"(?:[ \t\\]|-?\d[\d.]*[eE]|(?:{NO_IDS})"))'
)
# Looked for apart, since a search for one text is faster than one for many.
_ESCAPE, CODE_OR_TAB_AT_END = "\\", r'\\u|\\t"\s*[,}]'
_BLANK, BLANK_AT_END = ' "', r' "\s*[,}]'

# Finds texts that mean no id, and texts that have blanks around them or any escape.
_MAY_NEED_TRIM = rf':\s*"(?:[ \t]|(?:{NO_IDS})")|[ \t]"\s*[,}}]|\\'

# DuckDB's reader accepts NaN and Infinity in any case.
_BARE_CONSTANT = r":\s*-?[iInN][aAnN]"
_BARE_CONSTANT_IN_ARRAY = r"[\[,]\s*-?[iInN][aAnN]"

# Two spellings that whole files have. They are rewritten here, since the exact reading
# of every line takes long. The second pattern finds a text that looks like the first.
NULL = r'("\s*:\s*)(?:NaN|-?Infinity)(\s*[,}])'
TEXT_LIKE_NULL = r'[,:\[{]\s*"\s*:\s*[-NI]'
WHOLE_NUMBER = r'("(?:%s)"\s*:\s*-?\d+)\.0+(\s*[,}])'
_QUOTE_IN_TEXT = '\\"'

_OBJECTS = """
SELECT raw, source_file, file, "at", size, object IS NOT NULL AS is_object, {fields},
    {without_id} AS field_without_id
FROM (
    SELECT raw, source_file, file, "at", size,
        CASE WHEN json_valid(plain) THEN json_transform(plain, {structure}) END
            AS object,
        CASE WHEN may_need_exact THEN plain IS DISTINCT FROM raw OR {may_need_trim}
        ELSE false END AS may_need_trim
    FROM (
        SELECT raw, source_file, file, "at", size, may_need_exact,
            CASE WHEN may_need_exact THEN CASE
                WHEN exact IS NOT NULL THEN nullif(exact, '')
                WHEN NOT starts_with(line, '{{') OR {needs_exact}
                    THEN {plain_line}(raw)
                ELSE line
            END ELSE raw END AS plain
        FROM (
            SELECT line AS raw, source_file, file, "at", size, exact, may_need_exact,
                CASE WHEN may_need_exact THEN {rewritten} END AS line
            FROM (
                SELECT line, source_file, file, "at", size, exact,
                    -- Outside of CASE, DuckDB evaluates all parts of OR and AND.
                    CASE WHEN exact IS NOT NULL OR NOT starts_with(line, '{{')
                        OR {may_need_exact} THEN true ELSE false END AS may_need_exact
                FROM {lines}
                WHERE line IS NOT NULL
            )
        )
    )
)
"""


def objects_query(lines: str, plain_line: str, fields: Mapping[str, Kind]) -> str:
    """SQL that gives the rows of ``Engine.read_lines`` for each line.

    Args:
        lines: the name of an ArrowLines in DuckDB.
        plain_line: the name of the function :func:`plain_line` in DuckDB.
        fields: the kind of each field, by its name.
    """
    structure = ", ".join(f'"{name}": "VARCHAR"' for name in fields)
    needs_exact = (
        *(matches("line", each) for each in (_needs_exact(fields), _BARE_CONSTANT)),
        f"contains(line, '[') AND {matches('line', _BARE_CONSTANT_IN_ARRAY)}",
        f"contains(line, '\\u') AND {matches('line', ESCAPED_KEY)}",
        f"strlen(line) > {NEVER_TOO_DEEP_LENGTH} AND strlen(line)"
        f" - strlen(translate(line, '[{{', '')) > {DEEPEST_NESTING}",
    )
    return _OBJECTS.format(
        lines=lines,
        plain_line=plain_line,
        fields=", ".join(
            f'{field_text(_value(name), kind, "may_need_trim")} AS "{name}"'
            for name, kind in fields.items()
        ),
        structure=text(f"{{{structure}}}"),
        may_need_exact=(
            f"{matches('line', _MAY_NEED_EXACT)}"
            f" OR contains(line, {text(_ESCAPE)})"
            f" AND {matches('line', CODE_OR_TAB_AT_END)}"
            f" OR contains(line, {text(_BLANK)}) AND {matches('line', BLANK_AT_END)}"
        ),
        needs_exact=" OR ".join(needs_exact),
        may_need_trim=matches("plain", _MAY_NEED_TRIM),
        rewritten=_rewritten(fields),
        without_id=field_without_id(fields, _value, "may_need_trim"),
    )


def _value(name: str) -> str:
    return f'object."{name}"'


def field_text(value: str, kind: Kind, may_need_trim: str) -> str:
    """SQL for the text of a field; ids are trimmed where the condition holds."""
    if kind.text is None:
        return value
    trimmed = kind.text.format(value=value)
    return f"CASE WHEN {may_need_trim} THEN {trimmed} ELSE {value} END"


def field_without_id(
    fields: Mapping[str, Kind], value_of: Callable[[str], str], may_need_trim: str
) -> str:
    """SQL for the number of the first field whose text means that there is no id.

    Args:
        fields: the kind of each field, by its name.
        value_of: gives SQL for the value of a field.
        may_need_trim: SQL for the condition under which there may be such a field.
    """
    cases = " ".join(
        "WHEN {} THEN {}::TINYINT".format(
            means_no_id(f"trim({value_of(name)}, ' \t')"), number
        )
        for number, (name, kind) in enumerate(fields.items())
        if kind.is_id
    )
    return (
        f"CASE WHEN {may_need_trim} THEN CASE WHEN false THEN 0::TINYINT {cases} END"
        " END"
    )


def _rewritten(fields: Mapping[str, Kind]) -> str:
    """SQL for a line in which NaN is null, and 101.0 is 101 in an id."""
    ids = "|".join(name for name, kind in fields.items() if kind.is_id)
    rewritten = replaced(replaced("line", NULL, "null"), WHOLE_NUMBER % ids)
    has_null = "contains(line, 'NaN') OR contains(line, 'Infinity')"
    return (
        f"CASE WHEN NOT ({has_null} OR contains(line, '.0'))"
        f" OR contains(line, {text(_QUOTE_IN_TEXT)})"
        f" OR {matches('line', TEXT_LIKE_NULL)}"
        f" THEN line ELSE {rewritten} END"
    )


def replaced(line: str, pattern: str, by: str = "") -> str:
    """SQL that replaces what stands between the two groups of a pattern."""
    replacement = rf"\1{by}\2"
    return f"regexp_replace({line}, {text(pattern)}, {text(replacement)}, 'g')"


def _needs_exact(fields: Mapping[str, Kind]) -> str:
    """A regular expression that finds a field whose value needs exact reading."""
    names: dict[str, list[str]] = {}
    for name, kind in fields.items():
        names.setdefault(kind.needs_exact, []).append(name)
    ways = (
        rf'(?:{"|".join(of_kind)})"\s*:\s*{begins}' for begins, of_kind in names.items()
    )
    return rf'"(?:{"|".join(ways)})'


def matches(value: str, pattern: str) -> str:
    """SQL: whether a text has a match of a pattern."""
    return f"regexp_matches({value}, {text(pattern)})"
