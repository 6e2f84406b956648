"""Finds where JSON values end, in a line of several objects and in a document.

This reads the grammar of RFC 8259. Beyond it, a comma before a closing bracket and the
constants NaN, Infinity and -Infinity are taken. Bytes that are not UTF-8, and nesting
of any depth, do not hide the end of a value.
"""

import codecs
import json
import re
from enum import Enum, auto

# No group is repeated without a limit; jobs/lines/exact.py says why.
_CHARACTERS = rb'[^"\\\x00-\x1f]*+'
_TEXT = rb'%s(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})%s){0,1000}' % (
    _CHARACTERS,
    _CHARACTERS,
)
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_WORDS = (b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity")
_WORD = rb"(?:%s|%s)" % (_NUMBER, b"|".join(_WORDS))
_SCALAR = rb'(?:"%s"|%s)' % (_TEXT, _WORD)
_SPACE = rb"[ \t\n\r]*+"
_COMMA_AND_SPACE = rb"%s,%s" % (_SPACE, _SPACE)
_PAIR = rb'"%s"%s:%s%s' % (_TEXT, _SPACE, _SPACE, _SCALAR)

_SOME_SPACE = re.compile(_SPACE)
_SOME_BLANKS = re.compile(rb"[ \t]*+")
_SPACE_AND_MARKS = re.compile(
    rb"%s(?:%s%s){0,1000}" % (_SPACE, codecs.BOM_UTF8, _SPACE)
)
_MUCH_TEXT = re.compile(_TEXT)
_NUMBER_OR_WORD = re.compile(_WORD)
_LONGEST_WORD = max(map(len, _WORDS))
_MAY_BE_CUT = (*_WORDS, codecs.BOM_UTF8)
_CUT_NUMBER = re.compile(rb"[-+.0-9eE]*+\Z")
_CUT_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_QUOTE, _COLON, _COMMA, _ARRAY, _END_OF_ARRAY, _OBJECT, _END_OF_OBJECT = b'":,[]{}'
_CLOSING = {_ARRAY: _END_OF_ARRAY, _OBJECT: _END_OF_OBJECT}
# Scalars with a comma after each of them, in an array and in an object.
_MANY = {
    _END_OF_ARRAY: re.compile(rb"(?:%s%s){0,1000}" % (_SCALAR, _COMMA_AND_SPACE)),
    _END_OF_OBJECT: re.compile(rb"(?:%s%s){0,1000}" % (_PAIR, _COMMA_AND_SPACE)),
}
_LINE_END = re.compile(rb"[\n\r]")

_PIECE = 256 * 1024
_HALF_A_PIECE = _PIECE // 2
_LAST_SIGNS = '"]}'  # no value goes on after one of these
_SCAN_ERRORS = (ValueError, RecursionError, IndexError)
_COMMA_IN_PIECE = re.compile(_COMMA_AND_SPACE.decode())
_SPACE_IN_PIECE = re.compile(_SPACE.decode())
_BLANKS_IN_PIECE = re.compile(r"[ \t]*+")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)

Data = bytes | memoryview
Span = tuple[int, int]


class NotJsonError(ValueError):
    """The bytes are not JSON, and cannot be read on."""


class CutOffError(ValueError):
    """The bytes end before the value does."""


