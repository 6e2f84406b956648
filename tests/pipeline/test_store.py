"""Publishing: a table is the old one or the new one, and there is one writer."""

import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from jobs.engine import Store
from jobs.engine import store as store_module
from jobs.errors import InputError, PrefixInUseError, RunError
from jobs.tables import APP_LOADED, REJECTED_EVENTS, USERS, VIDEOS


@pytest.fixture
def store(tmp_path):
    opened = Store(str(tmp_path / "out"))
    yield opened
    opened.close()


def staged(store, table, content):
    store.aside(table).mkdir(parents=True)
    (store.aside(table) / "part.parquet").write_text(content)
    store.staged[table] = 1


def published(store, table):
    return {path.name: path.read_text() for path in store.live(table).glob("*.parquet")}


def test_a_staged_table_is_invisible_until_it_is_published(store):
    staged(store, USERS, "new")
    assert not store.live(USERS).exists()
    assert store.publish() == {"users": 1}
    assert published(store, USERS) == {"part.parquet": "new"}
    assert store.staged == {}


def test_the_new_table_takes_the_place_of_the_whole_old_one(store):
    staged(store, USERS, "old")
    (store.aside(USERS) / "other.parquet").write_text("old")
    store.publish()
    staged(store, USERS, "new")
    assert published(store, USERS)["part.parquet"] == "old"
    store.publish()
    assert published(store, USERS) == {"part.parquet": "new"}
    store.remove_replaced()
    assert list(store.scratch.iterdir()) == []


@pytest.fixture(params=[True, False], ids=["exchange", "no exchange"])
def can_exchange(request, monkeypatch):
    """Whether the file system can exchange two folders."""

    def refuse(*_):
        raise OSError(errno.EINVAL, "not here")

    if not request.param:
        monkeypatch.setattr(store_module, "_exchange", refuse)
    return request.param


def test_a_table_is_replaced_whether_or_not_folders_can_be_exchanged(
    store, can_exchange
):
    for content in ("old", "new"):
        staged(store, VIDEOS, content)
        store.publish()
        store.remove_replaced()
    assert published(store, VIDEOS) == {"part.parquet": "new"}
    assert list(store.scratch.iterdir()) == []


def test_a_second_writer_is_refused_and_told_who_writes(store, tmp_path):
    holder = f"process {os.getpid()} on .*{store.run_id}"
    with pytest.raises(PrefixInUseError, match=holder):
        Store(str(tmp_path / "out"))
    Store(str(tmp_path / "other")).close()


def test_the_lock_of_a_killed_writer_needs_no_cleaning(tmp_path):
    prefix = str(tmp_path / "out")
    killed = (
        "import os, sys; from jobs.engine import Store;"
        "s = Store(sys.argv[1]); (s.scratch / 'left').touch(); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", killed, prefix], check=False)
    assert ended.returncode == -9
    store = Store(prefix)
    assert list((tmp_path / "out" / "_tmp").iterdir()) == [store.scratch]
    store.close()
    assert list((tmp_path / "out" / "_tmp").iterdir()) == []


def test_a_table_says_which_run_it_came_from(tmp_path):
    runs = []
    for table in (USERS, VIDEOS):
        store = Store(str(tmp_path / "out"))
        staged(store, table, "new")
        store.publish()
        runs.append({"run_id": store.run_id, "rows": 1})
        store.close()
    store = Store(str(tmp_path / "out"))
    assert store.origins() == {"users": runs[0], "videos": runs[1]}
    store.close()


TABLES = (USERS, VIDEOS, APP_LOADED)
PAGE = "report/index.html"
STEPS = 2 * len(TABLES) + 1  # two renames a table at the most, and one for the page


class Killed(BaseException):
    """As good as kill -9: the store does nothing more."""


@pytest.fixture
def ends_after(monkeypatch, can_exchange):
    """Makes what publishing does to the file system fail after a number of steps."""

    @contextmanager
    def end_after(steps, error):
        def counted(step):
            def take(*arguments):
                nonlocal steps
                if steps == 0:
                    raise error
                steps -= 1
                return step(*arguments)

            return take

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", counted(Path.rename))
            patched.setattr(Path, "replace", counted(Path.replace))
            if can_exchange:
                exchange = counted(store_module._exchange)
                patched.setattr(store_module, "_exchange", exchange)
            yield

    return end_after


