"""Publishing: a table is the old one or the new one, and there is one writer."""

import contextlib
import errno
import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from jobs.engine import Store
from jobs.engine import store as store_module
from jobs.errors import PrefixInUseError, RunError
from jobs.tables import APP_LOADED, USERS, VIDEOS


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
    assert not store.aside(USERS).exists()


def test_a_file_system_that_cannot_exchange_folders_still_publishes(store, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr(store_module, "_exchange", refuse)
    for content in ("old", "new"):
        staged(store, VIDEOS, content)
        store.publish()
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


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_publishing_that_was_begun_is_ended_by_the_next_run(
    tmp_path, monkeypatch, moved, can_exchange
):
    class Killed(BaseException):
        pass

    def refuse(*_):
        raise OSError(errno.EINVAL, "not here")

    if not can_exchange:
        monkeypatch.setattr(store_module, "_exchange", refuse)
    tables = (USERS, VIDEOS, APP_LOADED)
    page = tmp_path / "out" / "report" / "index.html"
    first = Store(str(tmp_path / "out"))
    for table in tables:
        staged(first, table, "old")
    first.file_aside("report/index.html").write_text("old")
    first.publish()
    first.close()
    died = Store(str(tmp_path / "out"))
    for table in tables:
        staged(died, table, "new")
    died.file_aside("report/index.html").write_text("new")
    assert page.read_text() == "old"
    move = store_module._move_into_place
    calls: list[object] = []

    def move_some(*folders):
        if len(calls) == moved:
            raise Killed
        calls.append(folders)
        move(*folders)

    monkeypatch.setattr(store_module, "_move_into_place", move_some)
    with contextlib.suppress(Killed):
        died.publish()
    monkeypatch.setattr(store_module, "_move_into_place", move)
    died._lock.close()  # as the kernel does for a process that was killed
    with closing(Store(str(tmp_path / "out"))) as store:
        for table in tables:
            assert published(store, table) == {"part.parquet": "new"}
            assert store.origins()[table.name]["run_id"] == died.run_id
        assert page.read_text() == "new"
        assert list((tmp_path / "out" / "_tmp").iterdir()) == [store.scratch]


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
    store.ledger |= {"status": "done", "name": "ü"}
    path = store.record()
    assert path == store.prefix / "_runs" / f"{store.run_id}.json"
    assert json.loads(path.read_text()) == {"status": "done", "name": "ü"}
