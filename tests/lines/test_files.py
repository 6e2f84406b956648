"""An event file is read as it was listed, or an error names it."""

import bz2
import gzip
import os
from collections.abc import Callable
from functools import partial

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InputError
from jobs.lines.files import listed, open_unpacked, whole

LINES = b'{"a": 1}\n' * 5000
PACKED = gzip.compress(LINES, mtime=0)
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    # Only with a checksum, as the command zstd writes it, is each wrong bit found.
    "zstd": partial(
        zstd.compress, options={zstd.CompressionParameter.checksum_flag: 1}
    ),
    "bzip2": bz2.compress,
}
NO_DATA = bytes.fromhex("5e2a4d18 03000000 616263")  # a frame that zstd skips
BROKEN = {
    "without its last byte": PACKED[:-1],
    "without its checksum": PACKED[:-8],
    "half of it": PACKED[: len(PACKED) // 2],
    "half of its header": PACKED[:5],
    "another checksum": PACKED[:-8] + b"\0" + PACKED[-7:],
    "another bit": PACKED[:40] + bytes([PACKED[40] ^ 1]) + PACKED[41:],
    "text after it": PACKED + b"garbage",
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


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_the_first_bytes_tell_how_a_file_is_packed(event_file, packing, name):
    pack = PACKINGS[packing]
    content = pack(LINES) + pack(b"") + pack(LINES)
    assert unpacked(event_file(content, name)) == 2 * LINES
    assert unpacked(event_file(pack(b""), name)) == b""


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_packed_file_that_is_cut_off_or_corrupt_is_named(event_file, packing):
    content = PACKINGS[packing](b"".join(b"%d\n" % n for n in range(9000)))
    for cut in (5, len(content) // 2, len(content) - 1):
        with pytest.raises(InputError, match=r"a\.json: "):
            unpacked(event_file(content[:cut]))
    at = len(content) // 2
    other = bytes([content[at] ^ 0xFF])
    for broken in (content[:at] + other + content[at + 1 :], content + b"garbage"):
        with pytest.raises(InputError, match=r"a\.json: "):
            unpacked(event_file(broken))


def test_zeros_between_and_after_gzip_members_are_left_out(event_file):
    zeros = b"\0" * 3_000_000
    assert unpacked(event_file(PACKED + zeros + PACKED + zeros)) == 2 * LINES


def test_a_zstd_file_may_have_frames_without_data(event_file):
    content = NO_DATA + zstd.compress(LINES) + NO_DATA
    assert unpacked(event_file(content)) == LINES


def test_a_zstd_file_that_needs_a_large_window_is_named_with_a_way_out(event_file):
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    content = packer.compress(LINES) + packer.flush()
    with pytest.raises(
        InputError, match=r"a\.json: .* 128 MiB; pack it with --long=27"
    ):
        unpacked(event_file(content))


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.zst"])
def test_a_file_without_bytes_has_no_lines(event_file, name):
    assert unpacked(event_file(b"", name)) == b""


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_utf_16_is_read_by_its_byte_order_mark(event_file, encoding, pack):
    text = "é\U0001f600\r\n" * 400_000
    content = f"\ufeff{text}".encode(encoding)
    assert unpacked(event_file(pack(content))) == text.encode()


@given(st.binary(max_size=9), st.sampled_from([b"\xff\xfe", b"\xfe\xff"]))
def test_no_byte_of_utf_16_is_lost(tmp_path_factory, content, mark):
    folder = tmp_path_factory.mktemp("utf-16")
    (folder / "a.json").write_bytes(mark + content)
    found = unpacked(listed(folder / "a.json", folder))
    assert found.decode() == (mark + content).decode("utf-16", "replace")


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
