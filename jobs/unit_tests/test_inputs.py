"""Which files INPUT_DATA_PATH names."""

import pytest

from jobs.engine.inputs import csv_positions, find_inputs
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


@pytest.mark.parametrize("path", ["nowhere", "no*match", "d.txt", "_e.json"])
def test_a_path_that_names_no_event_file_is_named(folder, path):
    with pytest.raises(InputError, match=path.replace("*", r"\*")):
        find_inputs(str(folder / path))


def test_columns_of_a_csv_file_are_found_by_their_exact_names(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text('\ufeff"Gender",user_id,"a\nb"\n', encoding="utf-8")
    assert csv_positions(path, ["user_id", "gender", "a\nb"]) == (3, [1, None, 2])


@pytest.mark.parametrize("content", [b"", b"id,name\n", b"\xff\xfe\n"])
def test_a_csv_file_without_its_key_is_named(tmp_path, content):
    path = tmp_path / "users.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"users\.csv"):
        csv_positions(path, ["user_id"])
