"""An event file is read as it was listed, or an error names it."""

import gzip
import os

import pytest

from jobs.errors import InputError
from jobs.lines.files import listed, open_unpacked, whole

LINES = b'{"a": 1}\n' * 5000
PACKED = gzip.compress(LINES, mtime=0)
BROKEN = {
    "without its last byte": PACKED[:-1],
    "without its checksum": PACKED[:-8],
    "half of it": PACKED[: len(PACKED) // 2],
    "half of its header": PACKED[:5],
    "another checksum": PACKED[:-8] + b"\0" + PACKED[-7:],
    "another bit": PACKED[:40] + bytes([PACKED[40] ^ 1]) + PACKED[41:],
    "text after it": PACKED + b"garbage",
    "zeros after it": PACKED + b"\0" * 512,
    "not packed": LINES,
}


@pytest.fixture
def event_file(tmp_path):
    """Lists a file of this content."""

    def make(content, name="a.json"):
        (tmp_path / name).write_bytes(content)
        return listed(tmp_path / name, tmp_path)

    return make


def unpacked(file):
    with open_unpacked(whole(file)) as source:
        return source.read()


@pytest.mark.parametrize("broken", BROKEN)
def test_a_gzip_file_that_is_not_whole_is_named(event_file, broken):
    file = event_file(BROKEN[broken], "a.json.gz")
    with pytest.raises(InputError, match=r"a\.json\.gz: "):
        unpacked(file)


def test_gzip_files_may_be_joined(event_file):
    content = PACKED + gzip.compress(b"") + PACKED
    assert unpacked(event_file(content, "a.json.gz")) == 2 * LINES


def test_a_file_that_is_packed_a_thousandfold_is_read_whole(event_file):
    content = b"x" * 10_000_000
    assert unpacked(event_file(gzip.compress(content), "a.json.gz")) == content


def test_a_file_that_grows_is_read_up_to_its_listed_size(event_file):
    file = event_file(LINES)
    with open_unpacked(whole(file)) as source:
        begun = source.read(100)
        with file.path.open("ab") as end:
            end.write(b"more")
        assert begun + source.read() == LINES


def shrinks(path):
    os.truncate(path, 1000)


def is_replaced(path):
    path.with_name("other").write_bytes(LINES)
    path.with_name("other").rename(path)


def is_written_over(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def vanishes(path):
    path.unlink()


@pytest.mark.parametrize(
    ("happens", "message"),
    [
        (shrinks, r"shrank from 45,000 to 1,000 bytes"),
        (is_replaced, "replaced by another file"),
        (is_written_over, "changed while it was read"),
        (vanishes, "No such file or directory"),
    ],
)
def test_a_file_that_changed_since_it_was_listed_is_named(event_file, happens, message):
    file = event_file(LINES)
    happens(file.path)
    with pytest.raises(InputError, match=rf"a\.json: {message}"):
        unpacked(file)


@pytest.mark.parametrize("happens", [shrinks, is_written_over])
def test_a_change_while_a_file_is_read_is_found_at_its_end(event_file, happens):
    file = event_file(LINES)
    with open_unpacked(whole(file)) as source:
        source.read(44_000)
        happens(file.path)
        with pytest.raises(InputError, match=r"a\.json: "):
            source.read()
