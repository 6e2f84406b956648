"""How a run ends that cannot go on: its exit code, its one line, and what it leaves."""

import gzip
import json

import pytest

from jobs.runner import main
from jobs.tables import TABLES
from jobs.verify.job import JOB as VERIFY
from tests.support import published
from tests.support.engine import ENGINE, PIPELINE

pytestmark = pytest.mark.slow

LINE = {"event": "registered", "timestamp": "2021-01-01 00:00:00", "initiator_id": 1}
GOOD = json.dumps(LINE).encode()
OTHER = json.dumps(LINE | {"initiator_id": 2}).encode()


@pytest.fixture
def pipeline(tmp_path, capsys):
    """Runs jobs, all unless told, in this process; gives exit code and error."""
    (tmp_path / "in").mkdir()

    def run(*jobs, **settings):
        given = {
            "engine": ENGINE,
            "input-data-path": tmp_path / "in",
            "output-data-path-prefix": tmp_path / "out",
            "log-level": "WARNING",
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
        arguments = [f"--{name}={value}" for name, value in given.items()]
        code = main(*(jobs or PIPELINE), summary="", arguments=arguments)
        lines = [
            line
            for line in capsys.readouterr().err.splitlines()
            if line.startswith("error: ")
        ]
        assert len(lines) == (code != 0)
        return code, "".join(lines)

    return run


PACKED = gzip.compress(OTHER * 1000, mtime=0)
UNREADABLE = {
    "a corrupt gzip file": ("b.json.gz", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:]),
    "a gzip file that is cut off": ("b.json.gz", PACKED[: len(PACKED) // 2]),
    "a gzip file that is none": ("b.json.gz", OTHER),
    "an empty gzip file": ("b.json.gz", b""),
    "users.csv in another encoding": ("users.csv", b"user_id\n\xff\n"),
    "users.csv without its key": ("users.csv", b"id\n1\n"),
    "videos.csv that ends in a field": ("videos.csv", b'video_id\n"v1'),
}


def test_users_csv_that_is_a_link_to_nothing_is_not_taken_for_absent(
    pipeline, tmp_path
):
    (tmp_path / "in" / "a.json").write_bytes(GOOD)
    (tmp_path / "in" / "users.csv").symlink_to("nowhere")
    assert pipeline() == (
        3,
        f"error: {tmp_path}/in/users.csv: No such file or directory",
    )


@pytest.mark.parametrize("what", UNREADABLE)
def test_an_input_that_cannot_be_read_is_named_and_the_tables_stay(
    pipeline, tmp_path, what
):
    (tmp_path / "in" / "a.json").write_bytes(GOOD)
    if what == "a corrupt gzip file":
        assert pipeline() == (0, "")
    before = {table: published.files(tmp_path / "out", table) for table in TABLES}
    name, content = UNREADABLE[what]
    (tmp_path / "in" / name).write_bytes(content)
    code, error = pipeline()
    assert code == 3
    assert error.startswith(f"error: {tmp_path}/in/{name}: ")
    after = {table: published.files(tmp_path / "out", table) for table in TABLES}
    assert after == before
    assert not any((tmp_path / "out" / "_tmp").iterdir())


def test_the_jobs_one_by_one_give_the_tables_of_the_pipeline(pipeline, tmp_path):
    (tmp_path / "in" / "a.json").write_bytes(GOOD + b"\n" + OTHER)
    assert pipeline() == (0, "")
    for job in PIPELINE:
        assert pipeline(job, output_data_path_prefix=tmp_path / "apart") == (0, "")
    together, apart = (published.everything(tmp_path / p) for p in ("out", "apart"))
    assert apart == together
    assert len(together["weekly_summary"]) == 1


def test_too_many_rejects_exit_4_and_leave_the_tables_but_keep_the_lines(
    pipeline, tmp_path
):
    import duckdb

    prefix = tmp_path / "out"
    (tmp_path / "in" / "a.json").write_bytes(GOOD)
    assert pipeline() == (0, "")
    before = published.everything(prefix)
    assert before["rejected_events"] == []
    (tmp_path / "in" / "a.json").write_bytes(b'{"ip": "192.0.2.77"\n' + OTHER)
    code, error = pipeline(max_rejected_ratio=0.49)
    ledger = published.ledger(prefix)
    kept = f"{prefix}/_failed/{ledger['run_id']}/rejected_events"
    query = (
        f"SELECT reason, source_file, raw FROM read_parquet('{kept}/**/*.parquet',"
        " hive_partitioning = true)"
    )
    assert (code, error) == (
        4,
        "error: 1 of 2 lines rejected (50.00%), more than MAX_REJECTED_RATIO=0.49:"
        f" malformed_json 1; the rejected lines are in {kept}, and DuckDB shows them:"
        f" {query}",
    )
    assert ledger["status"] == "failed"
    assert {origin["run_id"] for origin in ledger["tables"].values()} != {
        ledger["run_id"]
    }
    assert published.everything(prefix) == before
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [
            ("malformed_json", "a.json", '{"ip": "***"')
        ]
    assert pipeline(VERIFY) == (0, "")
    assert pipeline(max_rejected_ratio=0.5) == (0, "")
    assert published.everything(prefix)["user_registration"] != (
        before["user_registration"]
    )
    assert not (prefix / "_failed").exists()


def test_the_query_for_rejected_lines_works_in_a_folder_of_any_name(pipeline, tmp_path):
    import duckdb

    (tmp_path / "in" / "a.json").write_bytes(b"no JSON")
    prefix = tmp_path / "it's [a] country=DE"
    code, error = pipeline(output_data_path_prefix=prefix)
    assert code == 4
    with duckdb.connect() as connection:
        _, query = error.split(" shows them: ")
        assert connection.execute(query).fetchall() == [
            ("malformed_json", "a.json", "no JSON")
        ]


def test_a_line_of_64_megabytes_is_an_event_and_one_beyond_the_limit_an_error(
    pipeline, tmp_path
):
    (tmp_path / "in" / "b.json").write_bytes(OTHER)
    with (tmp_path / "in" / "a.json").open("wb") as file:
        file.write(GOOD[:-1] + b', "campaign": "' + b"x" * 2**26 + b'"}\n' + OTHER)
    assert pipeline() == (0, "")
    assert published.ledger(tmp_path / "out")["jobs"][0]["lines"]["stored"] == {
        "app_loaded": 0,
        "playback_events": 0,
        "user_registration": 2,
    }
    with (tmp_path / "in" / "a.json").open("ab") as file:
        file.write(b"\n" + b"x" * (2**27 + 1) + b"\n")
    code, error = pipeline()
    assert code == 3
    assert "a line is longer than 134,217,728 bytes" in error


def test_hostile_names_do_no_harm(pipeline, tmp_path, capsys):
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
    arguments = [
        f"--engine={ENGINE}",
        f"--input-data-path={tmp_path / 'in'}",
        f"--output-data-path-prefix={tmp_path / 'o=u [t] {1}'}",
    ]
    assert main(*PIPELINE, summary="", arguments=arguments) == 0
    shown = capsys.readouterr().out
    assert "[bold]x[/] :smile: [/nothing]" in shown
    assert "\\x1b[31mred\\x07\\r\\n" in shown
    assert "\x1b[31m" not in shown
    prefix = tmp_path / "o=u [t] {1}"
    assert published.ledger(prefix)["jobs"][0]["lines"]["ignored"] == dict.fromkeys(
        names, 1
    )
    sessions = published.everything(prefix)["fact_user_session"]
    assert sorted(row[0] for row in sessions) == sorted(names)
    assert sorted(row[1] for row in sessions) == sorted(names)


def test_an_event_name_of_its_own_for_each_line_fills_no_screen(
    pipeline, tmp_path, capsys
):
    lines = [json.dumps(LINE | {"event": f"page {n}"}) for n in range(500)]
    (tmp_path / "in" / "a.json").write_text("\n".join(lines))
    main(
        PIPELINE[0],
        summary="",
        arguments=[
            f"--engine={ENGINE}",
            f"--input-data-path={tmp_path / 'in'}",
            f"--output-data-path-prefix={tmp_path / 'out'}",
        ],
    )
    shown = capsys.readouterr().out
    assert "480 other names" in shown
    assert len(shown.splitlines()) < 50
    ignored = published.ledger(tmp_path / "out")["jobs"][0]["lines"]["ignored"]
    assert len(ignored) == 500


def test_a_folder_above_the_tables_that_looks_like_a_partition_is_none(
    pipeline, tmp_path
):
    event = {
        "event_name": "like",
        "timestamp": "2021-01-01 00:00:00",
        "user_id": "u",
        "country": "NZ",
    }
    (tmp_path / "in" / "a.json").write_text(json.dumps(event))
    prefix = tmp_path / "country=DE" / "derived_tstamp_day=1999-01-01" / "user_id=x"
    assert pipeline(output_data_path_prefix=prefix) == (0, "")
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
