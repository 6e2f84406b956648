"""The files that INPUT_DATA_PATH names."""

import os
from pathlib import Path

import pytest

from jobs.errors import InputError
from jobs.storage.inputs import find_inputs


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jsonl", "a.json", "c.ndjson.gz", "d.txt", "_e.json", ".f.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "users.csv").write_text("user_id\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "g.json").touch()
    (tmp_path / "folder.json").mkdir()
    return tmp_path


def find(path, prefix="/nowhere"):
    return find_inputs(str(path), Path(prefix))


def names(inputs):
    return [file.name for file in inputs.event_files]


def test_a_directory_gives_its_event_files_but_no_hidden_ones(folder):
    inputs = find(folder)
    assert names(inputs) == ["a.json", "b.jsonl", "c.ndjson.gz"]
    assert inputs.attributes("users") == folder / "users.csv"
    assert inputs.attributes("videos") is None
    assert inputs.size == 6


def test_a_glob_finds_deeper_files_and_its_root_is_the_part_without_wildcards(folder):
    inputs = find(f"{folder}/**/*.json")
    assert inputs.root == folder
    assert names(inputs) == ["a.json", "deeper/g.json"]
    assert find(f"{folder}/[ab].*").root == folder


def test_a_path_may_be_a_single_file(folder):
    inputs = find(folder / "b.jsonl")
    assert (names(inputs), inputs.root) == (["b.jsonl"], folder)


def test_a_name_with_wildcards_is_no_glob_if_the_file_exists(folder):
    path = folder / "day[1]*.json"
    path.touch()
    assert names(find(path)) == ["day[1]*.json"]


@pytest.mark.parametrize("path", ["nowhere", "no*match", "*.txt", "d.txt", "_e.json"])
def test_a_path_that_names_no_event_file_is_named(folder, path):
    with pytest.raises(InputError, match=path.replace("*", r"\*")):
        find(folder / path)


@pytest.mark.parametrize(
    ("name", "make", "fault"),
    [
        ("a.json", lambda path: path.symlink_to("nowhere"), "a link to nothing"),
        ("a.json", os.mkfifo, "no regular file"),
        (b"a\xff.json", lambda path: Path(path).touch(), "a file's name must be UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, make, fault):
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    make(tmp_path / name)
    with pytest.raises(InputError) as refused:
        find(tmp_path)
    assert fault in str(refused.value)
    assert "a" in str(refused.value).rsplit("/", 1)[-1]


@pytest.mark.parametrize("path", [".", "**/*.json"])
def test_a_path_without_an_event_file_is_named(tmp_path, path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "_hidden.json").touch()
    with pytest.raises(InputError, match="no event file is there"):
        find(tmp_path / path)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.json", ["a.json", "x/b.json", "x/y/c.json"]),
        ("**", ["a.json", "x/b.json", "x/y/c.json", "x/y/d.jsonl"]),
        ("*/*.json", ["x/b.json"]),
        ("x/**/*.json*", ["b.json", "y/c.json", "y/d.jsonl"]),
        ("**/y/**/*.json", ["x/y/c.json"]),
        ("x/?/[cd].*", ["y/c.json", "y/d.jsonl"]),
    ],
)
def test_a_glob_matches_name_by_name_and_nothing_hidden(tmp_path, pattern, found):
    hidden = ("_temporary/0/e.json", ".git/f.json", "x/_tmp/g.json", "x/.h.json")
    for name in ("a.json", "x/b.json", "x/y/c.json", "x/y/d.jsonl", *hidden):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert names(find(tmp_path / pattern)) == found


def test_links_to_folders_are_not_followed_and_one_file_counts_once(tmp_path):
    folder = tmp_path / "in"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    (folder / "b" / "day.json").write_text("{}")
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "b" / "loop").symlink_to(folder / "a")
    (folder / "a" / "again.json").symlink_to(folder / "b" / "day.json")
    os.link(folder / "b" / "day.json", folder / "b" / "more.json")
    assert names(find(f"{folder}/**/*.json")) == ["a/again.json"]
    assert names(find(folder / "b")) == ["day.json"]
    (tmp_path / "link").symlink_to(folder / "b")
    assert names(find(tmp_path / "link")) == ["day.json"]


def test_the_prefix_is_never_read(tmp_path):
    for name in ("day.json", "out/_runs/1.json", "out/report/answers.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "answers.json").symlink_to(tmp_path / "out/report/answers.json")
    prefix = tmp_path / "out"
    assert names(find(f"{tmp_path}/**/*.json", prefix)) == ["day.json"]
    for inside in ("out", "out/report", "out/_runs/*.json", "answers.json"):
        with pytest.raises(InputError, match="no event file is there"):
            find(tmp_path / inside, prefix)


def test_an_input_within_the_prefix_is_read_if_it_is_no_table(tmp_path):
    for name in ("raw/day.json", "users/day.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert names(find(tmp_path / "raw", tmp_path)) == ["day.json"]
    with pytest.raises(InputError, match="no event file is there"):
        find(tmp_path / "users", tmp_path)
