"""The files that INPUT_DATA_PATH names."""

import bz2
import gzip
import os
import tarfile
from pathlib import Path

import pytest

from jobs.errors import InputError
from jobs.storage.inputs import find_inputs

EVENT = b'{"event": "registered"}\n'
OBJECT = b'{"level": "info"}\n'


@pytest.fixture
def folder(tmp_path):
    """An empty folder for input."""
    path = tmp_path / "logs"
    path.mkdir()
    return path


def write(folder, *names, content=b"{}"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def find(path, prefix="/nowhere", exclude=()):
    return find_inputs(str(path), Path(prefix), exclude)


def names(inputs):
    return [file.name for file in inputs.event_files]


def refused(path, **options):
    with pytest.raises(InputError) as error:
        find(path, **options)
    return str(error.value)


def test_a_directory_is_searched_through_all_folders_but_no_hidden_ones(folder):
    write(folder, "b.jsonl", "a.json", "x/y/c.ndjson", "_e.json", ".f.json")
    write(folder, "_temporary/0/e.json", ".git/f.json", "x/_tmp/g.json", "x/.h.json")
    (folder / "folder.json").mkdir()
    (folder / "users.csv").touch()
    inputs = find(folder)
    assert names(inputs) == ["logs/a.json", "logs/b.jsonl", "logs/x/y/c.ndjson"]
    assert inputs.passed_over == {}
    assert inputs.attributes("users") == folder / "users.csv"
    assert inputs.attributes("videos") is None
    assert inputs.size == 6


@pytest.mark.parametrize(
    "name",
    [
        *("a.json", "a.jsonl", "a.ndjson", "a.JSON", "a.JsonL", "part-0.json"),
        *("a.jsonl.zst", "a.json.bz2", "a.NDJSON.BZ2", "1.2.json"),
    ],
)
def test_the_ending_of_a_name_makes_an_event_file(folder, name):
    write(folder, name, content=b"no object")
    assert names(find(folder)) == [f"logs/{name}"]


@pytest.mark.parametrize("name", ["a.json.gz", "A.JSONL.GZ"])
def test_the_name_of_an_event_file_may_end_in_a_packing(folder, name):
    write(folder, name, content=gzip.compress(OBJECT))
    assert names(find(folder)) == [f"logs/{name}"]


MAY_BE = {
    "day.log": b"",
    "day.TXT": b"",
    "part-00000": b"",
    "x/part-m-0": b"",
    "2021-01-05.gz": b"",
    "1614556801.aa11bb.1.1.2.gz": b"",
    "day.log.gz": b"",
}


def packed(name, content):
    return gzip.compress(content) if name.endswith(".gz") else content


@pytest.mark.parametrize("name", MAY_BE)
def test_a_name_that_says_little_is_that_of_an_event_file_if_an_object_is_in(
    folder, name
):
    write(folder, "a.json")
    write(folder, name, content=packed(name, b"started\n" * 99 + OBJECT))
    assert names(find(folder)) == sorted(["logs/a.json", f"logs/{name}"])
    write(folder, name, content=packed(name, b"started\n" * 100 + OBJECT))
    inputs = find(folder)
    assert names(inputs) == ["logs/a.json"]
    why = "no JSON object among its first lines"
    assert inputs.passed_over == {f"logs/{name}": why}
    content = '{"city": "Köln"}'.encode("latin-1")
    write(folder, name, content=packed(name, content))
    why = "in Latin-1 or Windows-1252, and not in UTF-8"
    assert find(folder).passed_over == {f"logs/{name}": why}


def test_other_lines_of_a_file_do_not_matter_but_an_archive_is_none(folder):
    write(folder, "a.log", content=b"\xff\n\0\n" + OBJECT + b"\0" * 9000)
    write(folder, "b.log", content=b'\xff\n\0\n{"a": 1}{"b": 2}')
    assert names(find(folder)) == ["logs/a.log", "logs/b.log"]
    with tarfile.open(folder / "c.gz", "w:gz") as archive:
        archive.add(folder / "a.log", "a.log")
        (folder / "d.jsonl").write_bytes(OBJECT + EVENT * 2)
        archive.add(folder / "d.jsonl", "d.jsonl")
    assert f"{folder}/c.gz: it has events, but is a tar archive; unpack it" in refused(
        folder
    )
    (folder / "c.gz").rename(folder / "c.json.gz")
    assert f"{folder}/c.json.gz: it is a tar archive; unpack it" in refused(folder)


def test_every_other_file_is_passed_over_with_the_reason(folder):
    write(folder, "a.json")
    write(folder, "orders.csv", "README", "x/users.csv", content=b"user_id,name\n1,a\n")
    write(folder, "empty.log", "lock", content=b"")
    write(folder, "t.parquet", content=b"PAR1\x15\0")
    write(folder, "page.txt", content=b"<html>")
    write(folder, "a.json.md5", content=b"d41d8cd98f00b204e9800998ecf8427e  a.json")
    write(folder, "config.yml", content=OBJECT)
    write(folder, "backup.tgz", content=b"\x1f\x8b cut off")
    (folder / "gone.png").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"\xff.png")).touch()
    passed_over = dict(find(folder).passed_over)
    assert passed_over.pop("logs/backup.tgz")
    assert "UTF-8" in passed_over.pop(os.fsdecode(b"logs/\xff.png"))
    assert passed_over == {
        "logs/README": "no ending",
        "logs/orders.csv": "unknown ending .csv",
        "logs/x/users.csv": "not at the top of the input",
        "logs/empty.log": "empty",
        "logs/lock": "empty",
        "logs/t.parquet": "a Parquet file",
        "logs/page.txt": "HTML, such as an error page",
        "logs/a.json.md5": "unknown ending .md5",
        "logs/config.yml": "unknown ending .yml",
        "logs/gone.png": "a link to nothing",
        "logs/pipe": "no regular file",
    }


