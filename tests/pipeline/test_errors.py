"""The end of a failed run: its exit code, its one line, and the files it leaves."""

import gzip
import json
import os
import subprocess

import pytest

from jobs.tables import TABLES
from jobs.verify.job import JOB as VERIFY
from tests.support import published
from tests.support.processes import ROOT
from tests.support.runs import PIPELINE

pytestmark = pytest.mark.slow

LINE = {"event": "registered", "timestamp": "2021-01-01 00:00:00", "initiator_id": 1}
GOOD = json.dumps(LINE).encode()
OTHER = json.dumps(LINE | {"initiator_id": 2}).encode()


PACKED = gzip.compress(OTHER * 1000, mtime=0)
UNREADABLE = {
    "a corrupt gzip file": ("b.json.gz", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:]),
    "a gzip file that is cut off": ("b.json.gz", PACKED[: len(PACKED) // 2]),
    "users.csv in another encoding": ("users.csv", b"user_id\n\xff\n"),
    "users.csv without its key": ("users.csv", b"id\n1\n"),
    "videos.csv that ends in a field": ("videos.csv", b'video_id\n"v1'),
}


@pytest.mark.long_on_spark
def test_a_broken_link_users_csv_is_an_error(run, tmp_path):
    (tmp_path / "in" / "a.json").write_bytes(GOOD)
    (tmp_path / "in" / "users.csv").symlink_to("nowhere")
    ended = run()
    assert ended.code == 3
    assert ended.error == f"error: {tmp_path}/in/users.csv: No such file or directory"


@pytest.mark.parametrize(
    "what",
    [
        "a corrupt gzip file",
        *(
            pytest.param(what, marks=pytest.mark.long_on_spark)
            for what in UNREADABLE
            if what != "a corrupt gzip file"
        ),
    ],
)
def test_an_input_that_cannot_be_read_is_named_and_the_tables_stay(run, tmp_path, what):
    (tmp_path / "in" / "a.json").write_bytes(GOOD)
    if what == "a corrupt gzip file":
        assert run().code == 0
    before = {table: published.files(tmp_path / "out", table) for table in TABLES}
    name, content = UNREADABLE[what]
    (tmp_path / "in" / name).write_bytes(content)
    ended = run()
    assert ended.code == 3
    assert ended.error.startswith(f"error: {tmp_path}/in/{name}: ")
    after = {table: published.files(tmp_path / "out", table) for table in TABLES}
    assert after == before
    assert not any((tmp_path / "out" / "_tmp").iterdir())


@pytest.mark.long_on_spark
def test_the_jobs_run_one_by_one_give_the_tables_of_the_pipeline(run, tmp_path):
    (tmp_path / "in" / "a.json").write_bytes(GOOD + b"\n" + OTHER)
    assert run().code == 0
    for job in PIPELINE:
        assert run(job, output_data_path_prefix=tmp_path / "apart").code == 0
    together, apart = (published.everything(tmp_path / p) for p in ("out", "apart"))
    assert apart == together
    assert len(together["weekly_summary"]) == 1


def test_too_many_rejects_exit_4_and_leave_the_tables_but_keep_the_lines(run, tmp_path):
    import duckdb

    prefix = tmp_path / "out"
    (tmp_path / "in" / "a.json").write_bytes(GOOD)
    assert run().code == 0
    before = published.everything(prefix)
    assert before["rejected_events"] == []
    content = b'{"ip": "192.0.2.77"\n' * 51 + (OTHER + b"\n") * 50
    (tmp_path / "in" / "a.json").write_bytes(content)
    ended = run(max_rejected_ratio=0.49)
    ledger = published.ledger(prefix)
    kept = f"{prefix}/_failed/{ledger['run_id']}/rejected_events"
    query = (
        f"SELECT reason, source_file, raw FROM read_parquet('{kept}/**/*.parquet',"
        " hive_partitioning = true)"
    )
    assert ended.code == 4
    assert ended.error == (
        "error: 51 of 101 lines rejected (50.50%), more than MAX_REJECTED_RATIO=0.49:"
        " malformed_json 51; each line has to be a JSON object; the rejected lines are"
        f" in {kept}, and this command shows"
        f' them: scripts/task sql -- "{query}"'
    )
    assert ledger["status"] == "failed"
    assert f"error: {ledger['error']}" == ended.error
    assert {table["run_id"] for table in ledger["tables"].values()} != {
        ledger["run_id"]
    }
    assert published.everything(prefix) == before
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [
            ("malformed_json", "in/a.json", '{"ip": "***"')
        ]
    assert run(VERIFY).code == 0
    assert run(max_rejected_ratio=0.51).code == 0
    assert published.everything(prefix)["user_registration"] != (
        before["user_registration"]
    )
    assert not (prefix / "_failed").exists()


@pytest.mark.parametrize(
    "folder",
    [
        "it's [a] country=DE",
        pytest.param('$HOME `id` "it\'s" !! %s', marks=pytest.mark.long_on_spark),
    ],
)
def test_the_command_for_rejected_lines_works_after_a_first_run(run, tmp_path, folder):
    (tmp_path / "in" / "a.json").write_bytes(b"no JSON")
    prefix = tmp_path / folder
    ended = run(output_data_path_prefix=prefix)
    assert ended.code == 4
    before = sorted(prefix.rglob("*"))
    _, command = ended.error.split(" shows them: ")
    shown = subprocess.run(
        f"{command} --csv",
        shell=True,
        cwd=ROOT,
        env=dict(os.environ) | {"OUTPUT_DATA_PATH_PREFIX": str(prefix)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stdout == (
        "reason,source_file,raw\nmalformed_json,in/a.json,no JSON\n"
    ), shown.stderr
    assert sorted(prefix.rglob("*")) == before


@pytest.mark.long_on_spark
def test_a_line_of_64_megabytes_is_an_event_and_one_beyond_the_limit_an_error(
    run, tmp_path
):
    (tmp_path / "in" / "b.json").write_bytes(OTHER)
    with (tmp_path / "in" / "a.json").open("wb") as file:
        file.write(GOOD[:-1] + b', "campaign": "' + b"x" * 2**26 + b'"}\n' + OTHER)
    assert run().code == 0
    assert published.ledger(tmp_path / "out")["jobs"][0]["lines"]["stored"] == {
        "app_loaded": 0,
        "playback_events": 0,
        "user_registration": 2,
    }
    with (tmp_path / "in" / "a.json").open("ab") as file:
        file.write(b"\n" + b"x" * (2**27 + 1) + b"\n")
    ended = run()
    assert ended.code == 3
    assert "a line is longer than 134,217,728 bytes" in ended.error


def test_hostile_names_do_no_harm(run, tmp_path):
    names = [
        "'; DROP TABLE rows_1; --",
        "../../x",
        "__HIVE_DEFAULT_PARTITION__",
        "a=b/c=d",
        "[bold]x[/] :smile: [/nothing]",
        "\x1b[31mred\x07\r\n",
        "$(touch /tmp/x) `id` ${HOME} %s {0}",
        "\u202etxt.exe",
    ]
    event = {"event_name": "like", "timestamp": "2021-01-01 00:00:00"}
    lines = [json.dumps(LINE | {"event": name}) for name in names]
    lines += [
        json.dumps(event | dict.fromkeys(("user_id", "session_id", "video_id"), name))
        for name in names
    ]
    (tmp_path / "in" / "a.json").write_text("\n".join(lines))
    prefix = tmp_path / "o=u [t] {1}"
    ended = run(output_data_path_prefix=prefix)
    assert ended.code == 0
    assert "[bold]x[/] :smile: [/nothing]" in ended.out
    assert "\\x1b[31mred\\x07\\r\\n" in ended.out
    assert "\x1b[31m" not in ended.out
    assert published.ledger(prefix)["jobs"][0]["lines"]["ignored"] == dict.fromkeys(
        names, 1
    )
    sessions = published.everything(prefix)["fact_user_session"]
    assert sorted(row[0] for row in sessions) == sorted(names)
    assert sorted(row[1] for row in sessions) == sorted(names)


@pytest.mark.long_on_spark
def test_many_different_event_names_do_not_fill_the_screen(run, tmp_path):
    lines = [json.dumps(LINE | {"event": f"page {n}"}) for n in range(500)]
    lines.append(json.dumps(LINE))
    (tmp_path / "in" / "a.json").write_text("\n".join(lines))
    ended = run(PIPELINE[0])
    assert "other names" in ended.out
    assert len(ended.out.splitlines()) < 50
    ignored = published.ledger(tmp_path / "out")["jobs"][0]["lines"]["ignored"]
    assert (len(ignored), ignored["(400 other names)"]) == (101, 400)


def test_a_folder_above_the_tables_is_not_read_as_a_partition(run, tmp_path):
    event = {
        "event_name": "like",
        "timestamp": "2021-01-01 00:00:00",
        "user_id": "u",
        "country": "NZ",
    }
    (tmp_path / "in" / "a.json").write_text(json.dumps(event))
    prefix = tmp_path / "country=DE" / "derived_tstamp_day=1999-01-01" / "user_id=x"
    assert run(output_data_path_prefix=prefix).code == 0
    [fact] = published.files(prefix, TABLES[7])
    assert "session_start_day=2021-01-01" in str(fact)
    ledger = published.ledger(prefix)
    assert ledger["tables"]["fact_user_session"]["rows"] == 1
    import duckdb

    with duckdb.connect() as connection:
        assert connection.execute(
            "SELECT user_id, country FROM read_parquet($1, hive_partitioning = false)",
            [str(fact)],
        ).fetchall() == [("u", "NZ")]


def test_a_prefix_may_be_relative_and_lead_upwards(run, tmp_path, monkeypatch):
    (tmp_path / "in" / "a.json").write_bytes(GOOD)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert run(output_data_path_prefix="../../lake").code == 0
    assert run(VERIFY, output_data_path_prefix="../../lake").code == 0
    assert published.everything(tmp_path / "lake")["user_registration"] != []
