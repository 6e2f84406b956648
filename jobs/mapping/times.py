"""Units and formats of instants."""

import re
from collections.abc import Mapping, Sequence

UNITS: Mapping[str, int] = {
    "seconds": 0,
    "milliseconds": 3,
    "microseconds": 6,
    "nanoseconds": 9,
}
"""The digits that a unit has more than seconds."""

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"

_SHORT = "[0-9]{1,2}"
_PATTERNS: Mapping[str, str] = {
    "%Y": "[0-9]{4}",
    "%m": _SHORT,
    "%b": f"(?i:{_MONTHS})",
    "%d": _SHORT,
    "%H": _SHORT,
    "%I": "(?:1[0-2]|0?[1-9])",
    "%p": "(?i:AM|PM)",
    "%M": _SHORT,
    "%S": _SHORT,
    "%f": "[0-9]{1,6}",
    "%z": "(?:Z|[+-][0-9]{2}:?[0-9]{2})",
}
DIRECTIVES = (*_PATTERNS, "%%")
"""The directives of strptime that a format may have."""

_DIGITS = ("%Y", "%m", "%d", "%H", "%I", "%M", "%S", "%f")
_NEEDED = (("%Y",), ("%m", "%b"), ("%d",), ("%H", "%I"), ("%M",))
_PIECE = re.compile(r"%.?|[ \t]+|[^%]", re.DOTALL)


def directives(format_: str) -> list[str]:
    """The directives of a format, in their order."""
    return [piece for piece in _PIECE.findall(format_) if piece[0] == "%"]


def no_instant(format_: str) -> str | None:
    """Why no text of this format is an instant; None if texts are."""
    found = [each for each in directives(format_) if each != "%%"]
    for repeated in (each for each in found if found.count(each) > 1):
        return f"{repeated} is repeated"
    for needed in _NEEDED:
        if len({*found} & {*needed}) != 1:
            return f"it needs {' or '.join(needed)}"
    if ("%I" in found) != ("%p" in found):
        return "%I and %p belong together"
    if "%f" in found and "%S" not in found:
        return "%f follows %S"
    return None


def text_pattern(format_: str) -> tuple[str, Sequence[str]]:
    """A regular expression for texts of a format, and the directive of each group.

    A number of one or two digits has two if another one follows at once.
    """
    groups: list[str] = []
    pieces: list[str] = []
    found = _PIECE.findall(format_)
    for piece, following in zip(found, [*found[1:], ""], strict=True):
        if piece == "%%":
            pieces.append("%")
        elif piece in _PATTERNS:
            is_closed = _PATTERNS[piece] == _SHORT and following in _DIGITS
            pieces.append(f"({'[0-9]{2}' if is_closed else _PATTERNS[piece]})")
            groups.append(piece)
        elif piece.strip(" \t"):
            pieces.append(re.escape(piece))
        else:
            pieces.append("[ \t]+")
    return "".join(pieces), groups
