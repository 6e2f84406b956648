"""The sample has every way to write an event, and a run judges it by the contract."""

import shutil
from collections import Counter

import pytest

from jobs.pipeline import JOBS
from jobs.tables import APP_LOADED, PLAYBACK_EVENTS
from tests.support import published
from tests.support.processes import ROOT, make_events
from tests.support.reference import ReferenceSettings, reference_tables, unpacked
from tests.support.runs import run_jobs

pytestmark = pytest.mark.slow

SAMPLE = ROOT / "data-input"
REASONS = 11


def files_below(folder):
    """The bytes of each file, by its path below the folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The tables of the first job from the sample."""
    prefix = tmp_path_factory.mktemp("sample") / "out"
    paths = {"input_data_path": SAMPLE, "output_data_path_prefix": prefix}
    assert run_jobs(prefix, JOBS[0], **paths).code == 0
    return prefix


def test_the_command_makes_the_sample_and_removes_what_a_former_call_made(tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "in")
    (tmp_path / "in" / "events-006.jsonl").write_text("{}")
    made, sample = map(files_below, (make_events(tmp_path / "in", 4000), SAMPLE))
    assert made.keys() == sample.keys()
    # Another version of a packing may give other bytes.
    assert all(unpacked(made[name]) == unpacked(sample[name]) for name in made)


def test_a_large_input_has_plain_files_alone(tmp_path):
    folder = make_events(shutil.copytree(SAMPLE, tmp_path / "in"), 100_001)
    names = {*files_below(folder)} - {"users.csv", "videos.csv"}
    assert names == {f"events-00{number}.jsonl" for number in range(1, 6)}


def test_a_run_counts_the_lines_of_the_sample_as_the_contract_does(prefix):
    rules = ReferenceSettings(data_from="2000-01-01")
    expected = reference_tables(files_below(SAMPLE), rules).counts
    lines = published.ledger(prefix)["jobs"][0]["lines"]
    assert lines["read"] == expected["read"]
    for outcome in ("stored", "duplicates", "ignored", "rejected"):
        assert Counter(lines[outcome]) == expected[outcome], outcome
    assert len(lines["rejected"]) == REASONS
    assert min(lines["rejected"].values()) > 1


def test_one_event_in_many_spellings_is_one_row(prefix):
    loads = Counter(row[2] for row in published.rows(prefix, APP_LOADED))
    # 910 has an instant in every spelling, and six in files of every layout.
    assert (loads["101"], loads["910"]) == (1, 7)
    names = PLAYBACK_EVENTS.column_names
    rows = [
        dict(zip(names, row, strict=True))
        for row in published.rows(prefix, PLAYBACK_EVENTS)
    ]
    spelled = [row for row in rows if row["user_id"] == "spelled"]
    assert Counter(str(row["value"]) for row in spelled if not row["account_id"]) == {
        "20.000000": 5,
        "None": 1,
    }
    assert [row["device"] for row in spelled if row["event_id"] == "5"] == ["Phone 1"]