XZ = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\n"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.jsn", EVENT, "it has events"),
        ("a", b"x\n" * 99 + b'{"event_name": "like"}', "it has events"),
        ("a.json.1", OBJECT, "it has events"),
        ("a.jsonl.bak", EVENT, "it has events"),
        ("a.jsonl.xz", XZ, "packed in a way that is not read"),
        ("a.json.lz4", b"\x04\x22\x4d\x18\x64\x40\xa7\n", "packed in a way"),
        ("a.events", b'[{"event": "a"},\n{"event": "b"}]', "it has events"),
        ("a.events", EVENT.decode().encode("utf-16"), "it has events"),
        ("a.events", bz2.compress(b'{"x": 1}' + EVENT), "it has events"),
        ("a.events", gzip.compress(b"x\n" * 100 + EVENT, mtime=0), None),
        ("a.jsn", b"x\n" * 100 + EVENT, None),
        ("a.jsn", b'{"event": null}', None),
    ],
)
def test_a_file_of_another_name_that_has_events_ends_the_run(
    folder, name, content, fault
):
    write(folder, "x/ok.json")
    write(folder, f"x/{name}", content=content)
    if fault is None:
        assert [*find(folder).passed_over] == [f"logs/x/{name}"]
        return
    error = refused(folder)
    assert error.startswith(f"{folder}/x/{name}: ")
    assert fault in error
    assert error.endswith(f"or set INPUT_EXCLUDE=x/{name}")
    assert names(find(folder, exclude=[f"x/{name}"])) == ["logs/x/ok.json"]


