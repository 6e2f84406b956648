"""Publishing: readers find the tables of one run, and one run at a time writes."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from jobs.errors import InputError, PrefixInUseError, RunError, SettingError
from jobs.ledger import Ledger
from jobs.publishing.formats import Change, published_folder, staging_folder
from jobs.publishing.prefix import FILES, Prefix
from jobs.publishing.reading import read_snapshot
from jobs.publishing.state import FORMAT
from jobs.settings import DELTA, PARQUET
from jobs.storage import local
from jobs.tables import REJECTED_EVENTS, USERS, VIDEOS
from tests.support.prefixes import (
    COMMITS,
    TABLES,
    Killed,
    content_of,
    data_file,
    ending_after,
    in_published_folder,
    publish,
    published,
    writer_of,
    written,
)

PAGE = "report/index.html"
STEPS = 2 * len(TABLES) + 2  # at most two renames a table, the page and the record


@pytest.fixture
def writer(tmp_path):
    with closing(writer_of(tmp_path / "out")) as opened:
        yield opened


def test_a_table_is_invisible_until_it_is_published(writer):
    change = written(writer, USERS, "new")
    prefix = writer.tables.path
    with pytest.raises(InputError, match="there is no table users yet: run events_spl"):
        published(prefix, USERS)
    publish(writer, change)
    assert published(prefix, USERS) == in_published_folder(prefix, USERS) == ["new"]


@pytest.fixture(params=[True, False], ids=["exchange", "no exchange"])
def can_exchange(request, monkeypatch):
    """Whether the file system can exchange two folders."""
    if not request.param:
        monkeypatch.setattr(local, "exchange", lambda one, other: False)
    return request.param


@pytest.fixture(params=["exchange", "no exchange", DELTA])
def way(request, monkeypatch):
    """How tables are published: Parquet by exchanging folders or not, or Delta."""
    if request.param == "no exchange":
        monkeypatch.setattr(local, "exchange", lambda one, other: False)
    return request.param


@pytest.fixture
def table_format(way):
    return DELTA if way == DELTA else PARQUET


def test_a_table_is_replaced_in_every_way(tmp_path, table_format):
    for content in ("old", "new"):
        with closing(writer_of(tmp_path, table_format, TABLES)) as writer:
            publish(writer, written(writer, VIDEOS, content))
    assert (
        published(tmp_path, VIDEOS) == in_published_folder(tmp_path, VIDEOS) == ["new"]
    )


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def can_link(request, monkeypatch):
    """Whether the file system has hard links."""

    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not request.param:
        monkeypatch.setattr(local, "hard_link", refuse)
    return request.param


def test_data_files_that_stay_are_linked_or_copied(tmp_path, can_link):
    with closing(writer_of(tmp_path)) as writer:
        publish(writer, written(writer, USERS, "stays"), written(writer, VIDEOS, "x"))
    [stays] = Prefix(tmp_path).current().files(USERS).files
    path = published_folder(tmp_path, USERS, PARQUET) / stays.path
    inode = path.stat().st_ino
    with closing(writer_of(tmp_path)) as writer:
        change = written(writer, USERS, "new", kept=(stays,))
        notes = writer.tables.commit([change], writer.scratch)
    assert (
        published(tmp_path, USERS)
        == in_published_folder(tmp_path, USERS)
        == ["new", "stays"]
    )
    assert published(tmp_path, VIDEOS) == ["x"]
    is_linked = path.stat().st_ino == inode
    assert is_linked == can_link
    assert notes == (
        []
        if can_link
        else [
            f"The file system of {tmp_path} has no hard links, so files of users were"
            " copied."
        ]
    )


def test_a_second_writer_is_refused_with_the_name_of_the_first(writer, tmp_path):
    holder = f"process {os.getpid()} on .*{writer.run_id}"
    with pytest.raises(PrefixInUseError, match=holder):
        writer_of(tmp_path / "out")
    writer_of(tmp_path / "other").close()


def test_the_lock_of_a_killed_writer_needs_no_cleaning(tmp_path):
    killed = (
        "import os, sys; from pathlib import Path;"
        "from tests.support.prefixes import writer_of;"
        "writer = writer_of(Path(sys.argv[1])); (writer.scratch / 'left').touch();"
        "os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", killed, tmp_path], check=False)
    assert ended.returncode == -9
    with closing(writer_of(tmp_path)) as writer:
        assert [*(tmp_path / "_tmp").iterdir()] == [writer.scratch]
    assert [*(tmp_path / "_tmp").iterdir()] == []


def provenance_of(writer):
    return {
        "run_id": writer.run_id,
        "rows": 1,
        "format": FORMAT,
        "delta_version": None,
    }


def test_the_record_has_the_run_that_wrote_each_table(tmp_path):
    runs = []
    for table in (USERS, VIDEOS):
        with closing(writer_of(tmp_path)) as writer:
            publish(writer, written(writer, table, "new"))
            runs.append(provenance_of(writer))
    state = Prefix(tmp_path).current().state
    assert state.provenance() == {"users": runs[0], "videos": runs[1]}
    assert state.run_id == runs[1]["run_id"]


@pytest.fixture
def ends_after(way):
    """Makes publishing fail after a number of steps: renames, exchanges, commits."""
    steps_of_publishing = [(Path, "rename"), (Path, "replace"), *COMMITS]
    if way == "exchange":
        steps_of_publishing.append((local, "exchange"))
    return partial(ending_after, functions=steps_of_publishing)


class DyingRun:
    """A run that has tables and a page to publish, which replace older ones."""

    def __init__(self, prefix, table_format=PARQUET):
        for content in ("old", "new"):
            self.writer = writer_of(prefix, table_format, TABLES)
            self.changes = [written(self.writer, t, content) for t in TABLES]
            page = self.writer.scratch / FILES / PAGE
            page.parent.mkdir(parents=True)
            page.write_text(content)
            if content == "old":
                publish(self.writer, *self.changes)
                self.writer.close()

    def publish(self):
        self.writer.tables.commit(self.changes, self.writer.scratch)

    def unlock(self):
        """Drop the lock, as the kernel does for a process that was killed."""
        self.writer.lock.close()


@pytest.fixture
def died(tmp_path, table_format):
    return DyingRun(tmp_path, table_format)


def assert_finished_by_the_next_run(prefix, run_id):
    with closing(writer_of(prefix, writes=())) as writer:
        snapshot = writer.tables.current()
        assert snapshot.half_done is None
        for table in TABLES:
            assert (
                published(prefix, table)
                == in_published_folder(prefix, table)
                == ["new"]
            )
            assert snapshot.state.record(table).run_id == run_id
        assert (prefix / PAGE).read_text() == "new"
        assert [*(prefix / "_tmp").iterdir()] == [writer.scratch]


@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_a_reader_finds_one_run_and_the_next_run_finishes_the_publication(
    tmp_path, died, ends_after, steps
):
    with ends_after(steps, Killed()), suppress(Killed):
        died.publish()
    died.unlock()
    assert [published(tmp_path, table) for table in TABLES] == [["new"]] * 3
    assert_finished_by_the_next_run(tmp_path, died.writer.run_id)


@pytest.mark.parametrize("way", [DELTA], indirect=True)
def test_an_error_in_the_first_commit_publishes_nothing(tmp_path, died, ends_after):
    with (
        ends_after(0, OSError(errno.ENOSPC, "\x1b[31mNo space\x1b[0m\nleft")),
        pytest.raises(RunError, match=r"nothing is published: .* No space left$"),
    ):
        died.publish()
    died.writer.record_failure(Ledger(died.writer.run_id, {}), "No space left")
    died.writer.close()
    for table in TABLES:
        assert published(tmp_path, table) == in_published_folder(tmp_path, table)
        assert published(tmp_path, table) == ["old"]


@pytest.mark.parametrize("steps", range(STEPS))
def test_after_an_error_the_next_run_finishes_the_publication(
    tmp_path, died, ends_after, way, steps
):
    if way == DELTA:
        steps += 1  # an error in the first commit has a test of its own
    with ends_after(steps, OSError(errno.EIO, "Input/output error")):
        if way != "no exchange" and steps > len(TABLES) + 1:
            died.publish()
        else:
            with pytest.raises(
                RunError, match=r"half done, and the next run finishes it"
            ):
                died.publish()
    died.writer.record_failure(Ledger(died.writer.run_id, {}), "Input/output error")
    died.writer.close()
    assert_finished_by_the_next_run(tmp_path, died.writer.run_id)


def test_a_run_that_cannot_finish_a_publication_leaves_it_to_the_next(
    tmp_path, died, ends_after
):
    with ends_after(1, OSError(errno.EIO, "")), pytest.raises(RunError):
        died.publish()
    died.writer.close()
    for steps in (0, 1):
        with ends_after(steps, OSError(errno.EIO, "")), pytest.raises(RunError):
            writer_of(tmp_path)
    assert_finished_by_the_next_run(tmp_path, died.writer.run_id)


def test_a_change_that_only_removes_files_is_published_after_a_kill(
    tmp_path, ends_after, table_format
):
    with closing(writer_of(tmp_path, table_format)) as writer:
        publish(writer, written(writer, USERS, "stays"))
    [stays] = Prefix(tmp_path).current().files(USERS).files
    with closing(writer_of(tmp_path, table_format)) as writer:
        publish(writer, written(writer, USERS, "goes", kept=(stays,)))
    for steps in range(3):
        died = writer_of(tmp_path, table_format)
        staging_folder(died.scratch, USERS, table_format).mkdir(parents=True)
        with ends_after(steps, Killed()), suppress(Killed):
            died.tables.commit([Change(USERS, (), {}, kept=(stays,))], died.scratch)
        died.lock.close()
        assert published(tmp_path, USERS) == ["stays"]
        writer_of(tmp_path, table_format).close()
        assert (
            published(tmp_path, USERS)
            == in_published_folder(tmp_path, USERS)
            == ["stays"]
        )


def test_a_reader_changes_no_file_of_a_dead_run(tmp_path, died, ends_after):
    with ends_after(1, Killed()), suppress(Killed):
        died.publish()
    died.unlock()
    before = sorted(tmp_path.rglob("*"))
    assert Prefix(tmp_path).current().half_done == died.writer.run_id
    assert published(tmp_path, USERS) == ["new"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_read_is_repeated_if_a_run_publishes_meanwhile(tmp_path):
    reads = []

    def read(tables):
        reads.append(tables.files(USERS))
        if len(reads) == 1:
            with closing(writer_of(tmp_path)) as writer:
                publish(writer, written(writer, USERS, "new"))
            raise FileNotFoundError
        return [*map(content_of, reads[-1].paths)]

    with closing(writer_of(tmp_path)) as writer:
        publish(writer, written(writer, USERS, "old"))
    assert read_snapshot(tmp_path, read) == ["new"]
    assert len(reads) == 2
    with pytest.raises(ZeroDivisionError):
        read_snapshot(tmp_path, lambda _: 1 // 0)


def test_a_read_that_every_time_meets_a_publication_is_an_error(tmp_path):
    def read(_):
        with closing(writer_of(tmp_path)) as writer:
            publish(writer, written(writer, USERS, "new"))

    with pytest.raises(RunError, match="runs publish faster than their tables can be"):
        read_snapshot(tmp_path, read)


DAMAGED = {
    "nothing": "",
    "half": "{",
    "zeros": "\0" * 40,
    "null": "null",
    "no tables": '{"format": 4}',
    "a list of tables": '{"format": 4, "run_id": "r", "tables": []}',
    "a table without files": '{"format": 4, "run_id": "r", "tables": {"users":'
    ' {"run_id": "r", "files": []}}}',
    "a file without a name": '{"format": 4, "run_id": "r", "tables": {"users":'
    ' {"run_id": "r", "files":'
    ' [{"path": null, "rows": 1, "size": 1, "partition": null}]}}}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_named_and_the_advice_in_the_message_works(
    tmp_path, content
):
    with closing(writer_of(tmp_path)) as writer:
        publish(writer, written(writer, USERS, "old"))
    record = tmp_path / "_tables" / "current.json"
    record.write_text(content)
    for open_prefix in (writer_of, lambda prefix: Prefix(prefix).current()):
        with pytest.raises(RunError, match=r"current.json: it is damaged .* remove it"):
            open_prefix(tmp_path)
    record.unlink()
    with closing(writer_of(tmp_path)) as writer:
        assert writer.notes == []
        publish(writer, written(writer, USERS, "new"))
    assert published(tmp_path, USERS) == in_published_folder(tmp_path, USERS) == ["new"]


def test_the_tables_of_a_later_version_are_refused_and_not_touched(tmp_path):
    with closing(writer_of(tmp_path)) as writer:
        publish(writer, written(writer, USERS, "old"))
    record = tmp_path / "_tables" / "current.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"format": 99, "version": "9.0"}))
    (tmp_path / "_tmp" / "its own").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SettingError, match=r"PREFIX=.*format 99, which version 9.0 wr"):
        writer_of(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_data_file_is_named_with_the_job_that_writes_it(tmp_path):
    with closing(writer_of(tmp_path)) as writer:
        publish(writer, written(writer, USERS, "old"))
    [file] = published_folder(tmp_path, USERS, PARQUET).iterdir()
    file.unlink()
    with pytest.raises(InputError, match=rf"{file}: it is gone; run events_split aga"):
        published(tmp_path, USERS)


def test_nothing_is_published_if_the_ledger_cannot_be_written(tmp_path, died):
    shutil.rmtree(tmp_path / "_runs", ignore_errors=True)
    (tmp_path / "_runs").touch()
    with pytest.raises(OSError, match="_runs"):
        died.writer.publish(died.changes, Ledger(died.writer.run_id, {}))
    died.writer.close()
    assert [published(tmp_path, table) for table in TABLES] == [["old"]] * 3


def test_a_later_run_removes_replaced_files_that_cannot_be_removed_now(
    tmp_path, died, monkeypatch
):
    def refuse_open_folder(path, **_):
        raise OSError(errno.EBUSY, "Device or resource busy", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", refuse_open_folder)
        died.publish()
        died.writer.tables.remove_replaced()
        died.writer.close()
        assert [published(tmp_path, table) for table in TABLES] == [["new"]] * 3
        assert died.writer.scratch.exists()
    assert_finished_by_the_next_run(tmp_path, died.writer.run_id)


def test_a_failed_run_keeps_its_rejected_lines_until_others_are_published(tmp_path):
    def keep(content):
        with closing(writer_of(tmp_path)) as writer:
            written(writer, REJECTED_EVENTS, content)
            return writer.tables.keep_failed(REJECTED_EVENTS, writer.scratch)

    def publish_rows(table, content):
        with closing(writer_of(tmp_path)) as writer:
            publish(writer, written(writer, table, content))

    publish_rows(REJECTED_EVENTS, "old")
    kept = [keep(content) for content in ("one", "two")]
    for folder, content in zip(kept, ("one", "two"), strict=True):
        assert [*map(content_of, folder.rglob("*.parquet"))] == [content]
    assert published(tmp_path, REJECTED_EVENTS) == ["old"]
    publish_rows(USERS, "new")
    assert kept[0].exists()
    publish_rows(REJECTED_EVENTS, "new")
    assert not (tmp_path / "_failed").exists()


def test_tables_that_a_dead_run_did_not_begin_to_publish_are_removed(tmp_path):
    died = writer_of(tmp_path)
    written(died, USERS, "unchecked")
    died.lock.close()
    with closing(writer_of(tmp_path)) as writer:
        assert writer.tables.current().state.tables == {}
        assert [*(tmp_path / "_tmp").iterdir()] == [writer.scratch]


def test_a_prefix_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"OUTPUT_DATA_PATH_PREFIX=.*file/out cannot"):
        writer_of(tmp_path / "file" / "out")


def test_a_ledger_is_written_under_the_run_and_read_again(writer):
    ledger = Ledger(writer.run_id, {"name": "ü"})
    writer.publish([written(writer, USERS, "new")], ledger)
    path = writer.tables.path / "_runs" / f"{writer.run_id}.json"
    assert Ledger.read(path) == ledger
    assert (ledger.status, ledger.error) == ("done", None)
    assert ledger.tables == {"users": provenance_of(writer)}
    assert [*path.parent.iterdir()] == [path]


def test_the_ledger_of_a_run_that_publishes_nothing_names_its_error(writer):
    ledger = Ledger(writer.run_id, {})
    writer.record_failure(ledger, "too many rejected")
    assert Ledger.read(writer.ledger) == ledger
    assert (ledger.status, ledger.error) == ("failed", "too many rejected")


@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_a_run_that_dies_while_it_publishes_keeps_its_ledger(
    tmp_path, died, ends_after, steps
):
    with ends_after(steps, Killed()), suppress(Killed):
        died.writer.publish(died.changes, Ledger(died.writer.run_id, {"a": "b"}))
    died.unlock()
    writer_of(tmp_path, writes=()).close()
    ledger = Ledger.read(died.writer.ledger)
    assert ledger is not None
    assert (ledger.status, ledger.settings) == ("done", {"a": "b"})


def test_a_path_that_is_no_text_stops_no_ledger(writer):
    ledger = Ledger(writer.run_id, {"path": os.fsdecode(b"/\xff")})
    writer.record_failure(ledger, "")
    document = json.loads(writer.ledger.read_text())
    assert document["settings"] == {"path": os.fsdecode(b"/\xff")}


@pytest.mark.parametrize("content", ["", "{", "\0" * 40, "null", '["run_id"]', "{}"])
def test_a_ledger_that_was_cut_off_counts_as_lost(tmp_path, content):
    (tmp_path / "ledger.json").write_text(content)
    assert Ledger.read(tmp_path / "ledger.json") is None
    assert Ledger.read(tmp_path / "nowhere.json") is None


def test_a_ledger_that_was_written_in_part_is_removed(tmp_path):
    (tmp_path / "_runs").mkdir()
    for name in ("r1.json.part", "r2.unfinished"):
        (tmp_path / "_runs" / name).touch()
    writer_of(tmp_path).close()
    assert [*(tmp_path / "_runs").iterdir()] == []


@pytest.mark.parametrize("moved", range(len(TABLES) + 1))
def test_a_reader_sees_one_run_while_a_publication_moves_its_tables(
    tmp_path, died, ends_after, moved
):
    with ends_after(0, Killed()), suppress(Killed):
        died.publish()
    calls: list[list[list[Path]]] = []

    def read(tables):
        files = [tables.files(table).paths for table in TABLES]
        if not calls:
            with ends_after(moved, Killed()), suppress(Killed):
                Prefix(tmp_path).recover()
        calls.append(files)
        texts = [[*map(content_of, paths)] for paths in files]
        assert len(calls) == 1 or texts == [["new"]] * 3
        return texts

    assert read_snapshot(tmp_path, read) == [["new"]] * 3
    died.unlock()


def test_a_folder_on_another_disk_is_named_before_anything_is_published(tmp_path):
    died = DyingRun(tmp_path)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as disk:
        users = tmp_path / "users"
        shutil.copytree(users, disk, dirs_exist_ok=True)
        shutil.rmtree(users)
        users.symlink_to(disk)
        with pytest.raises(OSError, match=rf"cross-device link: '{users}'"):
            died.publish()
        died.writer.close()
        assert [published(tmp_path, table) for table in TABLES] == [["old"]] * 3
        with closing(writer_of(tmp_path)) as writer:
            assert writer.notes == []


def of_version_1(prefix, run_id, content, table, folder=None):
    """A table as version 0.1 wrote it."""
    folder = folder or published_folder(prefix, table, PARQUET)
    folder.mkdir(parents=True)
    (folder / "part-0.parquet").write_bytes(data_file(content))
    (folder / "_run.json").write_text(json.dumps({"run_id": run_id, "rows": 1}))


def test_tables_of_version_1_are_named_and_replaced(tmp_path):
    for table in TABLES:
        of_version_1(tmp_path, "r1", "old", table)
    with pytest.raises(
        InputError, match=r"users was written by version 0\.1: run event"
    ):
        Prefix(tmp_path).current().files(USERS)
    with closing(writer_of(tmp_path)) as writer:
        assert writer.notes == [
            "Version 0.1 wrote app_loaded, users, videos: run the whole pipeline to"
            " make them anew."
        ]
        publish(writer, written(writer, USERS, "new"))
    assert in_published_folder(tmp_path, USERS) == ["new"]
    with closing(writer_of(tmp_path)) as writer:
        assert "app_loaded, videos:" in writer.notes[0]
        publish(writer, *(written(writer, table, "new") for table in TABLES))
        of_version_1(tmp_path / "of users", "r1", "old", USERS)
    with closing(writer_of(tmp_path / "of users")) as writer:
        assert writer.notes == ["Version 0.1 wrote users: this run makes them anew."]


@pytest.mark.parametrize("moved", range(len(TABLES) + 1))
@pytest.mark.parametrize("record", ["whole", "lost"])
def test_a_publication_that_version_1_left_half_done_is_finished(
    tmp_path, can_exchange, moved, record
):
    died = tmp_path / "_tmp" / "r2"
    for number, table in enumerate(TABLES):
        new, old = published_folder(tmp_path, table, PARQUET), died / table.name
        if number >= moved:
            new, old = old, new
        of_version_1(tmp_path, "r1", "old", table, folder=old)
        of_version_1(tmp_path, "r2", "new", table, folder=new)
        if record == "lost":
            (died / table.name / "_run.json").write_text("")
    (died / "files" / "report").mkdir(parents=True)
    (died / "files" / PAGE).write_text("new")
    (tmp_path / "report").mkdir()
    (died / "publishing").touch()
    with closing(writer_of(tmp_path)) as writer:
        assert writer.notes[0] == (
            "The publication of run r2 was half done: it is done now."
        )
    for table in TABLES:
        content = published_folder(tmp_path, table, PARQUET) / "part-0.parquet"
        assert content_of(content) == "new"
    assert (tmp_path / PAGE).read_text() == "new"
    assert [*(tmp_path / "_tmp").iterdir()] == []