class Values:
    """Finds the ends of the JSON values in some bytes.

    Python's own scanner is fast, but makes objects, and does not take a comma before a
    closing bracket. So it gets a piece at a time. After an error, the rest of the piece
    is read by patterns.
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        self._piece = ""
        self._start = 0
        self._is_quick = False

    def end(self, at: int) -> int:
        """The end of the value that begins here.

        Raises:
            NotJsonError: it is not JSON.
            CutOffError: the data end before the value, or directly after a number.
        """
        if at >= self._start + _HALF_A_PIECE or not self._piece:
            self._begin_piece(at)
        if self._is_quick:
            end = self._quick_end(at)
            if end is None and at > self._start:
                # The value may go on after the piece.
                self._begin_piece(at)
                end = self._quick_end(at)
            if end is not None:
                return end
            self._is_quick = False
        try:
            return _end_of_value(self.data, at)
        except IndexError:
            raise CutOffError from None

    def many_objects(
        self, at: int, separator: re.Pattern[str], found: list[Span]
    ) -> int:
        """Find objects with a separator after each, as far as this is quick.

        Adds their places to ``found``; returns the end of the last separator.
        """
        if not self._start <= at < self._start + len(self._piece):
            self._begin_piece(at)
        piece, start = self._piece, self._start
        at -= start
        try:
            while self._is_quick and piece[at] == "{":
                _, end = _DECODER.raw_decode(piece, at)
                if not (after := separator.match(piece, end)):
                    break
                found.append((start + at, start + end))
                at = after.end()
        except _SCAN_ERRORS:
            pass
        return start + at

    def _begin_piece(self, at: int) -> None:
        # Every byte becomes one character, so the places are the same.
        self._piece = str(self.data[at : at + _PIECE], "latin-1")
        self._start = at
        self._is_quick = True

    def _quick_end(self, at: int) -> int | None:
        try:
            _, end = _DECODER.raw_decode(self._piece, at - self._start)
        except _SCAN_ERRORS:
            return None
        is_cut = end == len(self._piece) and self._piece[-1] not in _LAST_SIGNS
        return None if is_cut else self._start + int(end)


def objects_of_line(line: Data) -> list[Span]:
    """The objects of a line that has several of them, one after the other.

    Returns:
        Their places. If the last one cannot be read, it goes on to the end of the line.
        None at all if anything else than an object stands in the line.
    """
    found: list[Span] = []
    values = Values(line)
    at = _end(_SOME_BLANKS, line, 0)
    while (at := values.many_objects(at, _BLANKS_IN_PIECE, found)) < len(line):
        if line[at] != _OBJECT:
            return []
        try:
            end = values.end(at)
        except (NotJsonError, CutOffError):
            end = len(line)
        found.append((at, end))
        at = _end(_SOME_BLANKS, line, end)
    return found


def is_document(data: Data, is_whole: bool) -> bool | None:
    """Whether a file that begins so has arrays, or objects over several lines.

    A line that stops within a text or a word is no part of a longer object, since JSON
    has no line end there.

    Args:
        data: the first bytes of the file.
        is_whole: whether these are all bytes of the file.

    Returns:
        None if more bytes have to be known.
    """
    try:
        at = _begin_of_line(data, 0)
        if data[at] == _ARRAY:
            at = _end(_SOME_SPACE, data, at + 1)
            return data[at] in (_OBJECT, _END_OF_ARRAY)
        if data[at] != _OBJECT:
            return False
        if line := _LINE_END.search(data, at):
            following = data[_begin_of_line(data, line.end())]
            return following != _OBJECT and _stops_inside_object(data[at : line.end()])
    except IndexError:
        pass
    return False if is_whole else None


class _Place(Enum):
    """A place in a document where space, and then something else, may stand."""

    OUTSIDE = auto()
    BEFORE_ELEMENT = auto()
    AFTER_ELEMENT = auto()


class Document:
    """Arrays and objects one after the other, read from consecutive pieces of bytes.

    Attributes:
        is_broken: whether the rest of the document cannot be read.
    """

    def __init__(self) -> None:
        self.is_broken = False
        self._place = _Place.OUTSIDE

    def elements(self, data: Data) -> tuple[list[Span], int]:
        """The places of the elements that end in the next piece of the document.

        Returns also the end of what was read: the next piece begins there.
        """
        found: list[Span] = []
        values = Values(data)
        at = 0
        try:
            while True:
                at = self._read_on(values, at, found)
        except (IndexError, CutOffError):
            pass
        except NotJsonError:
            self.is_broken = True
        is_outside = self._place is _Place.OUTSIDE
        return found, _end(_SPACE_AND_MARKS if is_outside else _SOME_SPACE, data, at)

    def _read_on(self, values: Values, at: int, found: list[Span]) -> int:
        """Read one element or sign; returns its end."""
        data = values.data
        if self._place is _Place.AFTER_ELEMENT:
            at = _end(_SOME_SPACE, data, at)
            if data[at] not in (_COMMA, _END_OF_ARRAY):
                raise NotJsonError
            is_over = data[at] == _END_OF_ARRAY
            self._place = _Place.OUTSIDE if is_over else _Place.BEFORE_ELEMENT
            return at + 1
        is_outside = self._place is _Place.OUTSIDE
        at = _end(_SPACE_AND_MARKS if is_outside else _SOME_SPACE, data, at)
        if data[at] == (_ARRAY if is_outside else _END_OF_ARRAY):
            self._place = _Place.BEFORE_ELEMENT if is_outside else _Place.OUTSIDE
            return at + 1
        separator = _SPACE_IN_PIECE if is_outside else _COMMA_IN_PIECE
        if (end := values.many_objects(at, separator, found)) > at:
            return end
        end = values.end(at)
        found.append((at, end))
        if not is_outside:
            self._place = _Place.AFTER_ELEMENT
        return end


def _begin_of_line(data: Data, at: int) -> int:
    """The begin of the first line that is not blank.

    Raises:
        IndexError: the data end before it.
    """
    at = _end(_SPACE_AND_MARKS, data, at)
    if codecs.BOM_UTF8.startswith(bytes(data[at : at + len(codecs.BOM_UTF8)])):
        raise IndexError
    return at


def _stops_inside_object(line: Data) -> bool:
    """Whether objects begin a line, and its end is a space in the last of them."""
    values, at = Values(line), 0
    while True:
        try:
            at = _end(_SOME_BLANKS, line, values.end(at))
        except CutOffError:
            return True
        except NotJsonError:
            return False
        if line[at] != _OBJECT:
            return False


def _end_of_value(data: Data, at: int) -> int:
    inside = bytearray()  # the closing brackets that are missing
    while True:
        if data[at] in _CLOSING:
            inside.append(_CLOSING[data[at]])
            at = _after_scalars(data, at + 1, inside[-1])
        else:
            at = _end_of_scalar(data, at)
            if not inside:
                return at
            at = _after_comma(data, at, inside[-1])
        while data[at] == inside[-1]:
            inside.pop()
            at += 1
            if not inside:
                return at
            at = _after_comma(data, at, inside[-1])
        if inside[-1] == _END_OF_OBJECT:
            at = _after_key(data, at)


def _after_comma(data: Data, at: int, closing: int) -> int:
    """The place after a comma and the scalars that follow it, or a closing bracket."""
    at = _end(_SOME_SPACE, data, at)
    if data[at] == _COMMA:
        return _after_scalars(data, at + 1, closing)
    if data[at] != closing:
        raise NotJsonError
    return at


def _after_scalars(data: Data, at: int, closing: int) -> int:
    """The place after all scalars that have a comma after them."""
    return _after_all(_MANY[closing], data, _end(_SOME_SPACE, data, at))


def _after_key(data: Data, at: int) -> int:
    if data[at] != _QUOTE:
        raise NotJsonError
    at = _end(_SOME_SPACE, data, _end_of_text(data, at))
    if data[at] != _COLON:
        raise NotJsonError
    return _end(_SOME_SPACE, data, at + 1)


def _end_of_scalar(data: Data, at: int) -> int:
    if data[at] == _QUOTE:
        return _end_of_text(data, at)
    found = _NUMBER_OR_WORD.match(data, at)
    end = found.end() if found else at
    if _CUT_NUMBER.match(data, end):
        raise CutOffError
    if not found:
        rest = bytes(data[at : at + _LONGEST_WORD + 1])
        is_cut = any(word.startswith(rest) for word in _MAY_BE_CUT)
        raise CutOffError if is_cut else NotJsonError
    return end


def _end_of_text(data: Data, at: int) -> int:
    end = _after_all(_MUCH_TEXT, data, at + 1)
    if data[end] == _QUOTE:
        return end + 1
    raise CutOffError if _CUT_ESCAPE.match(data, end) else NotJsonError


def _after_all(pattern: re.Pattern[bytes], data: Data, at: int) -> int:
    """The end of as many matches of a pattern as follow each other."""
    while (end := _end(pattern, data, at)) > at:
        at = end
    return at


def _end(pattern: re.Pattern[bytes], data: Data, at: int) -> int:
    """The end of a match that may be empty."""
    found = pattern.match(data, at)
    return found.end() if found else at
