"""Delta tables: their logs, conflicts with other programs, and earlier runs."""

import json
import os
import shutil
import threading
import time
from contextlib import closing, suppress
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from deltalake import CommitProperties, DeltaTable, Field, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, create_table_with_add_actions

from jobs import sql, vacuum
from jobs.errors import PrefixInUseError, RunError, SettingError
from jobs.ledger import Ledger
from jobs.publishing.delta import DeltaFormat
from jobs.publishing.formats import ConflictError, published_folder
from jobs.publishing.history import as_of, oldest_run
from jobs.publishing.prefix import Prefix
from jobs.settings import DELTA, PARQUET
from jobs.tables import APP_LOADED, USERS, VIDEOS
from jobs.tables import TABLES as ALL_TABLES
from tests.support import published as published_files
from tests.support.delta import log_of
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
from tests.support.runs import TABLE_JOBS, run_jobs


def delta_writer(prefix):
    return closing(writer_of(prefix, DELTA, TABLES))


def publish_all(prefix, content):
    """Publish all tables with this content; returns the run."""
    with delta_writer(prefix) as writer:
        changes = [written(writer, table, content) for table in TABLES]
        writer.publish(changes, Ledger(writer.run_id, {}))
        return writer.run_id


def change_by_another_program(prefix, table, content):
    """Append a file to a table, as any program may."""
    folder = log_of(prefix, table)
    path = f"by-another-{time.time_ns()}.parquet"
    data = data_file(content)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
    by = {table.partition.name: "2021-01-01"} if table.partition else {}
    added = AddAction(path, len(data), by, 0, True, json.dumps({"numRecords": 1}))
    try:
        opened = DeltaTable(folder)
    except TableNotFoundError:
        schema = Schema([Field(c, PrimitiveType("date")) for c in by or ["other"]])
        create_table_with_add_actions(str(folder), schema, [added], partition_by=[*by])
    else:
        opened.create_write_transaction([added], "append", opened.schema(), [*by])


def actions(prefix, table, version):
    """The actions of a commit, by their kinds."""
    path = log_of(prefix, table) / "_delta_log" / f"{version:020}.json"
    found: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text().splitlines():
        [(kind, action)] = json.loads(line).items()
        found.setdefault(kind, []).append(action)
    return found


def test_each_run_is_one_commit_that_replaces_all_files(tmp_path):
    runs = [publish_all(tmp_path, content) for content in ("old", "new")]
    for table in TABLES:
        first, second = (actions(tmp_path, table, version) for version in (0, 1))
        assert [c["commitInfo"][0]["runId"] for c in (first, second)] == runs
        assert first["protocol"] == [{"minReaderVersion": 1, "minWriterVersion": 2}]
        assert (len(first["add"]), "remove" in first) == (1, False)
        [removed] = second["remove"]
        assert removed["path"] == first["add"][0]["path"]
        assert removed["dataChange"]
        assert (len(second["add"]), "metaData" in second) == (1, False)
        assert in_published_folder(tmp_path, table) == ["new"]


def test_the_log_describes_the_columns_and_the_partition(tmp_path):
    publish_all(tmp_path, "new")
    opened = DeltaTable(log_of(tmp_path, APP_LOADED))
    assert [
        (f.name, str(f.type.type), f.nullable, f.metadata["comment"])
        for f in opened.schema().fields
    ] == [
        ("event", "string", False, "always app_loaded"),
        ("time", "timestamp", False, "when the app was loaded"),
        ("initiator_id", "string", False, "the user"),
        ("event_id", "string", True, "id of the event, unique for the user"),
        ("device_type", "string", True, "kind of device, such as a phone"),
        ("derived_tstamp_day", "date", False, "day of the event"),
    ]
    assert opened.metadata().partition_columns == ["derived_tstamp_day"]
    assert opened.metadata().name == "app_loaded"


def test_a_log_with_other_columns_gets_those_of_the_catalogue(tmp_path):
    change_by_another_program(tmp_path, USERS, "old")
    publish_all(tmp_path, "new")
    fields = DeltaTable(log_of(tmp_path, USERS)).schema().fields
    assert [field.name for field in fields] == USERS.column_names
    assert in_published_folder(tmp_path, USERS) == ["new"]


