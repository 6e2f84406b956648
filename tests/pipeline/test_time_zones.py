"""Days and weeks are those of REPORTING_TIMEZONE, wherever the machine is."""

import json

import pytest

from tests.support import published
from tests.support.processes import ROOT, paths, run

pytestmark = pytest.mark.slow

REPORTING = "America/New_York"
QUESTION = "SELECT max(timestamp) AS newest FROM staging.playback_events"


def made_in(zone, prefix):
    """The tables, the answers and a time in SQL, on a machine in this zone."""
    settings = {"TZ": zone, "REPORTING_TIMEZONE": REPORTING}
    settings |= paths(ROOT / "data-input", prefix)
    made = run("-m", "jobs", **settings)
    assert made.returncode == 0, made.stderr
    asked = run("-m", "jobs.sql", QUESTION, "--json", **settings)
    assert asked.returncode == 0, asked.stderr
    answers = json.loads((prefix / "report" / "answers.json").read_text())
    return published.everything(prefix), answers, json.loads(asked.stdout)


@pytest.fixture(scope="module")
def made_in_utc(tmp_path_factory):
    return made_in("UTC", tmp_path_factory.mktemp("zones") / "out")


# On Spark test_engines_agree.py tries it.
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland"])
def test_the_time_zone_of_the_machine_changes_nothing(made_in_utc, tmp_path, zone):
    assert made_in(zone, tmp_path / "out") == made_in_utc