def test_the_error_names_such_files_or_counts_them(folder):
    write(folder, "ok.json")
    write(folder, "a [1],.jsn", "b.jsn", content=EVENT)
    write(folder, "c.json", content=b"<html>")
    error = refused(folder)
    assert error == (
        f"{folder}/c.json: it is HTML, such as an error page;"
        f" {folder}/a [1],.jsn: it has events, but no event file's name;"
        f" {folder}/b.jsn: it has events, but no event file's name;"
        " replace it, rename it to end in .jsonl,"
        " or set INPUT_EXCLUDE=c.json,a [[]1]?.jsn,b.jsn"
    )
    exclude = error.split("INPUT_EXCLUDE=")[1].split(",")
    assert names(find(folder, exclude=exclude)) == ["logs/ok.json"]
    write(folder, *(f"{n}.jsn" for n in range(10)), content=EVENT)
    assert "; and 8 more; replace it" in refused(folder)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "XML"),
        (b"\n \n<!DOCTYPE html>\n<html>", "HTML"),
        (b"\xef\xbb\xbf<HTML>", "HTML"),
        (b"<a/>", "XML or HTML"),
        ("<html>\n".encode("utf-16"), "HTML"),
        (gzip.compress(b"<html>", mtime=0), "HTML"),
        (b"<html><head>\n<title>Index of /logs</title>", "a folder's listing in HTML"),
        (b'<?xml version="1.0"?><ListBucketResult xmlns="', "a bucket's listing"),
        (b"total 8\n-rw-r--r-- 1 root root 68 Jan  5 10:00 day1.jsonl", "a folder's"),
        (b'[\n{ "name":"day1.jsonl", "type":"file", "size":68 }]', "a folder's"),
        (b"2021-01-05 10:00:00       1234 day1.jsonl\n", "a bucket's listing"),
        ('{"event": "a", "city": "Köln"}\n'.encode("latin-1") * 2, "in Latin-1"),
        ('# Day 1\n{"city": "Köln"}\n'.encode("latin-1"), "in Latin-1"),
        ('[{"city": "Köln"},\n{"city": "Köln"}]'.encode("latin-1"), "in Latin-1"),
        ('{\n"city": "Köln"\n}\n{\n"city": "Köln"\n}'.encode("latin-1"), "in Latin-1"),
        (b"PK\x03\x04\x14\0", "a zip archive"),
        (b"PAR1\x15\0", "a Parquet file"),
        (b"a.json" + b"\0" * 251 + b"ustar\0", "a tar archive"),
    ],
)
def test_an_event_file_that_is_something_else_is_named_with_its_kind(
    folder, content, kind
):
    write(folder, "ok.json")
    write(folder, "day2.jsonl", content=content)
    error = refused(folder)
    assert error.startswith(f"{folder}/day2.jsonl: it is {kind}")
    assert "INPUT_EXCLUDE=day2.jsonl" in error


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no object",
        b'[{"event": "a"}]',
        '{"city": "Köln"}'.encode() * 400,
        '{"city": "Köln"}\n'.encode("latin-1") * 20_000 + EVENT,
        '{"city": "Köln"\n'.encode("latin-1"),
        '[{"city": "Köln"}, {"city": "Graz"}]'.encode("latin-1"),
        '{\n"city": "Köln"\n}\n{\n"city": "Graz"\n}'.encode("latin-1"),
        '{\n"city": "Köln"\n}'.encode(),
    ],
)
def test_an_event_file_that_may_have_lines_is_left_to_the_reader(folder, content):
    write(folder, "day.jsonl", content=content)
    assert names(find(folder)) == ["logs/day.jsonl"]


