"""No line is lost between two chunks, wherever they are cut."""

import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InputError
from jobs.lines import chunks, cutting
from jobs.lines.chunks import LineCount, first_lines, lines_of, lines_of_ranges
from jobs.lines.cutting import chunks_of, split
from jobs.lines.files import listed, whole
from tests.support import reference

LINE_ENDS = (b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\r\r\n")
MARKS = (b"\xef\xbb\xbf", b"\xef\xbb", b"\xff", b"\0", "\u00fc\u2028".encode())
JSON = (b"{}", b"{", b"}", b"[", b"]", b",", b'{"a":', b'"', b'"}{"', b"1", b"[[1,],")
PIECES = st.sampled_from(
    (b"a", b" ", b"\t", b"x" * 30, b"NaN", b"\\", *JSON, *LINE_ENDS, *MARKS)
)
CONTENT = st.builds(
    lambda begin, pieces: begin + b"".join(pieces),
    st.sampled_from((b"", b"", b"[{}", b"\xef\xbb\xbf [\n {", b'{\n"a":1', b"{} {")),
    st.lists(PIECES, max_size=30),
)


def expected(content):
    """The lines of the reference, each byte that is not UTF-8 replaced."""
    return [
        line.encode("utf-8", "surrogateescape").decode(errors="replace")
        for line in reference.event_lines("a.json", content)
    ]


def texts(lines):
    return [
        lines.data[start:end].tobytes().decode()
        for start, end in zip(lines.starts, lines.ends, strict=True)
    ]


def read(path, size):
    file = listed(path, path.parent)
    return [
        text
        for chunk in chunks_of(whole(file), size)
        for text in texts(lines_of(chunk))
    ]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("chunks") / "a.json"


@given(CONTENT, st.integers(1, 40))
def test_each_line_knows_its_place_and_each_byte_is_counted_once(path, content, size):
    path.write_bytes(content)
    file = listed(path, path.parent)
    counted = LineCount()
    for each in split(file, size):
        for chunk in chunks_of(each, size):
            lines = lines_of(chunk)
            counted += lines.count
            for at, text in zip(lines.places, texts(lines), strict=True):
                assert content[at:].decode(errors="replace").startswith(text)
    found = reference.event_lines("a.json", content)
    length = sum(len(line.encode("utf-8", "surrogateescape")) for line in found)
    assert counted == LineCount(len(content), length, len(found))


@given(CONTENT, st.integers(1, 40))
def test_lines_are_those_of_the_bytes_wherever_chunks_are_cut(path, content, size):
    path.write_bytes(content)
    assert read(path, size) == expected(content)


@given(CONTENT, st.integers(1, 60))
def test_the_ranges_of_a_file_have_each_of_its_lines_once(path, content, size):
    path.write_bytes(content)
    file = listed(path, path.parent)
    ranges = list(split(file, size))
    found = [
        text
        for lines in ranges
        for chunk in chunks_of(lines)
        for text in texts(lines_of(chunk))
    ]
    assert found == expected(content)
    assert all(lines.end - lines.start >= size for lines in ranges[:-1])


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"1\n2\n", mtime=0),
        "1\n2\n".encode("utf-16"),
        b"[\n{},\n{}]",
        b'{\n"a":\n1}',
        b"",
    ],
)
def test_a_file_that_cannot_be_read_in_parts_is_one_range(path, content):
    path.write_bytes(content)
    file = listed(path, path.parent)
    assert list(split(file, 1, 7)) == [whole(file, 7)]


def test_no_line_is_lost_at_a_hundred_thousand_boundaries(tmp_path):
    chance = random.Random(0)
    boundaries = 0
    while boundaries < 100_000:
        ends = chance.choice([(b"\n",), (b"\r\n",), (b"\r",), (b"\n", b"\r\n", b"\r")])
        lines = [b"x" * chance.randrange(60) + chance.choice(ends) for _ in range(2000)]
        content = b"".join(lines) + b"y" * chance.choice((0, 1, 300))
        size = chance.randrange(1, 50)
        name = chance.choice(("a.json", "a.json.gz"))
        (tmp_path / name).write_bytes(
            gzip.compress(content, 1) if name.endswith("gz") else content
        )
        assert read(tmp_path / name, size) == expected(content)
        boundaries += len(content) // size