def staged_anew(prefix):
    """A run that has yet to publish tables and a page in the place of older ones."""
    for content in ("old", "new"):
        store = Store(str(prefix))
        for table in TABLES:
            staged(store, table, content)
        store.file_aside(PAGE).write_text(content)
        if content == "old":
            store.publish()
            store.close()
    return store


def assert_ended_by_the_next_run(prefix, run_id):
    with closing(Store(str(prefix))) as store:
        for table in TABLES:
            assert published(store, table) == {"part.parquet": "new"}
            assert store.origins()[table.name] == {"run_id": run_id, "rows": 1}
        assert (prefix / PAGE).read_text() == "new"
        assert list((prefix / "_tmp").iterdir()) == [store.scratch]


@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_a_publishing_that_was_begun_is_ended_by_the_next_run(
    tmp_path, ends_after, steps
):
    died = staged_anew(tmp_path)
    with ends_after(steps, Killed()), suppress(Killed):
        died.publish()
    died._lock.close()  # as the kernel does for a process that was killed
    assert_ended_by_the_next_run(tmp_path, died.run_id)


@pytest.mark.parametrize("steps", range(STEPS))
def test_an_error_while_publishing_leaves_the_rest_to_the_next_run(
    tmp_path, ends_after, can_exchange, steps
):
    stopped = staged_anew(tmp_path)
    with ends_after(steps, OSError(errno.EIO, "Input/output error")):
        if can_exchange and steps > len(TABLES):
            stopped.publish()
        else:
            with pytest.raises(RunError, match=r"half done, and the next run ends it"):
                stopped.publish()
    stopped.record()
    stopped.close()
    assert_ended_by_the_next_run(tmp_path, stopped.run_id)


def test_a_run_that_cannot_end_what_another_began_leaves_it_to_the_next(
    tmp_path, ends_after
):
    stopped = staged_anew(tmp_path)
    for steps in (1, 0, 1):
        with (
            ends_after(steps, OSError(errno.EIO, "Input/output error")),
            pytest.raises(RunError),
        ):
            stopped.publish() if stopped.staged else Store(str(tmp_path))
        stopped.close()
        stopped.staged = {}
    assert_ended_by_the_next_run(tmp_path, stopped.run_id)


CUT_SHORT = ["", "{", "\0" * 40, "null", '["run_id"]', "\udcff"]


@pytest.mark.parametrize("content", CUT_SHORT)
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_table_that_says_nothing_of_its_run_is_moved_if_it_is_the_new_one(
    tmp_path, ends_after, content, steps
):
    died = staged_anew(tmp_path)
    with ends_after(steps, Killed()), suppress(Killed):
        died.publish()
    died._lock.close()
    for aside in died.scratch.glob("*/_run.json"):
        aside.write_bytes(content.encode(errors="surrogateescape"))
    assert_whole_tables_of(tmp_path, "new")


@pytest.mark.parametrize("content", CUT_SHORT)
def test_a_record_that_cannot_be_read_counts_as_absent(tmp_path, content):
    with closing(Store(str(tmp_path))) as first:
        staged(first, USERS, "old")
        first.ledger |= {"status": "done"}
        first.publish()
        first.record()
    content = content.encode(errors="surrogateescape")
    [ledger] = (tmp_path / "_runs").iterdir()
    ledger.write_bytes(content)
    with closing(Store(str(tmp_path))) as second:
        assert second.ledger_of(USERS) == {}
        (second.live(USERS) / "_run.json").write_bytes(content)
        assert second.origins() == {}
        assert second.ledger_of(USERS) == {}
        staged(second, USERS, "new")
        second.publish()
        assert second.origins() == {"users": {"run_id": second.run_id, "rows": 1}}


