"""Hides addresses, and with a key also ids, before anything is stored.

These are Python functions on single texts, so that both engines hide the same.

A rejected line may be JSON, JSON in a text of JSON, a query of a URL or anything else.
So it is first decoded: each escape becomes the character that it stands for, however
often it is escaped. The patterns search the decoded line.
"""

import heapq
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from jobs.fields import BLANKS, without_zero_fraction

MASK = "***"
NEVER_STORED = "ip"
IDS = ("user_id", "account_id", "initiator_id")

_PIECES_AT_ONCE = 10_000
_COLONS_WITHOUT_GAP = 6
"""The fewest colons of an IPv6 address that has no ``::``."""

_PAD = "\0"
"""Follows a decoded character, so that it is as long as its escape."""

_ESCAPE = re.compile(
    r"(?s)\\++(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)?|%(?:25)*+(?:[0-9a-fA-F]{2})?"
)
_ESCAPED_BLANKS = "bfnrtv"
_LAST_OF_ASCII = 0x7F

# Each pattern begins with a set of characters, for which re searches fastest, and then
# looks back. No pattern reads the same characters twice.
_IPV4 = re.compile(
    r"[0-9](?<![0-9.].)(?:\0*+[0-9]){0,2}(?:\0*+\.(?:\0*+[0-9]){1,3}){3}(?!\0*+[0-9])"
)
_TWO_COLONS = re.compile(
    r"[0-9A-Fa-f:.\0](?<![0-9A-Fa-f:.\0].)"
    r"(?:(?<=:)|[0-9A-Fa-f.\0]*+:)[0-9A-Fa-f.\0]*+:[0-9A-Fa-f:.\0]*+"
)
# Finds two colons without a gap, or four in a row, in much less time.
_MAY_BE_IPV6 = re.compile(r":(?:\0*+:|(?:[0-9A-Fa-f.\0]*+:){3})")
_HEX_DIGIT = re.compile("[0-9A-Fa-f]")
_PLAIN_TEXT = re.compile(r'(?s)"(?:[^"\\]++|\\.)*+"?')
_OPENING_QUOTE = re.compile(r"[\"']\0*+")
_QUOTE = re.compile(r"\\*+[\"']")
_COLON = re.compile(r"[\s\0]*+:[\s\0]*+")
_NESTED = ("[", "{")
_UNQUOTED = re.compile(r"[^\s,;&|<>}\]\"']*+")

Hide = Callable[[str | None], str | None]


def pseudonym(key: str) -> Hide:
    """HMAC-SHA256 of a text in hexadecimal; NULL and the empty text stay.

    A plain hash would be no secret: anybody who guesses an id can compute it.
    """

    def hashed(text: str | None) -> str | None:
        return _digest(key, text).hex() if text else text

    return hashed


def concealing(
    key: str | None,
    masked: Sequence[str] = (NEVER_STORED,),
    ids: Sequence[str] = IDS,
) -> Hide:
    """Hides addresses and ids in the text of a rejected line.

    The value of every ``ip`` is masked, and every text that looks like an address, in
    any place and spelling. With a key, ids become the pseudonyms that the tables have,
    and an id that cannot be read is masked.

    Args:
        key: PSEUDONYM_KEY.
        masked: the fields whose values are masked.
        ids: the fields whose values become pseudonyms.
    """
    fields = _field_pattern((*masked, *ids) if key else tuple(masked))

    def concealed(line: str | None) -> str | None:
        if line is None:
            return None
        hidden = _hidden_fields(line, _decoded(line), fields, frozenset(masked), key)
        line = _rewritten(line, hidden)
        return _rewritten(line, _addresses(_decoded(line)))

    return concealed


def _digest(key: str, text: str) -> bytes:
    return hmac.digest(key.encode(), text.encode(), "sha256")


Change = tuple[int, int, str]
"""Where a part of a line begins and ends, and what takes its place."""


def _rewritten(line: str, changes: Iterable[Change]) -> str:
    """The line with all changes; keeps no object for each change of a long line."""
    done, pieces, at = [], [], 0
    for start, end, text in changes:
        if start < at:
            continue
        pieces += [line[at:start], text]
        at = end
        if len(pieces) > _PIECES_AT_ONCE:
            done.append("".join(pieces))
            pieces = []
    return "".join((*done, *pieces, line[at:])) if at else line


def _decoded(line: str) -> str:
    """The line with escapes as characters; it is as long as the line."""
    if "\\" not in line and "%" not in line:
        return line
    escapes = _ESCAPE.finditer(line)
    return _rewritten(line, ((*e.span(), _character(e[0])) for e in escapes))


