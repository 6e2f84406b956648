"""users.csv and videos.csv as people have them: read, or said to look wrong."""

import json
from datetime import date

import pytest

from jobs.ledger import Ledger
from jobs.tables import USERS, VIDEOS
from tests.support import published
from tests.support.runs import PIPELINE, TABLE_JOBS

pytestmark = pytest.mark.slow

EVENT = {
    "event_name": "watch_time",
    "timestamp": "2021-01-05T10:00:20Z",
    "video_id": "v1",
    "value": 35,
}
VIDEOS_CSV = "video_id,title,genre,duration_seconds\nv1,Clouds,Nature,120\n"
HEADER = "user_id,signup_date,subscription_tier,age_group,gender\n"
BOTH = [
    ("u1", date(2021, 1, 2), "free", "25-34", "female"),
    ("u2", date(2021, 1, 3), "premium", "35-44", "male"),
]


@pytest.fixture
def given(tmp_path):
    """Writes an input: a view of a video by each of two users, and these CSV files."""

    def write(users, videos=VIDEOS_CSV):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        events = [EVENT | {"user_id": user} for user in ("u1", "u2")]
        (folder / "a.jsonl").write_text("\n".join(map(json.dumps, events)))
        for name, content in (("users", users), ("videos", videos)):
            if content is not None:
                (folder / f"{name}.csv").write_text(content)

    return write


def findings(prefix):
    """What looks wrong, as the ledger of the only run has it."""
    [path] = (prefix / "_runs").glob("*.json")
    ledger = Ledger.read(path)
    assert ledger
    return [(finding.kind, finding.count) for finding in ledger.findings]


READ = {
    "semicolons": (HEADER + "u1,2021-01-02,free,25-34,female\n"
                   "u2,2021-01-03,premium,35-44,male\n").replace(",", ";"),
    "blanks in the header and before a date":
        HEADER.replace(",s", ", s", 1) + "u1, 2021-01-02,free,25-34,female\n"
        "u2, 2021-01-03,premium,35-44,male\n",
    "blanks after ids and times after dates":
        HEADER + "u1 ,2021-01-02T00:00:00Z,free,25-34,female\n"
        "u2\t,2021-01-03 09:30,premium,35-44,male\n",
}  # fmt: skip


@pytest.mark.parametrize("form", READ)
def test_a_csv_file_with_a_clear_meaning_is_read(run, given, tmp_path, form):
    given(READ[form])
    ended = run(*TABLE_JOBS)
    assert ended.code == 0, ended.error
    assert published.rows(tmp_path / "out", USERS) == BOTH
    assert "What looks wrong" not in ended.out
    assert findings(tmp_path / "out") == []


def test_days_before_months_are_null_and_counted(run, given, tmp_path):
    given(
        HEADER + "u1,02/01/2021,free,25-34,female\n"
        "u2,2021-01-03T00:00:00Z,premium,35-44,male\n"
    )
    ended = run(*TABLE_JOBS)
    assert ended.code == 0, ended.error
    first, second = BOTH
    assert published.rows(tmp_path / "out", USERS) == [
        (first[0], None, *first[2:]),
        second,
    ]
    assert findings(tmp_path / "out") == [("unreadable_values", 1)]
    assert (
        "What looks wrong\n"
        "- users.csv: 1 value of signup_date cannot be read and became NULL, such as"
        " 02/01/2021. The column takes a date such as 2021-01-31.\n"
    ) in ended.out


def test_an_id_in_another_case_is_another_user_who_has_no_row(run, given, tmp_path):
    given(HEADER + "u1 ,2021-01-02,free,,\nU2,2021-01-03,premium,,\n")
    ended = run(*TABLE_JOBS)
    assert findings(tmp_path / "out") == [("unknown_ids", 1)]
    assert (
        "- 1 of 2 values of user_id in the events has no row in users.csv (50 %), so"
        " its attributes are NULL. Compare how both write user_id.\n"
    ) in ended.out


@pytest.mark.long_on_spark
def test_findings_are_told_from_the_most_serious_on_everywhere(run, given, tmp_path):
    given("user_id,sign_up_date,gender\nx,2021,f\n", "video_id,duration_seconds\nv,1m")
    ended = run()
    assert ended.code == 0, ended.error
    kinds = [
        ("unknown_ids", 2),
        ("unknown_ids", 1),
        *[("missing_column", None)] * 5,
        ("unreadable_values", 1),
    ]
    assert findings(tmp_path / "out") == kinds
    assert (
        "- users.csv has no column signup_date, which is NULL. Its header has"
        " sign_up_date: if that is meant, rename it to signup_date.\n"
        "- users.csv has no column subscription_tier, which is NULL. Nothing in its"
        " header resembles that name.\n"
    ) in ended.out
    if len(PIPELINE) > len(TABLE_JOBS):
        report = tmp_path / "out" / "report"
        answers = json.loads((report / "answers.json").read_text())
        assert [(f["kind"], f["count"]) for f in answers["findings"]] == kinds
        assert "rename it to signup_date" in (report / "index.html").read_text()


def test_the_csv_files_may_lie_elsewhere(run, given, tmp_path):
    given("nothing", "nothing")
    elsewhere = {"users_path": tmp_path / "u", "videos_path": tmp_path / "v"}
    elsewhere["users_path"].write_text(READ["semicolons"])
    elsewhere["videos_path"].write_text(VIDEOS_CSV)
    ended = run(*TABLE_JOBS, **elsewhere)
    assert ended.code == 0, ended.error
    assert published.rows(tmp_path / "out", USERS) == BOTH
    assert published.rows(tmp_path / "out", VIDEOS) == [("v1", "Clouds", "Nature", 120)]


@pytest.mark.long_on_spark
@pytest.mark.parametrize("setting", ["users_path", "videos_path"])
def test_a_path_that_does_not_exist_is_named(run, given, tmp_path, setting):
    given(READ["semicolons"])
    ended = run(*TABLE_JOBS, **{setting: tmp_path / "nowhere.csv"})
    assert ended.code == 3
    fault = f"{tmp_path}/nowhere.csv: No such file or directory"
    assert ended.error == f"error: {fault}"


@pytest.mark.long_on_spark
def test_without_csv_files_nothing_is_found_in_them(run, given, tmp_path):
    given(None, None)
    ended = run(*TABLE_JOBS)
    assert "There is no users.csv: its attributes are NULL." in ended.out
    assert findings(tmp_path / "out") == []
