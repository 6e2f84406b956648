"""The job verify checks published tables, and changes nothing."""

import json
import shutil
from contextlib import closing

import pytest

from jobs.checks import CHECKS, rules
from jobs.publishing.lock import Lock
from jobs.tables import REJECTED_EVENTS, TABLES, VIDEOS
from jobs.verify.job import JOB as VERIFY
from tests.support import published
from tests.support.runs import PIPELINE, TABLE_JOBS

pytestmark = pytest.mark.slow

ALL_CHECKS = len(CHECKS) + sum(len([*rules(table)]) for table in TABLES)

JOB = {job.name: job for job in PIPELINE}
EVENTS_SPLIT, SESSIONIZE = JOB["events_split"], JOB["sessionize"]
CONVERSION_RATE = JOB["conversion_rate"]


def event(name, user):
    time = "2021-01-01 00:00:00"
    return {"event_name": name, "timestamp": time, "user_id": user}


@pytest.fixture
def run(run):
    """Runs jobs; gives the exit code, the last line and the lines before it."""

    def run_jobs(*jobs):
        ended = run(*jobs)
        *before, last = ended.out.splitlines() or [""]
        return ended.code, ended.error or last, " ".join(" ".join(before).split())

    return run_jobs


@pytest.fixture
def prefix(run, tmp_path):
    """Tables of one run, with a playback event of each of two users."""
    lines = [json.dumps(event("like", user)) for user in "ab"]
    (tmp_path / "in" / "a.json").write_text("\n".join(lines))
    assert run(*TABLE_JOBS)[0] == 0
    return tmp_path / "out"


@pytest.fixture
def one_more_event(tmp_path, prefix):
    (tmp_path / "in" / "b.json").write_text(json.dumps(event("like", "c")))


def everything_in(prefix):
    """Each file of a prefix, except the lock, which names the last run that had it."""
    paths = sorted(path for path in prefix.rglob("*") if path.name != "_lock")
    return [(path, path.is_file() and path.read_bytes()) for path in paths]


def test_tables_of_one_run_pass_and_nothing_is_written(run, prefix):
    before = everything_in(prefix)
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")
    assert everything_in(prefix) == before


@pytest.mark.long_on_spark
def test_each_job_may_have_a_run_of_its_own(run, prefix):
    for job in TABLE_JOBS:
        assert run(job)[0] == 0
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")


@pytest.mark.long_on_spark
def test_a_check_is_left_out_if_a_table_is_older_than_its_sources(
    run, prefix, one_more_event
):
    assert run(EVENTS_SPLIT)[0] == 0
    code, last, before = run(VERIFY)
    assert (code, last) == (0, f"{ALL_CHECKS - 2} checks hold")
    assert before == (
        "user_sessions was made before playback_events was written anew, so one check"
        " is left out: every playback event belongs to one session. weekly_summary was"
        " made before user_registration was written anew, so one check is left out:"
        " every registered user is counted in one week."
    )
    assert run(SESSIONIZE)[0] == 0
    assert run(CONVERSION_RATE)[0] == 0
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")


@pytest.mark.long_on_spark
def test_tables_whose_rows_do_not_match_fail(run, prefix, one_more_event):
    """By the record, sessions were made from these events, which is not true."""
    record = prefix / "_tables" / "current.json"
    old_events = json.loads(record.read_text())["tables"]["playback_events"]
    old = shutil.copytree(prefix / "playback_events", prefix.parent / "older")
    assert run(EVENTS_SPLIT)[0] == 0
    assert run(SESSIONIZE)[0] == 0
    content = json.loads(record.read_text())
    old_events["run_id"] = content["tables"]["playback_events"]["run_id"]
    content["tables"]["playback_events"] = old_events
    record.write_text(json.dumps(content))
    shutil.rmtree(prefix / "playback_events")
    old.rename(prefix / "playback_events")
    code, last, _ = run(VERIFY)
    assert code == 1
    assert "every playback event belongs to one session: broken once" in last


@pytest.fixture
def half_done(run, prefix, one_more_event, tmp_path):
    """A run died after it had published some tables; gives its id."""
    old = shutil.copytree(prefix, tmp_path / "old")
    assert run(*TABLE_JOBS)[0] == 0
    died = prefix / "_tmp" / published.run_id(prefix)
    died.mkdir()
    record = prefix / "_tables" / "current.json"
    record.rename(died / "publishing")
    shutil.copy(old / "_tables" / "current.json", record)
    for table in (VIDEOS, REJECTED_EVENTS):
        folder = prefix / table.name / "format=parquet"
        (died / table.name).mkdir()
        folder.rename(died / table.name / "format=parquet")
        if table is VIDEOS:
            shutil.copytree(old / table.name / "format=parquet", folder)
    return died.name


@pytest.mark.long_on_spark
def test_a_half_done_publication_is_named_until_the_next_run_finishes_it(
    run, prefix, half_done
):
    before = everything_in(prefix)
    for _ in range(2):
        assert run(VERIFY) == (
            0,
            f"{ALL_CHECKS} checks hold",
            f"The publication of run {half_done} is half done: the next run finishes"
            " it.",
        )
        assert everything_in(prefix) == before
    assert run(CONVERSION_RATE)[0] == 0
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")
    runs = {name: record.run_id for name, record in published.recorded(prefix).items()}
    assert {
        runs[table.name] for table in TABLES if table.written_by != "conversion_rate"
    } == {half_done}


@pytest.mark.long_on_spark
def test_verify_and_a_run_do_not_wait_for_each_other(run, prefix):
    with closing(Lock(prefix, "another run")):
        assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")


@pytest.mark.long_on_spark
def test_a_file_that_no_run_wrote_is_named(run, prefix):
    stray = prefix / "users" / "format=parquet" / "copy.parquet"
    stray.touch()
    code, last, _ = run(VERIFY)
    assert code == 1
    assert f"users: {stray} is no file of the table: remove it" in last


@pytest.mark.long_on_spark
def test_ledgers_that_were_cut_off_stop_no_run(run, prefix):
    tables = published.everything(prefix)
    for ledger in (prefix / "_runs").iterdir():
        ledger.write_text("")
    assert run(*PIPELINE)[0] == 0
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")
    assert published.everything(prefix) == tables


@pytest.mark.long_on_spark
def test_a_table_that_is_missing_is_named(run, prefix):
    shutil.rmtree(prefix / "user_sessions")
    code, last, _ = run(VERIFY)
    assert code == 3
    assert "user_sessions/format=parquet" in last
    assert "it is gone; run sessionize again" in last


@pytest.mark.long_on_spark
def test_a_table_that_was_never_written_is_named(run, tmp_path):
    (tmp_path / "in" / "a.json").write_text(json.dumps(event("like", "a")))
    assert run(EVENTS_SPLIT)[0] == 0
    assert run(CONVERSION_RATE)[0] == 0
    code, last, _ = run(VERIFY)
    assert code == 3
    assert "there is no table user_sessions yet: run sessionize" in last


def test_a_prefix_that_is_missing_is_not_made(run, tmp_path):
    assert run(VERIFY)[:2] == (3, f"error: {tmp_path}/out: there are no tables yet")
    assert not (tmp_path / "out").exists()