def test_nothing_is_published_if_the_ledger_has_no_place(tmp_path):
    waiting = staged_anew(tmp_path)
    shutil.rmtree(tmp_path / "_runs")
    (tmp_path / "_runs").touch()
    with pytest.raises(OSError, match="_runs"):
        waiting.publish()
    waiting.close()
    (tmp_path / "_runs").unlink()
    assert_whole_tables_of(tmp_path, "old")


def test_what_was_replaced_and_cannot_be_removed_is_left_to_a_later_run(
    tmp_path, monkeypatch, can_exchange
):
    store = staged_anew(tmp_path)

    def is_held_open(path, **_):
        raise OSError(errno.EBUSY, "Device or resource busy", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", is_held_open)
        store.publish()
        store.remove_replaced()
        store.close()
        assert_whole_tables_of(tmp_path, "new")
        assert store.scratch.exists()
    assert_ended_by_the_next_run(tmp_path, store.run_id)


def assert_whole_tables_of(prefix, content):
    with closing(Store(str(prefix))) as store:
        for table in TABLES:
            assert published(store, table) == {"part.parquet": content}


def test_whoever_only_reads_changes_nothing_of_what_a_dead_run_left(
    tmp_path, ends_after
):
    died = staged_anew(tmp_path)
    with ends_after(1, Killed()), suppress(Killed):
        died.publish()
    died._lock.close()
    before = sorted(tmp_path.rglob("*"))
    with closing(Store(str(tmp_path), only_reads=True)) as reader:
        [(run_id, waiting)] = reader.unfinished().items()
        assert run_id == died.run_id
        assert USERS not in waiting or not reader.live(USERS).exists()
        assert {VIDEOS, APP_LOADED} <= {*waiting}
        assert not reader.scratch.is_relative_to(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert not reader.scratch.exists()


def test_whoever_only_reads_makes_no_prefix(tmp_path):
    with pytest.raises(InputError, match="out: there are no tables yet"):
        Store(str(tmp_path / "out"), only_reads=True)
    assert not (tmp_path / "out").exists()


def test_a_failed_run_keeps_its_rejected_lines_until_others_are_published(tmp_path):
    def run(content, is_good):
        with closing(Store(str(tmp_path))) as store:
            staged(store, REJECTED_EVENTS, content)
            if not is_good:
                return store.keep_failed(REJECTED_EVENTS)
            store.publish()
            store.remove_replaced()
            return store.live(REJECTED_EVENTS)

    live = run("old", is_good=True)
    kept = [run(content, is_good=False) for content in ("one", "two")]
    for folder, content in (live, "old"), (kept[0], "one"), (kept[1], "two"):
        assert (folder / "part.parquet").read_text() == content
    with closing(Store(str(tmp_path))) as another_job:
        staged(another_job, USERS, "new")
        another_job.publish()
        another_job.remove_replaced()
    assert kept[0].exists()
    run("new", is_good=True)
    assert not (tmp_path / "_failed").exists()


def test_what_was_staged_but_not_to_be_published_is_swept(tmp_path):
    died = Store(str(tmp_path / "out"))
    staged(died, USERS, "unchecked")
    died.file_aside("warehouse.duckdb").touch()
    died._lock.close()
    with closing(Store(str(tmp_path / "out"))) as store:
        assert store.origins() == {}
        assert not store.live(USERS).exists()
        assert not (store.prefix / "warehouse.duckdb").exists()


def test_a_prefix_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"OUTPUT_DATA_PATH_PREFIX=.*file/out cannot"):
        Store(str(tmp_path / "file" / "out"))


def test_a_ledger_is_written_under_the_run(store):
    told = {"status": "done", "name": "ü", "path": os.fsdecode(b"/\xff")}
    store.ledger |= told
    path = store.record()
    assert path == store.prefix / "_runs" / f"{store.run_id}.json"
    assert json.loads(path.read_text()) == told
    assert list(path.parent.iterdir()) == [path]


def test_a_ledger_that_was_never_ended_is_swept(tmp_path):
    died = staged_anew(tmp_path)
    died.publish()
    died._lock.close()
    assert [path.suffix for path in (tmp_path / "_runs").iterdir()] == [".unfinished"]
    Store(str(tmp_path)).close()
    assert list((tmp_path / "_runs").iterdir()) == []