@pytest.mark.parametrize(
    ("exclude", "found"),
    [
        (["b.json"], ["a.json", "x/y/c.json", "z.json/d.json"]),
        (["*.json"], []),
        (["y"], ["a.json", "b.json", "x/b.json", "z.json/d.json"]),
        (["x/"], ["a.json", "b.json", "z.json/d.json"]),
        (["x/**"], ["a.json", "b.json", "z.json/d.json"]),
        (["x/b.json"], ["a.json", "b.json", "x/y/c.json", "z.json/d.json"]),
        (["/b.json"], ["a.json", "x/b.json", "x/y/c.json", "z.json/d.json"]),
        (["./*.json"], ["x/b.json", "x/y/c.json"]),
        (["**/c.*", "?.json/d.json"], ["a.json", "b.json", "x/b.json"]),
        (["x/*/c.json"], ["a.json", "b.json", "x/b.json", "z.json/d.json"]),
        (["B.json", "x.json"], ["a.json", "b.json", "x/b.json", "x/y/c.json"]),
    ],
)
def test_files_and_folders_can_be_left_out(folder, exclude, found):
    write(folder, "a.json", "b.json", "x/b.json", "x/y/c.json", "z.json/d.json")
    if exclude == ["B.json", "x.json"]:
        found = [*found, "z.json/d.json"]
    if found:
        inputs = find(folder, exclude=exclude)
        assert names(inputs) == [f"logs/{name}" for name in found]
        assert (inputs.left_out == 0) == (len(found) == 5)
    else:
        assert "INPUT_EXCLUDE leaves out 5" in refused(folder, exclude=exclude)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.json", ["a.json", "x/b.json", "x/y/c.json"]),
        ("**", ["a.json", "x/b.json", "x/y/c.json", "x/y/d.jsonl"]),
        ("*", ["a.json", "x/b.json", "x/y/c.json", "x/y/d.jsonl"]),
        ("*.json", ["a.json"]),
        ("*/*.json", ["x/b.json"]),
        ("x*", ["x/b.json", "x/y/c.json", "x/y/d.jsonl"]),
        ("*/y", ["x/y/c.json", "x/y/d.jsonl"]),
        ("x/**/*.json*", ["b.json", "y/c.json", "y/d.jsonl"]),
        ("**/y/**/*.json", ["x/y/c.json"]),
        ("x/?/[cd].*", ["y/c.json", "y/d.jsonl"]),
    ],
)
def test_a_glob_matches_files_and_folders_and_nothing_hidden(folder, pattern, found):
    write(folder, "a.json", "x/b.json", "x/y/c.json", "x/y/d.jsonl")
    write(folder, "_temporary/0/e.json", ".git/f.json", "x/_tmp/g.json", "x/.h.json")
    root = folder / "x" if pattern.startswith("x/") else folder
    inputs = find(folder / pattern)
    assert inputs.root == root
    assert names(inputs) == [f"{root.name}/{name}" for name in found]


def test_a_glob_that_matches_nothing_in_a_folder_does_not_enter_it(folder):
    write(folder, "a.json", "x/b.json")
    (folder / "x" / "c.jsn").write_bytes(EVENT)
    inputs = find(f"{folder}/*.json*")
    assert (names(inputs), inputs.passed_over) == (["logs/a.json"], {})


def test_a_path_may_be_a_single_file(folder):
    write(folder, "b.jsonl", "c.json")
    write(folder, "d.txt", content=OBJECT)
    inputs = find(folder / "b.jsonl")
    assert (names(inputs), inputs.root) == (["b.jsonl"], folder)
    assert names(find(folder / "d.txt")) == ["d.txt"]


def test_a_name_with_wildcards_is_no_glob_if_it_exists(folder):
    write(folder, "day[1]*.json", "[x]/a.json", "[x]/b.json", "x/a.json")
    assert names(find(folder / "day[1]*.json")) == ["day[1]*.json"]
    assert names(find(folder / "[x]")) == ["[x]/a.json", "[x]/b.json"]
    assert names(find(folder / "[x]" / "a*")) == ["[x]/a.json"]


@pytest.mark.parametrize("path", ["nowhere", "no*match", "a.json/b", "x" * 300, "a\0b"])
def test_a_path_that_names_nothing_is_named(folder, path):
    write(folder, "a.json")
    error = refused(folder / path)
    assert error.startswith((f"{folder}/{path}: ", f"'{folder}/a\\x00b': "))
    assert "\n" not in error


@pytest.mark.parametrize("path", ["_e.json", "*.txt", "d.txt", "x", "x/*", "_*"])
def test_a_path_without_an_event_file_is_named_with_what_is_there(folder, path):
    write(folder, "_e.json", "x/.f.json")
    write(folder, "d.txt", "x/data.csv", content=b"a,b")
    error = refused(folder / path)
    assert error.startswith(f"{folder / path}: no event file is there; ")
    assert ("d.txt (no JSON object" in error) == path.endswith(".txt")
    assert ("x/data.csv (unknown ending" in error) == path.startswith("x")


