"""Unpacks a file and writes it in UTF-8, by its first bytes and never by its name."""

import bz2
import codecs
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from backports import zstd

from jobs.errors import InputError

_GZIP_WINDOW = 31  # in zlib, the number of a window with a gzip header
_CHUNK = 1024 * 1024  # bytes that are unpacked or decoded at once
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TOO_LARGE_WINDOW = "Frame requires too much memory"


class _Member(Protocol):
    """One gzip member, zstd frame or bzip2 stream of a file."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipMember:
    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        packed = self._member.unconsumed_tail + data
        unpacked = self._member.decompress(packed, max_length)
        # zlib may have unpacked bytes for which there was no room.
        is_full = len(unpacked) == max_length
        self.needs_input = not self._member.unconsumed_tail and not is_full
        return unpacked


_PACKINGS: dict[bytes, Callable[[], _Member]] = {
    b"\x1f\x8b": _GzipMember,
    b"\x28\xb5\x2f\xfd": zstd.ZstdDecompressor,
    # A zstd file may begin with a frame that has no data, as those of pzstd do.
    **{bytes([n, 0x2A, 0x4D, 0x18]): zstd.ZstdDecompressor for n in range(0x50, 0x60)},
    **{b"BZh%d" % level: bz2.BZ2Decompressor for level in range(1, 10)},
}
_LONGEST_SIGN = max(map(len, _PACKINGS))


def unpacked(stored: io.RawIOBase, path: Path) -> io.RawIOBase:
    """The unpacked bytes of a file in UTF-8. Only UTF-16 is encoded anew.

    An odd byte or half a surrogate pair in UTF-16 becomes U+FFFD.

    Args:
        stored: the bytes of the file; InputError if it is cut off or corrupt.
        path: the file, for errors.
    """
    source = _Peeked(stored)
    if new_member := _packing(source.head):
        source = _Peeked(_Unpacked(source, new_member, path))
    return _Decoded(source) if source.head.startswith(UTF_16_MARKS) else source


def is_stored_as_read(stored: io.RawIOBase) -> bool:
    """Whether a file is neither packed nor UTF-16."""
    head = _Peeked(stored).head
    return not _packing(head) and not head.startswith(UTF_16_MARKS)


def _packing(head: bytes) -> Callable[[], _Member] | None:
    return next((_PACKINGS[sign] for sign in _PACKINGS if head.startswith(sign)), None)


class _Buffered(io.RawIOBase):
    """Reads from a source, of which some bytes were read already."""

    def __init__(self, source: io.RawIOBase) -> None:
        self._source = source
        self._rest: bytes | memoryview = b""

    def _move_into(self, buffer: Any) -> int:
        """Move bytes that were read already; returns their number."""
        count = min(len(buffer), len(self._rest))
        memoryview(buffer)[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._source.close()
        super().close()


class _Peeked(_Buffered):
    """Bytes whose first ones were read already.

    Attributes:
        head: the first bytes.
    """

    def __init__(self, source: io.RawIOBase) -> None:
        super().__init__(source)
        self.head = b""
        while len(self.head) < _LONGEST_SIGN and (
            read := source.read(_LONGEST_SIGN - len(self.head))
        ):
            self.head += read
        self._rest = self.head

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            return self._source.readinto(buffer) or 0
        return self._move_into(buffer)


class _Unpacked(io.RawIOBase):
    """Unpacks members one after the other; zeros between and after them are left out.

    Each kind of member compares its checksum.
    """

    def __init__(
        self, packed: io.RawIOBase, new_member: Callable[[], _Member], path: Path
    ) -> None:
        self._packed = packed
        self._path = path
        self._new_member = new_member
        self._member = new_member()

    def readinto(self, buffer: Any) -> int:
        try:
            return self._unpack_into(memoryview(buffer))
        except (zlib.error, zstd.ZstdError, OSError) as error:
            reason = str(error)
            if _TOO_LARGE_WINDOW in reason:
                reason = "its window has more than 128 MiB; pack it with --long=27"
            raise InputError(f"{self._path}: {reason}") from error

    def _unpack_into(self, buffer: memoryview) -> int:
        unpacked = b""
        while len(buffer) and not unpacked:
            packed = b""
            if self._member.eof:
                if not (packed := self._next_member()):
                    return 0
                self._member = self._new_member()
            elif self._member.needs_input and not (packed := self._read()):
                raise InputError(f"{self._path}: cut off before its end")
            unpacked = self._member.decompress(packed, len(buffer))
        buffer[: len(unpacked)] = unpacked
        return len(unpacked)

    def _next_member(self) -> bytes:
        """The first bytes of the next member; none at the end of the file."""
        packed = self._member.unused_data
        while not (begun := packed.lstrip(b"\0")):
            if not (packed := self._read()):
                return b""
        return begun

    def _read(self) -> bytes:
        return self._packed.read(_CHUNK) or b""

    def close(self) -> None:
        self._packed.close()
        super().close()


class _Decoded(_Buffered):
    """The text of a file in UTF-16 that begins with a byte order mark, in UTF-8."""

    def __init__(self, source: io.RawIOBase) -> None:
        super().__init__(source)
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._is_over = False

    def readinto(self, buffer: Any) -> int:
        while not self._rest and not self._is_over:
            read = self._source.read(_CHUNK) or b""
            self._is_over = not read
            text = self._decoder.decode(read, final=self._is_over)
            self._rest = memoryview(text.encode())
        return self._move_into(buffer)
