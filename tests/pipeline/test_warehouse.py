"""The published tables in SQL, by the warehouse and by jobs.sql."""

import csv
import io
import json
import shutil
import subprocess
import sys
from contextlib import closing

import duckdb
import pytest

from jobs.engine import open_engine
from jobs.ledger import Ledger
from jobs.pipeline import JOBS
from jobs.publishing.prefix import Prefix
from jobs.publishing.run import Run, Writer
from jobs.sql import MOST_ROWS, answer
from jobs.sql import main as run_query
from jobs.tables import FACT_USER_SESSION, TABLES, USERS
from jobs.warehouse import NAME, stage_warehouse
from tests.support import published
from tests.support.engine import run_settings
from tests.support.processes import ROOT
from tests.support.runs import run_jobs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A prefix with the tables of the sample, in a folder that looks like a pattern."""
    prefix = tmp_path_factory.mktemp("lake") / "o=u [t] {a,b} 'x"
    sample = ROOT / "data-input"
    ended = run_jobs(prefix, input_data_path=sample, output_data_path_prefix=prefix)
    assert ended.code == 0, ended.error
    return prefix


@pytest.fixture
def sql(lake, monkeypatch, capsys):
    """Runs a query as a user does; gives the exit code, stdout and stderr."""

    def run(*arguments, prefix=lake):
        monkeypatch.setenv("OUTPUT_DATA_PATH_PREFIX", str(prefix))
        code = run_query(arguments)
        printed = capsys.readouterr()
        assert len(printed.err.splitlines()) == (code != 0)
        return code, printed.out, printed.err

    return run


def publish_warehouse(prefix):
    settings = run_settings(prefix, **{"output-data-path-prefix": str(prefix)})
    with (
        closing(Writer(settings, writes=())) as writer,
        closing(open_engine(settings, writer.scratch)) as engine,
    ):
        ledger, tables = Ledger(writer.run_id, {}), writer.tables.current()
        stage_warehouse(Run(settings, engine, tables, writer.scratch, ledger))
        writer.publish([], ledger)


def rows_and_types(connection, table, catalogue=""):
    name = f"{catalogue}{table.layer}.{table.name}"
    columns = ", ".join(
        f'epoch_us("{c.name}")' if c.type == "TIMESTAMP" else f'"{c.name}"'
        for c in table.schema
    )
    rows = connection.execute(f"SELECT {columns} FROM {name}").fetchall()
    types = connection.execute(f"DESCRIBE {name}").fetchall()
    return sorted(rows, key=repr), {row[0]: row[1] for row in types}


def test_the_warehouse_has_every_table_with_its_rows_and_types(lake):
    with duckdb.connect(lake / NAME, read_only=True) as connection:
        for table in TABLES:
            rows, types = rows_and_types(connection, table)
            partition = types.pop(table.partition.name) if table.partition else None
            assert types == published.declared_types(table)
            assert partition in (None, "DATE", "VARCHAR")
            as_texts = [tuple(map(str, row)) for row in rows]
            assert as_texts == [tuple(map(str, r)) for r in published.rows(lake, table)]
            assert len(rows) > 0


def test_the_folder_can_be_moved(lake, tmp_path, monkeypatch):
    moved = tmp_path / "elsewhere"
    shutil.copytree(lake, moved)
    (moved / "users").rename(moved / "hidden")
    query = "SELECT count(*) FROM mart.fact_user_session"
    monkeypatch.chdir("/")
    with duckdb.connect(moved / NAME, read_only=True) as connection:
        [(there,)] = connection.execute(query).fetchall()
        # The views read the files beside the warehouse, not those it was made from.
        with pytest.raises(duckdb.IOException, match="elsewhere/users"):
            connection.execute("SELECT * FROM staging.users")
    assert there == len(published.rows(lake, FACT_USER_SESSION))
    monkeypatch.chdir(moved)
    with duckdb.connect(NAME, read_only=True) as connection:
        assert connection.execute(query).fetchall() == [(there,)]


def test_an_attached_warehouse_needs_a_variable_with_its_folder(lake):
    with duckdb.connect() as connection:
        attached = str(lake / NAME).replace("'", "''")
        connection.execute(f"ATTACH '{attached}' AS lake (READ_ONLY)")
        connection.execute("SET VARIABLE warehouse = ?", [str(lake)])
        rows, _ = rows_and_types(connection, USERS, "lake.")
    assert rows == published.rows(lake, USERS)


def test_a_table_that_does_not_exist_has_no_view(tmp_path):
    publish_warehouse(tmp_path)
    assert [path.name for path in tmp_path.glob("warehouse*")] == [NAME]
    with duckdb.connect(tmp_path / NAME, read_only=True) as connection:
        assert connection.execute("SHOW ALL TABLES").fetchall() == []


def test_a_table_that_was_empty_shows_its_rows_when_it_has_some(run, tmp_path):
    event = {"event_name": "like", "timestamp": "2021-01-01T00:00:00", "user_id": "u"}
    registered = {
        "event": "registered",
        "timestamp": "2021-01-01T00:00",
        "initiator_id": 1,
    }
    for name, line in (("none", registered), ("kept", event)):
        (tmp_path / "in" / "e.jsonl").write_text(json.dumps(line))
        # Only the first run writes the warehouse.
        jobs = JOBS[:2] if name == "kept" else JOBS
        assert run(*jobs, output_data_path_prefix=tmp_path).code == 0
        with duckdb.connect(tmp_path / NAME, read_only=True) as connection:
            days = "SELECT session_start_day::VARCHAR FROM mart.fact_user_session"
            found = connection.execute(days).fetchall()
        assert found == ([("2021-01-01",)] if name == "kept" else [])


def test_an_answer_is_a_table(sql):
    code, answer, _ = sql("SELECT 1 AS one, '[bold]\x1b[31m' AS two, NULL AS three")
    assert code == 0
    assert "one" in answer
    assert "│ 1 " in answer
    assert "[bold]\\x1b[31m" in answer
    assert "–" in answer


def test_a_long_answer_is_cut_off_with_a_note(sql):
    code, answer, _ = sql("SELECT * FROM range(2000)")
    assert code == 0
    assert f"these are {MOST_ROWS:,} rows" in answer
    assert len(answer.splitlines()) < MOST_ROWS + 10


def test_an_answer_as_csv_has_every_row(sql):
    code, answer, _ = sql("SELECT range AS n, 'a,\"b' AS t FROM range(20001)", "--csv")
    assert code == 0
    rows = list(csv.reader(io.StringIO(answer)))
    assert rows[0] == ["n", "t"]
    assert rows[-1] == ["20000", 'a,"b']
    assert len(rows) == 20002


def test_an_answer_as_json_keeps_numbers_and_nulls(sql):
    query = "SELECT 9007199254741061 AS id, NULL AS nothing, DATE '2021-01-01' AS day"
    assert json.loads(sql("--json", query)[1]) == [
        {"id": 9007199254741061, "nothing": None, "day": "2021-01-01"}
    ]
    assert json.loads(sql("--json", f"{query} WHERE false")[1]) == []


def test_instants_are_shown_in_the_reporting_time_zone(sql, monkeypatch):
    monkeypatch.setenv("REPORTING_TIMEZONE", "Asia/Tokyo")
    _, answer, _ = sql("SELECT TIMESTAMPTZ '2021-01-01 00:00:00Z' AS at", "--csv")
    assert "2021-01-01 09:00:00+09" in answer


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT x FROM mart.weekly_summary", 'Referenced column "x" not found'),
        ("SELECT 'a'::INT", "Could not convert string 'a' to INT32"),
        ("DROP VIEW mart.weekly_summary", "it takes a SELECT"),
        ("", "it takes a SELECT"),
    ],
)
def test_a_query_that_is_wrong_is_one_clear_error(sql, query, message):
    code, _, error = sql(query)
    assert code == 1
    assert message in error


def test_a_wrong_flag_exits_2(sql):
    assert sql("SELECT 1", "--xml")[0] == 2
    assert sql("SELECT 1", "--csv", "--json")[0] == 2


def test_without_tables_or_their_files_the_exit_is_3(sql, lake, tmp_path):
    for name in ("staging.users", "users", "mart.fact_user_session"):
        code, _, error = sql(f"SELECT * FROM {name}", prefix=tmp_path)
        assert code == 3
        assert error == f"error: {tmp_path}: there are no tables yet\n"
    shutil.copytree(lake / "_tables", tmp_path / "_tables")
    code, _, error = sql("SELECT * FROM staging.users", prefix=tmp_path)
    assert code == 3
    assert "it is gone; run events_split again" in error


def test_a_query_that_names_no_table_needs_none_and_makes_nothing(sql, tmp_path):
    prefix = tmp_path / "no" / "folder"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 7 AS n) TO '{tmp_path}/a.parquet'")
    query = f"SELECT n FROM read_parquet('{tmp_path}/*.parquet')"
    assert sql(query, "--csv", prefix=prefix)[:2] == (0, "n\n7\n")
    assert sql("FROM staging.users", prefix=prefix)[0] == 3
    assert not (tmp_path / "no").exists()


def test_a_query_needs_no_warehouse_and_no_report(sql, lake, tmp_path):
    shutil.copytree(lake, tmp_path / "lake")
    (tmp_path / "lake" / NAME).unlink()
    code, answer, _ = sql(
        "SELECT count(*) AS n FROM staging.users", "--csv", prefix=tmp_path / "lake"
    )
    assert (code, answer) == (0, f"n\n{len(published.rows(lake, USERS))}\n")


def test_a_reader_and_a_writer_do_not_wait_for_each_other(lake, sql):
    with duckdb.connect(lake / NAME, read_only=True) as reader:
        assert sql("SELECT count(*) FROM staging.users")[0] == 0
        publish_warehouse(lake)
        assert reader.execute("SELECT count(*) FROM staging.users").fetchall()


def test_a_reader_that_ends_early_is_no_error(lake):
    ended = subprocess.run(
        f"{sys.executable} -m jobs.sql 'SELECT * FROM range(999999)' --csv | head -1",
        cwd=ROOT,
        env={"OUTPUT_DATA_PATH_PREFIX": str(lake)},
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("range\n", "")


def test_one_table_that_cannot_be_read_leaves_the_others_to_queries(
    sql, lake, tmp_path
):
    prefix = shutil.copytree(lake, tmp_path / "lake")
    shutil.rmtree(prefix / "videos")
    assert sql("SELECT count(*) FROM staging.users", prefix=prefix)[0] == 0
    code, _, error = sql("SELECT count(*) FROM staging.videos", prefix=prefix)
    assert code == 3
    assert "it is gone; run events_split again" in error
    [file] = published.files(prefix, USERS)
    file.write_bytes(b"")
    code, _, error = sql("SELECT count(*) FROM staging.users", prefix=prefix)
    assert code == 3
    assert str(file) in error


def test_rows_are_all_there_if_a_run_publishes_while_they_are_printed(lake, tmp_path):
    prefix = shutil.copytree(lake, tmp_path / "lake")
    tables = Prefix(prefix).current()
    query = (
        "SELECT a.* FROM mart.fact_user_session AS a, range(30)"
        " UNION ALL SELECT a.* FROM mart.fact_user_session AS a, range(30)"
    )
    _, rows = answer(tables, query, "UTC", as_json=True)
    first = next(rows)
    shutil.rmtree(prefix / "fact_user_session")
    assert first
    expected = 60 * len(published.rows(lake, FACT_USER_SESSION))
    assert sum(1 for _ in rows) + 1 == expected > 20_000
