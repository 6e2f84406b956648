"""Chunks of lines as Arrow data, which DuckDB reads without a copy.

nanoarrow makes the arrays. This module makes the stream, since a stream of nanoarrow
needs all of its arrays before the first one is read:
https://arrow.apache.org/docs/format/CStreamInterface.html
"""

import ctypes
import errno
from collections.abc import Generator
from typing import Any

import nanoarrow as na
import numpy as np

from jobs.lines.chunks import LineCount, Lines

_TEXT = na.string()
_SCHEMA = na.struct(
    {
        "line": _TEXT,
        "source_file": _TEXT,
        "exact": _TEXT,
        "file": na.int32(),
        "at": na.int64(),
        "size": na.int32(),
    }
)
_NO_TEXT = np.empty(0, np.uint8)
_ERROR = ctypes.create_string_buffer(b"the lines cannot be read")


class _ArrowSchema(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("format", "name", "metadata")),
        *((name, ctypes.c_int64) for name in ("flags", "n_children")),
        *((name, ctypes.c_void_p) for name in ("children", "dictionary")),
        *((name, ctypes.c_void_p) for name in ("release", "private_data")),
    )


class _ArrowArray(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("length", "null_count", "offset")),
        *((name, ctypes.c_int64) for name in ("n_buffers", "n_children")),
        *((name, ctypes.c_void_p) for name in ("buffers", "children", "dictionary")),
        *((name, ctypes.c_void_p) for name in ("release", "private_data")),
    )


_Fill = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_LastError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _ArrowArrayStream(ctypes.Structure):
    _fields_ = (
        ("get_schema", _Fill),
        ("get_next", _Fill),
        ("get_last_error", _LastError),
        ("release", _Release),
        ("private_data", ctypes.c_void_p),
    )


_address_of = ctypes.pythonapi.PyCapsule_GetPointer
_address_of.restype = ctypes.c_void_p
_address_of.argtypes = (ctypes.py_object, ctypes.c_char_p)
_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


class ArrowLines:
    """A stream of chunks of lines, which one reader can read by Arrow's PyCapsules.

    A row is a line, or the bytes between two lines, where ``line`` is null. These extra
    rows cost less than a copy of every line. The columns are line, source_file, exact
    (null if the line was not read exactly), file (its number), and at and size (the
    place of the line in the file, unpacked and in UTF-8, and its bytes).

    Attributes:
        counts: what the reader has got of each file, by the file's number.
        error: the exception that ended the stream early, if there was one. The stream
            can only tell its reader that there was an error.
    """

    def __init__(self, lines: Generator[Lines]) -> None:
        self.counts: dict[int, LineCount] = {}
        self.error: BaseException | None = None
        self._lines = lines
        self._stream = _ArrowArrayStream(
            _Fill(self._fill_schema),
            _Fill(self._fill_next),
            _LastError(lambda stream: ctypes.addressof(_ERROR)),
            _Release(_release),
        )

    def __arrow_c_schema__(self) -> object:
        return na.c_schema(_SCHEMA).__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = ctypes.addressof(self._stream)
        return _capsule(stream, b"arrow_array_stream", None)

    def close(self) -> None:
        """Stop reading, and wait for the threads that read ahead."""
        self._lines.close()

    def _fill_schema(self, stream: int, out: int) -> int:
        _move(self.__arrow_c_schema__(), b"arrow_schema", _ArrowSchema, out)
        return 0

    def _fill_next(self, stream: int, out: int) -> int:
        # No exception, not even an interrupt, can pass through the reader's C code.
        try:
            lines = next(self._lines, None)
            if lines is None:
                _ArrowArray.from_address(out).release = None
                return 0
            _, array = _rows(lines).__arrow_c_array__()
            _move(array, b"arrow_array", _ArrowArray, out)
            number = lines.range.number
            self.counts[number] = self.counts.get(number, LineCount()) + lines.count
        except BaseException as error:
            self.error = error
            return errno.EIO
        return 0


def _release(stream: int) -> None:
    # A null pointer marks a released stream; ctypes cannot set one in this field.
    field = stream + _ArrowArrayStream.release.offset
    ctypes.c_void_p.from_address(field).value = None


def _move(
    capsule: object, name: bytes, kind: type[_ArrowSchema | _ArrowArray], to: int
) -> None:
    """Move the structure of a capsule to this address, whose owner releases it."""
    source = _address_of(capsule, name)
    ctypes.memmove(to, source, ctypes.sizeof(kind))
    kind.from_address(source).release = None


def _rows(lines: Lines) -> Any:
    count = 2 * len(lines)
    is_line = np.resize(np.array([True, False]), count)
    offsets = np.zeros(count + 1, np.int32)
    offsets[:-1:2] = lines.starts
    offsets[1::2] = lines.ends
    if count:
        offsets[-1] = lines.ends[-1]
    columns = [
        _texts(is_line, offsets, lines.data),
        _repeated(lines.range.file.name.encode(), is_line),
        _exact(lines, count),
        _numbers(na.int32(), np.full(count, lines.range.number, np.int32)),
        _numbers(na.int64(), np.repeat(lines.places, 2)),
        _numbers(na.int32(), np.repeat(lines.sizes.astype(np.int32), 2)),
    ]
    return na.c_array_from_buffers(_SCHEMA, count, [None], children=columns)


def _repeated(text: bytes, is_line: Any) -> Any:
    """The text in every row that is a line."""
    lengths = np.where(is_line, len(text), 0)
    return _texts(is_line, _offsets(lengths), text * (len(is_line) // 2))


def _exact(lines: Lines, count: int) -> Any:
    is_exact = np.zeros(count, bool)
    if not lines.exact:
        return _texts(is_exact, np.zeros(count + 1, np.int32), _NO_TEXT)
    lengths = np.zeros(count, np.int64)
    texts = []
    for place, text in sorted(lines.exact.items()):
        texts.append(text.encode())
        is_exact[2 * place] = True
        lengths[2 * place] = len(texts[-1])
    return _texts(is_exact, _offsets(lengths), b"".join(texts))


def _offsets(lengths: Any) -> Any:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _numbers(kind: Any, values: Any) -> Any:
    return na.c_array_from_buffers(kind, len(values), [None, values])


def _texts(is_valid: Any, offsets: Any, data: Any) -> Any:
    validity = np.packbits(is_valid, bitorder="little")
    return na.c_array_from_buffers(_TEXT, len(is_valid), [validity, offsets, data])