def test_all_files_are_read_on_any_number_of_threads(tmp_path):
    for number in range(7):
        content = f"{number}\n" * number * 100
        (tmp_path / f"{number}.json").write_text(content)
    ranges = [
        whole(listed(tmp_path / f"{number}.json", tmp_path)) for number in range(7)
    ]
    for threads in (1, 2, 5):
        found = [
            text
            for lines in lines_of_ranges(ranges, threads, size=64)
            for text in texts(lines)
        ]
        assert sorted(found) == [str(n) for n in range(7) for _ in range(n * 100)]


def test_an_error_in_one_file_ends_the_lines_of_all(tmp_path):
    (tmp_path / "a.json").write_text("1\n" * 100_000)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b"1")[:-1])
    names = ("a.json", "b.json.gz")
    ranges = [whole(listed(tmp_path / name, tmp_path)) for name in names]
    with pytest.raises(InputError, match=r"b\.json\.gz: "):
        list(lines_of_ranges(ranges, 2, size=64))


def test_a_line_with_bad_utf_8_is_replaced_and_read_exactly(path):
    path.write_bytes(b'{"a": 1}\n{"b": "\xff"}\n{"c": "\xc3\xbc"}')
    file = listed(path, path.parent)
    [chunk] = chunks_of(whole(file))
    lines = lines_of(chunk)
    assert texts(lines) == ['{"a": 1}', '{"b": "\ufffd"}', '{"c": "\u00fc"}']
    assert lines.exact == {1: ""}


def test_a_long_line_is_read_exactly(path, monkeypatch):
    monkeypatch.setattr(chunks, "LONG_LINE", 20)
    path.write_text(
        '{"event": "a"}\n{"event": "a", "other": [[], {}]}\n{"event": "a", x}'
    )
    file = listed(path, path.parent)
    [chunk] = chunks_of(whole(file))
    exact = lines_of(chunk).exact
    assert list(exact) == [1]
    assert exact[1].startswith('{"event":"a","timestamp":null')


@pytest.mark.parametrize("size", [64, 10_000])
def test_a_line_that_is_too_long_is_an_error_that_names_the_file(
    path, monkeypatch, size
):
    for module in (chunks, cutting):
        monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    path.write_text("x" * 1000)
    assert read(path, size) == ["x" * 1000]
    path.write_text("y\n" + "x" * 1001 + "\nz")
    with pytest.raises(InputError, match=r"a\.json: a line is longer than 1,000 bytes"):
        read(path, size)


def test_the_first_lines_of_a_file_are_those_of_the_reader(path):
    path.write_bytes(b"\xef\xbb\xbf1\r\n \n2\n\xff\n" + b"x" * 2_000_000 + b"\n4")
    file = listed(path, path.parent)
    assert first_lines(file, 0) == []
    assert first_lines(file, 2) == [b"1", b"2"]
    assert first_lines(file)[2:] == [b"\xff", b"x" * 2_000_000, b"4"]


def test_a_line_of_several_objects_may_be_longer_than_the_longest_line(
    path, monkeypatch
):
    for module in (chunks, cutting):
        monkeypatch.setattr(module, "LONGEST_LINE", 100)
    objects = ['{"a": "}{"}', '{"b": [{}, {}]}', "{}"] * 50
    for last, found in (("", []), ('{"c": 1', ['{"c": 1']), ("{c} {}", ["{c} {}"])):
        path.write_text("first\n" + "  ".join([*objects, last]) + "\nlast")
        assert read(path, 16) == ["first", *objects, *found, "last"]
    # The whole line is one line then.
    for last in ("x", "{} x", "[]", "{" + " " * 100):
        path.write_text("  ".join([*objects, last]))
        with pytest.raises(InputError, match="a line is longer than 100 bytes"):
            read(path, 16)


def test_a_document_may_be_longer_than_the_longest_line(path, monkeypatch):
    for module in (chunks, cutting):
        monkeypatch.setattr(module, "LONGEST_LINE", 100)
    elements = ['{"a": "x",\n"b": 1}', "7", '["x"]', "{\n}"] * 50
    path.write_text("[" + ",\n".join(elements) + "]")
    assert read(path, 16) == elements
    for element in ('{"a": "' + "x" * 100 + '"}', "x" * 101, '"' + "x" * 101):
        path.write_text("[{},\n" + element + ",\n{}]")
        with pytest.raises(InputError, match="a line is longer than 100 bytes"):
            read(path, 16)


def test_first_lines_are_those_of_a_document_too(path):
    path.write_bytes('[\n{"a": 1},\n{"b":\n2}]'.encode("utf-16"))
    assert first_lines(listed(path, path.parent)) == [b'{"a": 1}', b'{"b":\n2}']
