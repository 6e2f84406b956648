"""What verify says of published tables; it looks, and changes nothing."""

import json
import shutil

import pytest

from jobs.checks import CHECKS, rules
from jobs.runner import main
from jobs.tables import REJECTED_EVENTS, TABLES, USERS, VIDEOS, WRITTEN_BY
from jobs.unit_tests import published
from jobs.unit_tests.conftest import ENGINE, PIPELINE
from jobs.verify.job import JOB as VERIFY

pytestmark = pytest.mark.slow

ALL_CHECKS = len(CHECKS) + sum(len([*rules(table)]) for table in TABLES)

EVENTS_SPLIT, SESSIONIZE, CONVERSION_RATE = PIPELINE[:3]


def event(name, user):
    time = "2021-01-01 00:00:00"
    return {"event_name": name, "timestamp": time, "user_id": user}


@pytest.fixture
def run(tmp_path, capsys):
    """Runs jobs in this process; gives exit code, last line and what comes before."""
    (tmp_path / "in").mkdir()

    def run_jobs(*jobs):
        given = {
            "engine": ENGINE,
            "input-data-path": tmp_path / "in",
            "output-data-path-prefix": tmp_path / "out",
            "log-level": "WARNING",
        }
        arguments = [f"--{name}={value}" for name, value in given.items()]
        code = main(*jobs, summary="", arguments=arguments)
        said = capsys.readouterr()
        lines = (said.err if code else said.out).splitlines() or [""]
        return code, lines[-1], " ".join(" ".join(lines[:-1]).split())

    return run_jobs


@pytest.fixture
def prefix(run, tmp_path):
    """Tables of one run, with a playback event of each of two users."""
    lines = [json.dumps(event("like", user)) for user in "ab"]
    (tmp_path / "in" / "a.json").write_text("\n".join(lines))
    assert run(*PIPELINE[:3])[0] == 0
    return tmp_path / "out"


@pytest.fixture
def one_more_event(tmp_path, prefix):
    (tmp_path / "in" / "b.json").write_text(json.dumps(event("like", "c")))


def run_of(prefix, table):
    return json.loads(record_of(prefix, table).read_text())["run_id"]


def record_of(prefix, table):
    return prefix / table.name / "format=parquet" / "_run.json"


def everything_in(prefix):
    """Each file of a prefix, but for the lock, which names whoever held it last."""
    paths = sorted(path for path in prefix.rglob("*") if path.name != "_lock")
    return [(path, path.is_file() and path.read_bytes()) for path in paths]


def test_tables_of_one_run_pass_and_nothing_is_written(run, prefix):
    before = everything_in(prefix)
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")
    assert everything_in(prefix) == before


def test_each_job_may_have_a_run_of_its_own(run, prefix):
    for job in PIPELINE[:3]:
        assert run(job)[0] == 0
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")


def test_tables_that_are_older_than_what_they_were_made_from_are_not_held_against_it(
    run, prefix, one_more_event
):
    assert run(EVENTS_SPLIT)[0] == 0
    code, last, before = run(VERIFY)
    assert (code, last) == (0, f"{ALL_CHECKS - 2} checks hold")
    assert before == (
        "user_sessions is of an earlier run than playback_events, so one check is left"
        " out: every playback event belongs to one session. weekly_summary is of an"
        " earlier run than user_registration, so one check is left out: every"
        " registered user is counted in one week."
    )
    assert run(SESSIONIZE)[0] == 0
    assert run(CONVERSION_RATE)[0] == 0
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")


def test_tables_that_are_newer_than_what_they_were_made_from_are_held_against_it(
    run, prefix, one_more_event, tmp_path
):
    older = shutil.copytree(prefix, tmp_path / "older")
    assert run(EVENTS_SPLIT)[0] == 0
    assert run(SESSIONIZE)[0] == 0
    for table in WRITTEN_BY["events_split"]:
        shutil.rmtree(prefix / table.name)
        shutil.copytree(older / table.name, prefix / table.name)
    code, last, _ = run(VERIFY)
    assert code == 1
    assert "every playback event belongs to one session: broken once" in last


@pytest.fixture
def half_done(run, prefix, one_more_event, tmp_path):
    """A run died when it had published the first tables of its first job."""
    old = shutil.copytree(prefix, tmp_path / "old")
    assert run(EVENTS_SPLIT)[0] == 0
    died = run_of(prefix, USERS)
    aside = prefix / "_tmp" / died
    aside.mkdir()
    (aside / "publishing").touch()
    for table in (VIDEOS, REJECTED_EVENTS):
        live = prefix / table.name / "format=parquet"
        live.rename(aside / table.name)
        if table is VIDEOS:
            shutil.copytree(old / table.name / "format=parquet", live)
    return died


def test_half_a_publication_is_named_until_the_next_run_ends_it(run, prefix, half_done):
    before = everything_in(prefix)
    old = run_of(prefix, VIDEOS)
    for _ in range(2):
        assert run(VERIFY)[:2] == (
            1,
            "error: the tables of events_split are not of one run: videos of run"
            f" {old}, user_registration, app_loaded, playback_events, users of run"
            f" {half_done}, rejected_events missing; publication of run {half_done} is"
            " half done, and the next run ends it",
        )
        assert everything_in(prefix) == before
    assert run(CONVERSION_RATE)[0] == 0
    assert run(VERIFY)[0] == 0
    assert {run_of(prefix, t) for t in WRITTEN_BY["events_split"]} == {half_done}


def test_a_publication_that_has_moved_nothing_or_everything_is_no_mixture(run, prefix):
    aside = prefix / "_tmp" / run_of(prefix, USERS)
    aside.mkdir()
    (aside / "publishing").touch()
    code, last, before = run(VERIFY)
    assert (code, last) == (0, f"{ALL_CHECKS} checks hold")
    assert before == (
        f"Publication of run {aside.name} is not ended: the next run ends it."
    )


@pytest.mark.parametrize("content", ["", "{", "\0\0"])
def test_a_table_whose_record_was_cut_short_is_of_a_run_that_nothing_names(
    run, prefix, content
):
    record_of(prefix, VIDEOS).write_text(content)
    others = "user_registration, app_loaded, playback_events, users, rejected_events"
    assert run(VERIFY)[:2] == (
        1,
        "error: the tables of events_split are not of one run:"
        f" {others} of run {run_of(prefix, USERS)},"
        " videos of a run that nothing names; no publication is left to end: run"
        " events_split again",
    )
    assert run(EVENTS_SPLIT)[0] == 0
    assert run(VERIFY)[0] == 0


def test_records_that_were_cut_short_stop_no_run(run, prefix):
    tables = published.everything(prefix)
    for table in TABLES:
        record_of(prefix, table).write_text("")
    for ledger in (prefix / "_runs").iterdir():
        ledger.write_text("")
    (prefix / "_tmp" / "died").mkdir()
    (prefix / "_tmp" / "died" / "publishing").write_text("\0")
    assert run(*PIPELINE)[0] == 0
    assert run(VERIFY) == (0, f"{ALL_CHECKS} checks hold", "")
    assert published.everything(prefix) == tables


def test_a_table_that_is_missing_is_named(run, prefix):
    for table in WRITTEN_BY["sessionize"]:
        shutil.rmtree(prefix / table.name)
    code, last, _ = run(VERIFY)
    assert code == 3
    assert "there is no table user_sessions yet" in last


def test_a_prefix_that_is_missing_is_not_made(run, tmp_path):
    assert run(VERIFY)[:2] == (3, f"error: {tmp_path}/out: there are no tables yet")
    assert not (tmp_path / "out").exists()
