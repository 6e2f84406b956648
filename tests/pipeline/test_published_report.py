"""The files of the report job, and the ledgers that it reads."""

import json

import pytest

from jobs.pipeline import JOBS
from jobs.report.answers import rate
from tests.support import published

pytestmark = pytest.mark.slow


@pytest.fixture
def run_on(run, tmp_path):
    """Runs jobs on these lines; runs all jobs if none is named."""

    def run_jobs(lines, *jobs, **settings):
        text = "\n".join(map(json.dumps, lines))
        (tmp_path / "in" / "e.jsonl").write_text(text)
        return run(*jobs, **settings)

    return run_jobs


def found(prefix):
    return json.loads((prefix / "report" / "answers.json").read_text())


def test_the_report_shows_the_account_of_the_run_that_wrote_its_tables(
    run, run_on, tmp_path
):
    registered = {
        "event": "registered",
        "timestamp": "2021-01-01T00:00:00",
        "initiator_id": 1,
    }
    prefix, report = tmp_path / "out", JOBS[-1]
    assert run_on([registered] * 2, conversion_week_offset=0).code == 0
    together = found(prefix)
    assert together["lines"]["read"] == 2
    assert together["lines"]["duplicates"]["user_registration"] == 1
    assert together["conversion"]["week_offset"] == 0
    assert together["data"]["newest_app_event"] == "2021-01-01T00:00:00.000000Z"
    assert published.ledger(prefix)["jobs"][-1]["files"][0] == "report/answers.json"
    # Another run with other settings reads the ledger of the first run.
    assert run(report, reporting_timezone="Asia/Tokyo").code == 0
    assert found(prefix) == together
    for ledger in (prefix / "_runs").iterdir():
        ledger.unlink()
    assert run(report).code == 0
    assert found(prefix)["lines"] is None


LIKE = {"event_name": "like", "timestamp": "2021-01-01T00:00:00", "user_id": "u"}


def test_there_are_answers_even_without_app_events(run_on, tmp_path):
    assert run_on([LIKE]).code == 0
    assert found(tmp_path / "out")["conversion"]["overall"] == rate(0, 0)


@pytest.mark.parametrize(("names", "others"), [(100, None), (103, 3)])
def test_the_report_has_the_100_largest_groups_and_the_others_together(
    run_on, tmp_path, names, others
):
    (tmp_path / "in" / "videos.csv").write_text(
        "video_id,genre\n" + "".join(f"v{n},genre {n}\n" for n in range(names))
    )
    lines = [
        {
            "event_name": "like",
            "timestamp": "2021-01-01T00:00:00",
            "user_id": f"u{n}",
            "video_id": f"v{n}",
            "device_os": f"OS {n}",
            "app_version": f"{n}",
        }
        for n in range(names)
    ]
    assert run_on(lines).code == 0
    answers = found(tmp_path / "out")
    genres = answers["retained_within_3d"]
    dropoff = answers["dropoff"]
    for shown, other in (
        (genres["by_genre"], genres["other_genres"]),
        (dropoff["by_device_os"], dropoff["other_device_os"]),
        (dropoff["by_app_version"], dropoff["other_app_versions"]),
    ):
        assert len(shown) == 100
        assert (other and other["groups"]) == others
    assert genres["all"] == rate(0, names)
    assert dropoff["sessions"] == rate(names, names)


def test_a_table_that_is_missing_is_named_and_the_old_report_stays(
    run, run_on, tmp_path
):
    assert run_on([LIKE]).code == 0
    prefix = tmp_path / "out"
    before = (prefix / "report" / "answers.json").stat().st_ino
    (prefix / "weekly_retention").rename(tmp_path / "elsewhere")
    ended = run(JOBS[-1])
    assert ended.code == 3
    assert "it is gone; run conversion_rate again" in ended.error
    assert (prefix / "report" / "answers.json").stat().st_ino == before


def test_tables_of_different_states_are_refused_until_each_job_has_run(
    run_on, tmp_path
):
    job_named = {job.name: job for job in JOBS}
    report = job_named["report"]
    assert run_on([LIKE]).code == 0
    before = (tmp_path / "out" / "report" / "answers.json").stat().st_ino
    assert run_on([LIKE], job_named["events_split"]).code == 0
    for name, table, made_from in (
        ("sessionize", "fact_user_session", "playback_events"),
        ("conversion_rate", "weekly_summary", "user_registration"),
    ):
        ended = run_on([LIKE], report)
        assert ended.code == 3
        assert ended.error == (
            f"error: {table} was made before {made_from} was written anew: run"
            f" {name}, or the whole pipeline"
        )
        assert (tmp_path / "out" / "report" / "answers.json").stat().st_ino == before
        assert run_on([LIKE], job_named[name]).code == 0
    assert run_on([LIKE], report).code == 0