def test_a_checkpoint_is_written_every_ten_commits(tmp_path):
    for number in range(11):
        publish_all(tmp_path, f"{number}")
    logs = [log_of(tmp_path, table) / "_delta_log" for table in TABLES]
    assert all(any(log.glob("*.checkpoint.parquet")) for log in logs)
    assert all(len([*log.glob("*.json")]) == 11 for log in logs)


@pytest.mark.parametrize("is_new", [False, True], ids=["published before", "new"])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_run_that_another_program_forestalls_publishes_nothing(
    tmp_path, table, is_new
):
    run_id = None if is_new else publish_all(tmp_path, "old")
    old = [] if is_new else ["old"]
    with delta_writer(tmp_path) as writer:
        changes = [written(writer, t, "new") for t in TABLES]
        change_by_another_program(tmp_path, table, "by another")
        with pytest.raises(
            PrefixInUseError,
            match=f"nothing is published: {table.name}: another program has changed it",
        ):
            publish(writer, *changes)
        writer.record_failure(Ledger(writer.run_id, {}), "")
    for each in TABLES:
        others = ["by another"] if each == table else []
        if (log_of(tmp_path, each) / "_delta_log").exists():
            assert in_published_folder(tmp_path, each) == others + old
    state = Prefix(tmp_path).current().state
    assert state.run_id == (run_id or "")
    left = [content_of(path) for path in tmp_path.rglob("*.parquet")]
    assert "new" not in left
    publish_all(tmp_path, "next")
    assert [in_published_folder(tmp_path, each) for each in TABLES] == [["next"]] * 3


def die_while_publishing(prefix, commits):
    """Let a run die after this number of commits; returns the run."""
    died = writer_of(prefix, DELTA, TABLES)
    changes = [written(died, table, "new") for table in TABLES]
    with suppress(Killed), ending_after(commits, Killed(), COMMITS):
        died.tables.commit(changes, died.scratch)
    died.lock.close()
    return died.run_id


@pytest.mark.parametrize("is_new", [False, True], ids=["published before", "new"])
@pytest.mark.parametrize("commits", range(len(TABLES)))
def test_a_publication_that_cannot_be_finished_is_undone(tmp_path, commits, is_new):
    before = "" if is_new else publish_all(tmp_path, "old")
    old = [] if is_new else ["old"]
    run_id = die_while_publishing(tmp_path, commits)
    assert [published(tmp_path, table) for table in TABLES] == [["new"]] * 3
    # A run commits in the order of the catalogue, in which videos is the last.
    change_by_another_program(tmp_path, VIDEOS, "by another")
    with delta_writer(tmp_path) as writer:
        assert writer.notes == [
            f"The publication of run {run_id} was half done, and is undone: videos:"
            " another program has changed it since the run began."
        ]
        assert writer.published.state.run_id == before
    for table in TABLES:
        if (log_of(tmp_path, table) / "_delta_log").exists():
            others = ["by another"] if table == VIDEOS else []
            assert in_published_folder(tmp_path, table) == others + old
    left = [content_of(path) for path in tmp_path.rglob("*.parquet")]
    assert sorted(left) == sorted(["by another", *old * len(TABLES)])


def test_files_of_a_dead_run_that_did_not_publish_are_removed(tmp_path):
    publish_all(tmp_path, "old")
    died = writer_of(tmp_path, DELTA, TABLES)
    changes = [written(died, table, "new") for table in TABLES]
    formats = DeltaFormat(tmp_path)
    formats.prepare(changes, died.scratch)
    died.lock.close()
    assert "new" in [content_of(path) for path in tmp_path.rglob("*.parquet")]
    writer_of(tmp_path, DELTA).close()
    left = [content_of(path) for path in tmp_path.rglob("*.parquet")]
    assert left == ["old"] * len(TABLES)


def test_files_stay_if_a_run_dies_after_it_has_published(tmp_path):
    died = writer_of(tmp_path, DELTA, TABLES)
    died.tables.commit([written(died, t, "new") for t in TABLES], died.scratch)
    died.lock.close()
    writer_of(tmp_path, DELTA).close()
    assert [published(tmp_path, table) for table in TABLES] == [["new"]] * 3
    assert [*(tmp_path / "_tmp").iterdir()] == []


RACES = [20, pytest.param(500, marks=pytest.mark.long)]


