"""Which files INPUT_DATA_PATH names."""

import csv
import gzip
import os
from pathlib import Path

import pytest

from jobs.engine.inputs import check_gzip_files, find_inputs, tidy_csv
from jobs.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jsonl", "a.json", "c.ndjson.gz", "d.txt", "_e.json", ".f.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "users.csv").write_text("user_id\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "g.json").touch()
    (tmp_path / "folder.json").mkdir()
    return tmp_path


def names(inputs):
    return [str(path.relative_to(inputs.root)) for path in inputs.event_files]


def test_a_directory_gives_its_event_files_but_no_hidden_ones(folder):
    inputs = find_inputs(str(folder))
    assert names(inputs) == ["a.json", "b.jsonl", "c.ndjson.gz"]
    assert inputs.attributes("users") == folder / "users.csv"
    assert inputs.attributes("videos") is None
    assert inputs.size == 6


def test_a_glob_reaches_deeper_and_its_root_is_what_holds_no_magic(folder):
    inputs = find_inputs(f"{folder}/**/*.json")
    assert inputs.root == folder
    assert names(inputs) == ["a.json", "deeper/g.json"]
    assert find_inputs(f"{folder}/[ab].*").root == folder


def test_a_file_stands_for_itself(folder):
    inputs = find_inputs(str(folder / "b.jsonl"))
    assert (names(inputs), inputs.root) == (["b.jsonl"], folder)


def test_a_name_with_magic_characters_is_a_name_if_it_exists(folder):
    odd = folder / "day[1]*.json"
    odd.touch()
    assert names(find_inputs(str(odd))) == ["day[1]*.json"]


@pytest.mark.parametrize("path", ["nowhere", "no*match", "*.txt", "d.txt", "_e.json"])
def test_a_path_that_names_no_event_file_is_named(folder, path):
    with pytest.raises(InputError, match=path.replace("*", r"\*")):
        find_inputs(str(folder / path))


@pytest.mark.parametrize(
    ("name", "make", "fault"),
    [
        ("a.json", lambda path: path.symlink_to("nowhere"), "a link to nothing"),
        ("a.json", os.mkfifo, "no regular file"),
        ("a.json.gz", Path.touch, "empty, which no gzip file is"),
        (b"a\xff.json", lambda path: Path(path).touch(), "a file's name must be UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, make, fault):
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    make(tmp_path / name)
    with pytest.raises(InputError) as refused:
        find_inputs(str(tmp_path))
    assert fault in str(refused.value)
    assert "a" in str(refused.value).rsplit("/", 1)[-1]


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


@pytest.mark.parametrize("broken", BROKEN)
def test_a_gzip_file_that_is_not_whole_is_named(tmp_path, broken):
    path = tmp_path / "a.json.gz"
    path.write_bytes(BROKEN[broken])
    with pytest.raises(InputError, match=r"a\.json\.gz: "):
        check_gzip_files([path])


def test_gzip_files_may_be_joined(tmp_path):
    path = tmp_path / "a.json.gz"
    path.write_bytes(PACKED + gzip.compress(b"") + PACKED)
    check_gzip_files([path])


def tidied(path, names):
    tidy = path.with_name("tidy")
    tidy_csv(path, names, tidy)
    with tidy.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_csv_file_is_brought_into_one_form(tmp_path):
    path = tmp_path / "users.csv"
    path.write_bytes(
        "\ufeffGender,user_id,name\r\n"
        'f,u1,"a ""b"", c"\r\n'
        "\r\n"
        'm,u2,"two\r\nlines",more\n'
        "f,u3\r"
        "x,\0,\ufeff".encode()
    )
    assert tidied(path, ["user_id", "name", "gender"]) == [
        ["u1", 'a "b", c', ""],
        ["u2", "two\r\nlines", ""],
        ["u3", "", ""],
        ["\0", "\ufeff", ""],
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no column user_id"),
        (b"id,name\n", "no column user_id"),
        (b"user_id\nu1\n\xff\n", "not UTF-8 after row 1"),
        (b'user_id\nu1\n"u2', "unexpected end of data after row 2"),
        (b'user_id,name\nu1,"The "Best""\n', "expected after"),
    ],
)
def test_a_csv_file_that_can_be_misread_is_named(tmp_path, content, fault):
    path = tmp_path / "users.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"users\.csv: .*{fault}"):
        tidied(path, ["user_id"])
