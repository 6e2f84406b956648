"""Hides addresses, and with a key also ids, before anything is stored.

These are Python functions on single texts, so that both engines hide the same.
"""

import hmac
import ipaddress
import json
import re
from collections.abc import Callable

from jobs.fields import BLANKS, without_zero_fraction
from jobs.lines.exact import LONG_LINE, is_json

MASK = "***"
NEVER_STORED = "ip"
IDS = ("user_id", "account_id", "initiator_id")

_PIECES_AT_ONCE = 10_000
_COLONS_BEFORE_IPV4 = 6  # the fewest colons of an address without ::

# Each pattern begins with a set of characters, for which re searches fastest, and then
# looks back. No pattern reads the same characters twice.
_IPV4 = re.compile(r"[0-9](?<![0-9.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![0-9])")
_MAYBE_IPV6 = re.compile(
    r"[0-9A-Fa-f:.](?<![0-9A-Fa-f:.].)"
    r"(?:(?<=:)|[0-9A-Fa-f.]*+:)[0-9A-Fa-f.]*+:[0-9A-Fa-f:.]*+"
)

Hide = Callable[[str | None], str | None]


def pseudonym(key: str) -> Hide:
    """HMAC-SHA256 of a text in hexadecimal; NULL and the empty text stay.

    A plain hash would be no secret: anybody who guesses an id can compute it.
    """

    def hashed(text: str | None) -> str | None:
        return _digest(key, text).hex() if text else text

    return hashed


def concealing(key: str | None) -> Hide:
    """Hides addresses and ids in the text of a rejected line.

    The value of every ``ip`` is masked, in any place and spelling. In a line that is no
    JSON, every text that looks like an address is masked. With a key, ids become the
    pseudonyms that the tables have, and an id that cannot be read is masked.
    """
    fields = _field_pattern((NEVER_STORED, *IDS) if key else (NEVER_STORED,))

    def conceal(match: re.Match[str]) -> str:
        name = _unescaped(match["name"]).lower()
        return match["key"] + _hidden(name, match["value"], key)

    def concealed(line: str | None) -> str | None:
        if line is None:
            return None
        shown = _replaced(fields, conceal, line)
        return shown if is_json(line) else _without_addresses(shown)

    return concealed


def _digest(key: str, text: str) -> bytes:
    return hmac.digest(key.encode(), text.encode(), "sha256")


def _field_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    initials = "".join({c for name in names for c in (name[0], name[0].upper())})
    spelled = "|".join(
        _spelled_initial(name[0]) + "".join(map(_spelled, name[1:])) for name in names
    )
    return re.compile(rf"""(?sx)
        (?P<key> (?P<name> [{initials}\\] (?<![A-Za-z0-9_].) (?i:{spelled}) )
            (?![A-Za-z0-9_]) (?: \\*["'] \s* [:=]? | \s* [:=] ) \s* )
        (?P<value>
            "(?:[^"\\]++|\\.)*+"?   # a string, perhaps cut off
          | '(?:[^'\\]++|\\.)*+'?
          | \\+["'][^"']*+["']?     # a string within a string
          | [\[{{].*                # hidden up to the end of the line
          | [^\s,}}\]]*
        )""")


def _spelled(letter: str) -> str:
    return rf"(?:{letter}|\\{_code(letter)})"


def _spelled_initial(letter: str) -> str:
    return rf"(?:(?<={letter})|(?<=\\){_code(letter)})"


def _code(letter: str) -> str:
    return rf"u00(?:{ord(letter):02x}|{ord(letter.upper()):02x})"


def _unescaped(name: str) -> str:
    return re.sub(r"\\u(....)", lambda code: chr(int(code[1], 16)), name)


def _hidden(name: str, value: str, key: str | None) -> str:
    if value in ("", "null", '""'):
        return value
    masked = f'"{MASK}"'
    if name == NEVER_STORED or key is None:
        return masked
    try:
        token = json.loads(value, parse_int=str, parse_float=str)
    except ValueError:
        return masked
    if not isinstance(token, str):
        return masked
    return json.dumps(pseudonym(key)(without_zero_fraction(token.strip(BLANKS))))


def _without_addresses(line: str) -> str:
    without_ipv4 = _replaced(_IPV4, lambda match: MASK, line)
    return _replaced(_MAYBE_IPV6, _mask_ipv6, without_ipv4)


def _replaced(
    pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str], line: str
) -> str:
    """The result of ``pattern.sub``; makes no object for each match of a long line."""
    if len(line) <= LONG_LINE:
        return pattern.sub(replacement, line)
    done, pieces, end = [], [], 0
    for match in pattern.finditer(line):
        pieces += [line[end : match.start()], replacement(match)]
        end = match.end()
        if len(pieces) > _PIECES_AT_ONCE:
            done.append("".join(pieces))
            pieces = []
    return "".join((*done, *pieces, line[end:]))


def _mask_ipv6(match: re.Match[str]) -> str:
    if "::" not in match[0] and match[0].count(":") < _COLONS_BEFORE_IPV4:
        return match[0]
    try:
        ipaddress.IPv6Address(match[0].strip(".").removesuffix(":"))
    except ValueError:
        return match[0]
    return MASK