@pytest.mark.parametrize("races", RACES)
def test_one_of_two_commits_on_the_same_version_wins(tmp_path, races):
    publish_all(tmp_path, "old")
    with delta_writer(tmp_path) as writer:
        for number in range(races):
            rivals = []
            for name in ("a", "b"):
                tables = DeltaFormat(tmp_path)
                tables.begin([USERS])
                change = written(writer, USERS, name)
                tables.prepare([change], writer.scratch)
                record = tables.record(change, f"{name}{number}")
                rivals.append((tables, {USERS: record}))
            start = threading.Barrier(2)
            lost: list[str] = []

            def race(tables, records, start=start, lost=lost):
                start.wait()
                try:
                    tables.publish(records, writer.scratch)
                except ConflictError:
                    lost.append(records[USERS].files[0].path)

            threads = [threading.Thread(target=race, args=rival) for rival in rivals]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(lost) == 1
            paths = {r[USERS].files[0].path for _, r in rivals}
            in_log = {file.path for file in rivals[0][0].files(USERS)}
            assert in_log == paths - {*lost}


def test_a_query_reads_the_tables_of_an_earlier_run(tmp_path):
    runs = [publish_all(tmp_path, content) for content in ("1", "2", "3")]
    newest = Prefix(tmp_path).current()
    for run_id, content in zip(runs, ("1", "2", "3"), strict=True):
        files = as_of(newest, run_id).files(USERS)
        assert [*map(content_of, files.paths)] == [content]
    assert oldest_run(newest) == runs[0]


def test_a_run_alone_that_wrote_one_table_has_the_others_of_the_run_before(tmp_path):
    publish_all(tmp_path, "1")
    with delta_writer(tmp_path) as writer:
        change = written(writer, VIDEOS, "2")
        writer.publish([change], Ledger(writer.run_id, {}))
    publish_all(tmp_path, "3")
    tables = as_of(Prefix(tmp_path).current(), writer.run_id)
    found = [[*map(content_of, tables.files(t).paths)] for t in TABLES]
    assert found == [["1"], ["2"], ["1"]]


def test_an_earlier_run_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(
        SettingError, match="--as-of=x: there is no such run, or it has"
    ):
        as_of(Prefix(tmp_path).current(), "x")
    first, second = (publish_all(tmp_path, content) for content in ("1", "2"))
    with delta_writer(tmp_path) as writer:
        writer.record_failure(Ledger(writer.run_id, {}), "failed")
    newest = Prefix(tmp_path).current()
    with pytest.raises(SettingError, match=f"; the oldest run .* is {first}"):
        as_of(newest, writer.run_id)
    [path] = as_of(newest, first).files(USERS).paths
    path.unlink()
    with pytest.raises(
        SettingError, match=f"removed by scripts/task vacuum; the oldest .* is {second}"
    ):
        as_of(newest, first)


def test_parquet_tables_have_no_earlier_runs(tmp_path):
    with closing(writer_of(tmp_path)) as writer:
        change = written(writer, USERS, "1")
        writer.publish([change], Ledger(writer.run_id, {}))
    with pytest.raises(
        SettingError, match=r"wrote Parquet tables, .*; without --as-of a query reads"
    ):
        as_of(Prefix(tmp_path).current(), writer.run_id)


def vacuum_in(prefix, days):
    flags = [f"--output-data-path-prefix={prefix}", f"--vacuum-days={days}"]
    return vacuum.main(flags)


def make_older(prefix, days):
    """Let all commits and files so far be older by some days."""
    milliseconds = days * 24 * 3600 * 1000
    for path in prefix.rglob("_delta_log/*.json"):
        text = path.read_text()
        for line in text.splitlines():
            [(kind, action)] = json.loads(line).items()
            if kind == "remove":
                at = action["deletionTimestamp"]
                text = text.replace(str(at), str(at - milliseconds))
        path.write_text(text)
    for path in prefix.glob("_runs/*.json"):
        ledger = json.loads(path.read_text())
        finished = datetime.fromisoformat(ledger["finished"]) - timedelta(days=days)
        path.write_text(json.dumps(ledger | {"finished": finished.isoformat()}))
    for path in prefix.rglob("*.parquet"):
        at = path.stat().st_mtime - milliseconds / 1000
        os.utime(path, (at, at))