@lru_cache(maxsize=1000)
def _character(escape: str) -> str:
    """The character of an escape, as long as the escape."""
    code = escape.lstrip("\\")
    if escape[0] == "%":
        number = int(code[1:][-2:] or "25", 16)
        character = chr(number) if number <= _LAST_OF_ASCII else "?"
    elif len(code) > 1:
        character = chr(int(code[1:], 16))
    else:
        character = " " if code and code in _ESCAPED_BLANKS else code or "\\"
    return character.ljust(len(escape), _PAD)


def _field_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Finds a name, and all that may stand between it and its value."""
    initials = "".join({re.escape(name[0]) for name in names})
    spelled = "|".join(
        rf"(?<={re.escape(name[0])})" + _spelled(name[1:]) for name in names
    )
    return re.compile(rf"""(?ix)
        (?P<name> [{initials}] (?<![A-Z0-9_].) (?:{spelled}) )
        \0*+ (?=["'\s:=;,|>]) ["']?+ [\s\0]*+ [:=;,|>]*+ [\s\0]*+""")


def _spelled(letters: str) -> str:
    return "".join(rf"\0*+{re.escape(letter)}" for letter in letters)


def _hidden_fields(
    line: str,
    decoded: str,
    fields: re.Pattern[str],
    masked: frozenset[str],
    key: str | None,
) -> Iterator[Change]:
    at = 0
    while found := fields.search(decoded, at):
        name = found["name"].replace(_PAD, "").lower()
        start, at = found.end(), _end_of_value(line, decoded, found.end())
        # The name may itself be a value: {"key": "user_id", "value": "u1"}.
        if colon := _COLON.match(decoded, at):
            start, at = colon.end(), _end_of_value(line, decoded, colon.end())
        yield start, at, _hidden(line[start:at], None if name in masked else key)


def _end_of_value(line: str, decoded: str, start: int) -> int:
    """The end of a text or a word; the line's end if the value may be nested."""
    if decoded.startswith(_NESTED, start):
        return len(line)
    opening = _OPENING_QUOTE.match(decoded, start)
    if opening is None:
        return _end(_UNQUOTED, decoded, start)
    written = line[start : opening.end()]
    if written == '"':
        return _end(_PLAIN_TEXT, line, start)
    if not _QUOTE.fullmatch(written):
        closing = line.find(written, opening.end())
        return len(line) if closing < 0 else closing + len(written)
    return _end_of_escaped_text(line, written, opening.end())


def _end_of_escaped_text(line: str, opening: str, start: int) -> int:
    """The end of a text that begins with backslashes and a quote.

    Each text in a text has twice as many backslashes before its quotes, and one more. A
    quote that closes the text may follow backslashes that belong to the text.
    """
    backslashes = len(opening) - 1
    for quote in _QUOTE.finditer(line, start):
        if quote[0][-1] != opening[-1]:
            continue
        more = len(quote[0]) - 1 - backslashes
        if more % (2 * backslashes + 2) == 0:
            return quote.end()
        if more < 0:  # It closes a text around this one.
            return quote.start()
    return len(line)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def _hidden(value: str, key: str | None) -> str:
    """The pseudonym of a value that is an id, if there is a key, else a mask."""
    if value.strip("\\\"'") in ("", "null"):
        return value
    quote = _QUOTE.match(value)
    around = quote[0] if quote else '"'
    masked = f"{around}{MASK}{around}"
    if key is None:
        return masked
    try:
        token = json.loads(value, parse_int=str, parse_float=str)
    except ValueError:
        return masked
    if not isinstance(token, str):
        return masked
    return json.dumps(pseudonym(key)(without_zero_fraction(token.strip(BLANKS))))


def _addresses(decoded: str) -> Iterator[Change]:
    ipv4 = ((*found.span(), MASK) for found in _IPV4.finditer(decoded))
    if not _MAY_BE_IPV6.search(decoded):
        return ipv4
    ipv6 = (
        (*found.span(), MASK)
        for found in _TWO_COLONS.finditer(decoded)
        if _looks_like_ipv6(found[0].replace(_PAD, ""))
    )
    return heapq.merge(ipv4, ipv6)


def _looks_like_ipv6(text: str) -> bool:
    has_enough = "::" in text or text.count(":") >= _COLONS_WITHOUT_GAP
    return has_enough and _HEX_DIGIT.search(text) is not None