def test_the_message_of_an_empty_folder_is_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert refused(".").startswith(f"{folder}: no event file is there")
    write(folder, *(f"{n}.csv" for n in range(9)), content=b"a,b")
    error = refused(".", exclude=["8.csv"])
    assert "passed over: logs/0.csv (unknown ending .csv), " in error
    assert error.endswith(", and 3 more; INPUT_EXCLUDE leaves out 1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_closed_folder_is_named(folder):
    write(folder, "x/a.json", "b.json")
    (folder / "x").chmod(0)
    try:
        for path in (folder, folder / "x" / "a.json"):
            assert "ermission denied" in refused(path)
        assert names(find(folder, exclude=["x"])) == ["logs/b.json"]
    finally:
        (folder / "x").chmod(0o700)


@pytest.mark.parametrize(
    ("name", "make", "fault"),
    [
        ("a.json", lambda path: path.symlink_to("nowhere"), "a link to nothing"),
        ("a.json", os.mkfifo, "no regular file"),
        ("part-0", os.mkfifo, "no regular file"),
        (b"a\xff.json", lambda path: Path(path).touch(), "a file's name must be UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(folder, name, make, fault):
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    make(folder / name)
    error = refused(folder)
    assert fault in error
    assert "a" in error.rsplit("/", 1)[-1]


def test_links_to_folders_are_not_followed_and_one_file_counts_once(tmp_path):
    folder = tmp_path / "in"
    write(folder, "b/day.json")
    (folder / "a").mkdir()
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "b" / "loop").symlink_to(folder / "a")
    (folder / "a" / "again.json").symlink_to(folder / "b" / "day.json")
    os.link(folder / "b" / "day.json", folder / "b" / "more.json")
    os.link(folder / "b" / "day.json", folder / "b" / "copy.bak")
    inputs = find(folder)
    assert (names(inputs), inputs.passed_over) == (["in/a/again.json"], {})
    assert names(find(f"{folder}/b/**/*.json")) == ["b/day.json"]
    (tmp_path / "link").symlink_to(folder / "b")
    assert names(find(tmp_path / "link")) == ["link/day.json"]


def test_the_first_name_of_a_file_counts_whatever_its_ending(folder):
    write(folder, "b.txt")
    os.link(folder / "b.txt", folder / "c.json")
    assert names(find(folder)) == ["logs/b.txt"]
    os.link(folder / "b.txt", folder / "a.json")
    assert names(find(folder)) == ["logs/a.json"]


def test_the_prefix_is_never_read(tmp_path):
    write(tmp_path, "day.json", "out/_runs/1.json", "out/report/answers.json")
    write(tmp_path, "out/users/format=parquet/a.json")
    (tmp_path / "answers.json").symlink_to(tmp_path / "out/report/answers.json")
    prefix = tmp_path / "out"
    for path in (tmp_path, f"{tmp_path}/**/*.json"):
        assert names(find(path, prefix)) == [f"{tmp_path.name}/day.json"]
    for inside in ("out", "out/report", "out/_runs/*.json", "answers.json"):
        assert "no event file is there" in refused(tmp_path / inside, prefix=prefix)


def test_an_input_within_the_prefix_is_read_if_it_is_no_table(tmp_path):
    write(tmp_path, "raw/day.json", "users/day.json")
    assert names(find(tmp_path / "raw", tmp_path)) == ["raw/day.json"]
    assert "no event file is there" in refused(tmp_path / "users", prefix=tmp_path)


@pytest.mark.parametrize(
    "first",
    [
        b"<14>Jan  5 host app: start",
        b"<!-- export -->",
        b"2021-01-05 10:00:00 123 start",
        b"ORCHESTRATOR started",
        b'[{"name": "clip", "type": "file", "event_name": "x"}, ',
    ],
)
def test_a_file_with_events_is_read_however_it_begins(folder, first):
    end = b"{}]" if first.startswith(b"[") else b""
    (folder / "a.json").write_bytes(first + b"\n" + (end or EVENT * 3))
    assert names(find(folder)) == ["logs/a.json"]