def test_vacuum_keeps_the_runs_that_were_the_newest_in_the_last_days(tmp_path, capsys):
    runs = []
    for content in ("1", "2", "3", "4"):
        make_older(tmp_path, days=3)
        runs.append(publish_all(tmp_path, content))
    assert vacuum_in(tmp_path, days=7) == 0
    # The second run took the place of the first 6 days ago.
    assert "users: 0 files of earlier runs removed" in capsys.readouterr().out
    assert vacuum_in(tmp_path, days=5) == 0
    assert capsys.readouterr().out.splitlines() == [
        "app_loaded: 1 file of earlier runs removed",
        "users: 1 file of earlier runs removed",
        "videos: 1 file of earlier runs removed",
        f"The oldest run that can be read is {runs[1]}.",
    ]
    assert vacuum_in(tmp_path, days=0) == 0
    assert "users: 2 files" in capsys.readouterr().out
    assert vacuum_in(tmp_path, days=0) == 0
    assert "users: 0 files" in capsys.readouterr().out
    newest = Prefix(tmp_path).current()
    assert oldest_run(newest) == runs[3]
    assert [published(tmp_path, table) for table in TABLES] == [["4"]] * 3
    assert [in_published_folder(tmp_path, table) for table in TABLES] == [["4"]] * 3
    publish_all(tmp_path, "5")
    assert [in_published_folder(tmp_path, table) for table in TABLES] == [["5"]] * 3


def test_vacuum_finds_nothing_to_remove(tmp_path, capsys):
    assert vacuum_in(tmp_path / "nowhere", days=7) == 3
    assert "nowhere: there are no tables yet" in capsys.readouterr().err
    with closing(writer_of(tmp_path)) as writer:
        publish(writer, written(writer, USERS, "1"))
        assert vacuum_in(tmp_path, days=7) == 5
    capsys.readouterr()
    assert vacuum_in(tmp_path, days=7) == 0
    assert "no Delta tables, so there is nothing to remove" in capsys.readouterr().out


def notes_of_run(prefix, content):
    with delta_writer(prefix) as writer:
        ledger = Ledger(writer.run_id, {})
        writer.publish([written(writer, USERS, content)], ledger)
        return ledger.notes


def test_a_run_says_when_more_than_half_of_the_bytes_are_of_earlier_runs(tmp_path):
    assert notes_of_run(tmp_path, "1") == []
    assert notes_of_run(tmp_path, "2") == []
    [note] = notes_of_run(tmp_path, "3")
    assert note == (
        "0.0 of the 0.0 MB of users are of earlier runs: scripts/task vacuum removes"
        " those that are older than VACUUM_DAYS."
    )


@pytest.mark.parametrize("formats", [(PARQUET, DELTA), (DELTA, PARQUET)])
@pytest.mark.parametrize("is_killed", [False, True], ids=["whole", "killed"])
def test_a_run_of_all_tables_changes_the_format(tmp_path, formats, is_killed):
    old, new = formats
    for table_format in formats:
        writer = writer_of(tmp_path, table_format, TABLES)
        changes = [written(writer, t, table_format) for t in TABLES]
        writer.tables.commit(changes, writer.scratch)
        if table_format == old or not is_killed:
            writer.close()
        else:
            writer.lock.close()
    assert writer.notes == [
        f"The tables had the format {old}: this run makes them anew as {new}, and"
        f" removes their {old} files."
    ]
    writer_of(tmp_path, new, TABLES).close()
    for table in TABLES:
        assert published(tmp_path, table) == [new]
        assert not published_folder(tmp_path, table, old).exists()


def test_a_run_of_some_tables_cannot_change_the_format(tmp_path):
    with closing(writer_of(tmp_path)) as writer:
        publish(writer, *(written(writer, table, "old") for table in TABLES))
    with pytest.raises(
        SettingError,
        match=r"TABLE_FORMAT=delta: users, videos, app_loaded in .* have the format"
        r" parquet; a run of the whole pipeline changes the format",
    ):
        writer_of(tmp_path, DELTA, [USERS])
    # A run that writes no table, such as the report, reads either format.
    writer_of(tmp_path, DELTA, []).close()
    assert published(tmp_path, USERS) == ["old"]


