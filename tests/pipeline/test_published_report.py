"""What the report job leaves, and what it takes from the runs before it."""

import json

import pytest

from jobs.pipeline import JOBS
from jobs.report.answers import rate
from jobs.runner import main
from tests.support import published

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path, capsys):
    """Runs jobs, all unless told, on lines; gives the exit code and what is said."""
    (tmp_path / "in").mkdir()

    def run_jobs(*jobs, lines=(), **settings):
        text = "\n".join(map(json.dumps, lines))
        (tmp_path / "in" / "e.jsonl").write_text(text)
        given = {
            "input-data-path": tmp_path / "in",
            "output-data-path-prefix": tmp_path / "out",
            **settings,
        }
        arguments = [f"--{name}={value}" for name, value in given.items()]
        code = main(*(jobs or JOBS), summary="", arguments=arguments)
        return code, capsys.readouterr().err

    return run_jobs


def found(prefix):
    return json.loads((prefix / "report" / "answers.json").read_text())


def test_the_report_tells_of_the_run_that_its_tables_came_from(run, tmp_path):
    registered = {
        "event": "registered",
        "timestamp": "2021-01-01T00:00:00",
        "initiator_id": 1,
    }
    prefix, report = tmp_path / "out", JOBS[-1]
    code, _ = run(lines=[registered] * 2, **{"conversion-week-offset": 0})
    assert code == 0
    together = found(prefix)
    assert together["lines"]["read"] == 2
    assert together["lines"]["duplicates"]["user_registration"] == 1
    assert together["conversion"]["week_offset"] == 0
    assert together["data"]["newest_app_event"] == "2021-01-01T00:00:00.000000Z"
    assert published.ledger(prefix)["jobs"][-1]["files"][0] == "report/answers.json"
    # Another run, with other settings, finds the same in the ledger of the first.
    assert run(report, **{"reporting-timezone": "Asia/Tokyo"})[0] == 0
    assert found(prefix) == together
    for ledger in (prefix / "_runs").iterdir():
        ledger.unlink()
    assert run(report)[0] == 0
    assert found(prefix)["lines"] is None


IGNORED = {"event": "page_view"}


def test_without_events_there_are_answers_all_the_same(run, tmp_path):
    assert run(lines=[IGNORED])[0] == 0
    assert found(tmp_path / "out")["conversion"]["overall"] == rate(0, 0)


def test_a_table_that_is_missing_is_named_and_the_old_report_stays(run, tmp_path):
    assert run(lines=[IGNORED])[0] == 0
    prefix = tmp_path / "out"
    before = (prefix / "report" / "answers.json").stat().st_ino
    (prefix / "weekly_retention").rename(tmp_path / "elsewhere")
    code, said = run(JOBS[-1])
    assert code == 3
    assert "there is no table weekly_retention yet" in said
    assert (prefix / "report" / "answers.json").stat().st_ino == before
