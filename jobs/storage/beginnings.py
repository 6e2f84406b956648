"""The beginning of a file, which tells whether it has events, or is something else."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

from jobs.lines.chunks import first_lines, lines_of_file
from jobs.lines.exact import plain_line
from jobs.lines.files import EventFile, open_unpacked, whole
from jobs.lines.mapped import ExactReader
from jobs.mapping import EventMapping

_SHORT = 4 * 1024  # bytes, enough to see what an event file is
_LONG = 1024 * 1024  # bytes, enough for a hundred lines
_STEP = 32 * 1024  # bytes
_MOST_LINES = 100
_MARK = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"
_NAMES_OF_EVENTS = ("event", "event_name")

_TAR = rb"(?s)[^\0]{1,100}\0.{156,411}ustar"

_ZIP, _TAR_ARCHIVE = "a zip archive", "a tar archive"
_PACKED = "packed in a way that is not read"
_LISTING_IN_JSON = "a folder's listing in JSON"

_ARCHIVES = (_ZIP, _TAR_ARCHIVE, _PACKED)

# The beginnings of files that are no JSON lines. The first one that matches counts.
_KINDS = {
    rb"PAR1": "a Parquet file",
    rb"PK\x03\x04": _ZIP,
    rb"Obj\x01": "an Avro file",
    rb"ORC": "an ORC file",
    _TAR: _TAR_ARCHIVE,
    rb"\xfd7zXZ\0|7z\xbc\xaf|\x04\x22\x4d\x18": _PACKED,
    rb"\xff\x06\0\0sNaPpY|\x1f\x9d|LZIP": _PACKED,
    rb"(?si)<.{0,2000}?<title>\s*(index of|directory listing)": (
        "a folder's listing in HTML"
    ),
    rb"(?s)<.{0,200}?\b(ListBucketResult|EnumerationResults)": (
        "a bucket's listing in XML"
    ),
    rb"(?i)<(!doctype html|html)": "HTML, such as an error page",
    rb"<\?xml": "XML, such as an error page",
    rb"<": "XML or HTML",
    rb"(total \d+\s+)?[-dl]([r-][w-][xsStT-]){3}[ .+@]": "a folder's listing",
    rb'\[\s*\{\s*"name":\s*"[^"]*",\s*"type":\s*"(file|directory)"': (_LISTING_IN_JSON),
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\d+ \S+\s*?(\n|$)": "a bucket's listing",
}


@dataclass(frozen=True)
class Beginning:
    """The beginning of a file.

    Attributes:
        file: the file.
        data: its first bytes, unpacked.
        mapping: the mapping of other events, if there is one.
    """

    file: EventFile
    data: bytes
    mapping: EventMapping | None = None

    @cached_property
    def lines(self) -> list[bytes]:
        """The first lines that are not blank, cut at LF, CRLF and CR alone."""
        lines = map(_stripped, self.data.splitlines())
        return [line for line in lines if line][:_MOST_LINES]

    @property
    def is_object_in_utf_8(self) -> bool:
        """Whether the file begins like an object in UTF-8, as nearly all do."""
        first, is_cut, _ = self.data.partition(b"\n")
        may_be_object = not is_cut or first.rstrip(_BLANKS).endswith(b"}")
        return first.startswith(b"{") and may_be_object and _text(first) is not None

    @property
    def is_text(self) -> bool:
        """Whether these bytes are UTF-8 without NUL."""
        return b"\0" not in self.data and all(map(_text, self.lines))

    @property
    def kind(self) -> str | None:
        """The kind of a file that is no JSON lines; None if it may be JSON lines."""
        data = self.data.lstrip(_BLANKS)
        return next((kind for p, kind in _KINDS.items() if re.match(p, data)), None)

    @property
    def is_archive(self) -> bool:
        """Whether it is a tar archive, in which lines of a file stand as they are."""
        return re.match(_TAR, self.data) is not None

    @property
    def has_to_be_unpacked(self) -> bool:
        """Whether files lie in it that can be read once they are unpacked."""
        return self.kind in _ARCHIVES

    @property
    def packing(self) -> str:
        """What a file is that has to be unpacked."""
        known = self.kind if self.has_to_be_unpacked else None
        return known or _PACKED

    @property
    def has_object(self) -> bool:
        """Whether one of the first lines is a JSON object."""
        return self._has(_is_object)

    @property
    def has_event(self) -> bool:
        """Whether one of the first lines is a JSON object that names an event."""
        return self._has(lambda line: self._is_event(_text(line)))

    @property
    def is_latin_1(self) -> bool:
        """Whether lines are JSON objects in Latin-1, and no line of the file in UTF-8.

        The rest of the file is read only if there seems to be no line in UTF-8.
        """
        if self.has_object or not self._has(_is_latin_1):
            return False
        with closing(lines_of_file(self.file)) as lines:
            return not any(map(_is_object, lines))

    def _is_event(self, line: str | None) -> bool:
        if not line or not line.startswith("{"):
            return False
        readers = (ExactReader(), ExactReader(self.mapping))
        return any(_names_event(reader.line(line)) for reader in readers)

    def _has(self, rule: Callable[[bytes], bool]) -> bool:
        if any(map(rule, self.lines)):
            return True
        # A line may be several objects, or a part of one.
        is_open = any(line.startswith((b"{", b"[")) for line in self.lines)
        return (
            is_open
            and self.kind in (None, _LISTING_IN_JSON)
            and any(map(rule, first_lines(self.file, _MOST_LINES)))
        )


def short_beginning(file: EventFile) -> Beginning:
    """So much of a file that its kind can be seen.

    Raises:
        InputError: the file cannot be read or unpacked.
    """
    return _beginning(file, _SHORT)


def long_beginning(file: EventFile, mapping: EventMapping | None = None) -> Beginning:
    """So much of a file that its first hundred lines are there, if it has lines.

    Raises:
        InputError: the file cannot be read or unpacked.
    """
    return _beginning(file, _LONG, mapping)


def _beginning(
    file: EventFile, most: int, mapping: EventMapping | None = None
) -> Beginning:
    data = b""
    with open_unpacked(whole(file)) as source:
        while read := source.read(min(most, _STEP)):
            data += read
            is_enough = data.count(b"\n") > _MOST_LINES or b"\0" in data
            if len(data) >= (_SHORT if is_enough else most):
                # The last line may be cut.
                data = data[: data.rfind(b"\n") + 1] or data
                break
    return Beginning(file, data.removeprefix(_MARK), mapping)


def _stripped(line: bytes) -> bytes:
    """A line without blanks around it, and without byte order marks before it."""
    while line.startswith(_MARK):
        line = line.removeprefix(_MARK)
    return line.strip(_BLANKS)


def _text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _is_object(line: bytes) -> bool:
    return _plain(_text(line)) is not None


def _is_latin_1(line: bytes) -> bool:
    return _plain(line.decode("latin-1")) is not None


def _names_event(plain: str | None) -> bool:
    event = json.loads(plain) if plain else {}
    return any(event.get(name) is not None for name in _NAMES_OF_EVENTS)


def _plain(line: str | None) -> str | None:
    """The event of a line as :func:`plain_line` gives it, and as fast as it can be."""
    return plain_line(line) if line and line.startswith("{") else None