def test_verify_names_a_table_that_another_program_has_changed(tmp_path):
    publish_all(tmp_path, "old")
    tables = Prefix(tmp_path)
    records = tables.current().state.tables
    assert tables.problem(USERS, records["users"]) is None
    change_by_another_program(tmp_path, USERS, "by another")
    problem = tables.problem(USERS, records["users"])
    assert problem is not None
    assert "does not name the files of the record of the run, so another" in problem
    assert problem.endswith("run events_split to make it anew")


def test_a_log_that_cannot_be_read_is_named_with_the_way_out(tmp_path):
    publish_all(tmp_path, "old")
    folder = log_of(tmp_path, USERS)
    (folder / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(
        RunError, match=f"{folder}: its log cannot be read .*remove the"
    ):
        writer_of(tmp_path, DELTA, TABLES)
    shutil.rmtree(folder)
    publish_all(tmp_path, "new")
    assert [in_published_folder(tmp_path, table) for table in TABLES] == [["new"]] * 3


def test_a_commit_that_the_package_refuses_is_undone(tmp_path, monkeypatch):
    publish_all(tmp_path, "old")
    commit = DeltaTable.create_write_transaction

    def refuse(opened, *arguments, **options):
        if "videos" in opened.table_uri:
            raise DeltaError("a feature that is not known")
        commit(opened, *arguments, **options)

    with delta_writer(tmp_path) as writer:
        changes = [written(writer, table, "new") for table in TABLES]
        monkeypatch.setattr(DeltaTable, "create_write_transaction", refuse)
        with pytest.raises(
            RunError, match=r"videos: its log takes no commit \(a feature"
        ):
            publish(writer, *changes)
    monkeypatch.undo()
    for table in TABLES:
        assert published(tmp_path, table) == in_published_folder(tmp_path, table)
        assert published(tmp_path, table) == ["old"]
    publish_all(tmp_path, "next")
    assert [in_published_folder(tmp_path, table) for table in TABLES] == [["next"]] * 3


def test_the_command_sql_reads_an_earlier_run(tmp_path, capsys, monkeypatch):
    (tmp_path / "in").mkdir()
    event = {"event_name": "like", "timestamp": "2021-01-01 00:00:00"}
    runs = []
    for user in ("a", "b"):
        file = tmp_path / "in" / f"{user}.json"
        file.write_text(json.dumps(event | {"user_id": user}))
        assert run_jobs(tmp_path, *TABLE_JOBS, table_format=DELTA).code == 0
        runs.append(published_files.run_id(tmp_path / "out"))
    monkeypatch.setenv("OUTPUT_DATA_PATH_PREFIX", str(tmp_path / "out"))
    query = "SELECT user_id FROM staging.playback_events ORDER BY user_id"
    printed = []
    for as_of_run in ([], ["--as-of", runs[0]], ["--as-of", runs[1]]):
        assert sql.main([*as_of_run, "--csv", query]) == 0
        printed.append(capsys.readouterr().out.splitlines()[1:])
    assert printed == [["a", "b"], ["a"], ["a", "b"]]
    assert sql.main(["--as-of", "x", query]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --as-of=x: there is no such run")
    assert error.endswith(f"the oldest run that can be read is {runs[0]}\n")
    assert vacuum_in(tmp_path / "out", days=0) == 0
    assert sql.main(["--as-of", runs[0], query]) == 2
    assert "were removed by scripts/task vacuum" in capsys.readouterr().err


def test_vacuum_keeps_a_run_whose_commit_is_older_than_a_checkpoint(tmp_path, capsys):
    runs = []
    for number in range(11):
        make_older(tmp_path, days=40 if number == 9 else 1)
        runs.append(publish_all(tmp_path, f"{number}"))
    log = log_of(tmp_path, USERS) / "_delta_log"
    assert any(log.glob("*.checkpoint.parquet"))
    # The run before the last two was the newest until 1 day ago.
    for days, oldest in ((60, runs[0]), (20, runs[8]), (0, runs[10])):
        assert vacuum_in(tmp_path, days) == 0
        newest = Prefix(tmp_path).current()
        assert oldest_run(newest) == oldest
        for number in range(runs.index(oldest), 11):
            paths = as_of(newest, runs[number]).files(USERS).paths
            assert [*map(content_of, paths)] == [f"{number}"]
    assert len([*log.glob("*.json")]) < 11
    publish_all(tmp_path, "next")
    assert in_published_folder(tmp_path, USERS) == ["next"]


def test_a_run_before_the_log_was_made_anew_is_refused(tmp_path):
    first = publish_all(tmp_path, "1")
    for table in TABLES:
        shutil.rmtree(log_of(tmp_path, table))
    second = publish_all(tmp_path, "2")
    newest = Prefix(tmp_path).current()
    with pytest.raises(
        SettingError, match=f"no longer has its commit; the oldest run .* is {second}"
    ):
        as_of(newest, first)


@pytest.mark.parametrize("name", ["", ".", "../_runs/{run}", "*", "{run}.json"])
def test_a_name_that_is_no_run_is_refused(tmp_path, name):
    run_id = publish_all(tmp_path, "1")
    with pytest.raises(SettingError, match="there is no such run"):
        as_of(Prefix(tmp_path).current(), name.format(run=run_id))


def test_a_publication_with_a_damaged_file_is_undone(tmp_path):
    publish_all(tmp_path, "old")
    run_id = die_while_publishing(tmp_path, commits=1)
    [file] = Prefix(tmp_path).current().files(VIDEOS).paths
    data = file.read_bytes()
    file.write_bytes(b"")
    with delta_writer(tmp_path) as writer:
        [note] = writer.notes
    assert note.startswith(
        f"The publication of run {run_id} was half done, and is undo"
    )
    for table in TABLES:
        assert in_published_folder(tmp_path, table) == ["old"]
        assert published(tmp_path, table) == ["old"]
    assert data_file("new") == data


def test_an_undo_that_was_cut_short_is_ended(tmp_path):
    publish_all(tmp_path, "old")
    run_id = die_while_publishing(tmp_path, commits=2)
    folder = log_of(tmp_path, APP_LOADED)
    # The run that undoes the publication dies after its first commit.
    DeltaTable(folder).restore(
        0, commit_properties=CommitProperties({"runId": f"undo of {run_id}"})
    )
    with delta_writer(tmp_path) as writer:
        [note] = writer.notes
    assert "and is undone: app_loaded: its commit was undone" in note
    for table in TABLES:
        assert in_published_folder(tmp_path, table) == ["old"]
        assert published(tmp_path, table) == ["old"]


def test_files_stay_that_a_later_commit_of_another_program_names(tmp_path):
    publish_all(tmp_path, "old")
    die_while_publishing(tmp_path, commits=1)
    change_by_another_program(tmp_path, APP_LOADED, "by another")
    change_by_another_program(tmp_path, VIDEOS, "by another")
    writer_of(tmp_path, DELTA).close()
    assert in_published_folder(tmp_path, APP_LOADED) == ["by another", "new"]
    assert published(tmp_path, APP_LOADED) == ["old"]
    publish_all(tmp_path, "next")
    assert [in_published_folder(tmp_path, table) for table in TABLES] == [["next"]] * 3


def test_a_prefix_that_would_be_decoded_is_refused(tmp_path):
    with pytest.raises(
        SettingError, match=r"PREFIX=.*100%25: for Delta tables it takes"
    ):
        writer_of(tmp_path / "100%25", DELTA, TABLES)
    writer_of(tmp_path / "100%25").close()


@pytest.mark.parametrize("name", ["100%", "ca f\u00e9", "a b'#=;[x]", "%zz"])
def test_a_prefix_may_have_any_name(tmp_path, name):
    prefix = tmp_path / name
    runs = [publish_all(prefix, content) for content in ("1", "2")]
    files = as_of(Prefix(prefix).current(), runs[0]).files(USERS)
    assert [*map(content_of, files.paths)] == ["1"]
    assert published(prefix, USERS) == ["2"]
    assert vacuum_in(prefix, days=0) == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_warehouse_has_a_view_of_a_table_without_rows(tmp_path):
    (tmp_path / "in").mkdir()
    event = {"event": "registered", "timestamp": "2021-01-01T10:00Z", "initiator_id": 1}
    (tmp_path / "in" / "a.json").write_text(json.dumps(event))
    assert run_jobs(tmp_path, table_format=DELTA).code == 0
    with duckdb.connect(tmp_path / "out" / "warehouse.duckdb", read_only=True) as found:
        rows = {t.name: len(found.table(f"{t.layer}.{t.name}")) for t in ALL_TABLES}
    assert {name for name, number in rows.items() if number} == {
        *("user_registration", "weekly_summary", "weekly_retention")
    }
