"""Instants as people write them, and events of clocks that are wrong."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from jobs.tables import APP_LOADED, REJECTED_EVENTS, WEEKLY_RETENTION, WEEKLY_SUMMARY
from tests.support import published
from tests.support.engine import micros
from tests.support.runs import TABLE_JOBS

pytestmark = pytest.mark.slow

LOAD = {"event": "app_loaded", "timestamp": "2021-01-05T10:00:00Z", "initiator_id": 1}


def written(folder, *events):
    (folder / "in" / "a.jsonl").write_text("\n".join(map(json.dumps, events)))


def instants(prefix):
    """The instant of each app_loaded event."""
    position = APP_LOADED.column_names.index("time")
    return [row[position] for row in published.rows(prefix, APP_LOADED)]


def reasons(prefix):
    return sorted(row[-1] for row in published.rows(prefix, REJECTED_EVENTS))


SPELLINGS = {
    "2021-01-05T10:00:00+0000": "2021-01-05T10:00:00Z",
    "2021-01-05T10:00:00.000+0000": "2021-01-05T10:00:00Z",
    "2021-01-05 10:00:00.123456+02": "2021-01-05T08:00:00.123456Z",
    "2021-01-05T10:00:00 +09:00": "2021-01-05T01:00:00Z",
    "2021-01-05 10:00:00 UTC": "2021-01-05T10:00:00Z",
    "2021-01-05T10:00Z": "2021-01-05T10:00:00Z",
    "2021-01-05T10:00:00z": "2021-01-05T10:00:00Z",
    "2021-01-05t10:00:00Z": "2021-01-05T10:00:00Z",
    "2021-01-05T10:00:00,123Z": "2021-01-05T10:00:00.123Z",
    "2021-01-05": "invalid_timestamp",
    "20210105T100000Z": "2021-01-05T10:00:00Z",
    "2021-01-05T24:00:00Z": "invalid_timestamp",
    "2021-01-05T23:59:60Z": "invalid_timestamp",
    "Tue, 05 Jan 2021 10:00:00 GMT": "invalid_timestamp",
    "2021-01-05T10:00:00.1234567+01:00": "2021-01-05T09:00:00.123456Z",
    "2021-01-05T10:00:00-00:00": "2021-01-05T10:00:00Z",
    " 2021-01-05T10:00:00Z": "2021-01-05T10:00:00Z",
    "2021-01-05T10:00:00Z[UTC]": "invalid_timestamp",
    "2021-1-5 10:00:00": "invalid_timestamp",
    1609840801000: "2021-01-05T10:00:01Z",
    1609840802: "2021-01-05T10:00:02Z",
    "1609840803.5": "2021-01-05T10:00:03.5Z",
}


def test_an_instant_is_read_in_each_of_its_spellings(run, tmp_path):
    loads = [
        LOAD | {"timestamp": text, "initiator_id": n}
        for n, text in enumerate(SPELLINGS)
    ]
    written(tmp_path, *loads)
    ended = run(*TABLE_JOBS, max_rejected_ratio=1)
    assert ended.code == 0, ended.error
    is_rejected = [expected.startswith("invalid") for expected in SPELLINGS.values()]
    stored = [micros(e) for e in SPELLINGS.values() if not e.startswith("invalid")]
    assert sorted(instants(tmp_path / "out")) == sorted(stored)
    assert reasons(tmp_path / "out") == ["invalid_timestamp"] * sum(is_rejected)


@pytest.mark.long_on_spark
def test_an_event_of_a_clock_that_is_ahead_changes_no_week(run, tmp_path):
    registered = LOAD | {"event": "registered", "timestamp": "2021-01-04 00:00:00"}
    events = [registered, LOAD, LOAD | {"timestamp": "2021-01-12T10:00:00Z"}]
    weeks = []
    for more in ([], [LOAD | {"timestamp": "2037-05-01T00:00:00Z"}]):
        written(tmp_path, *events, *more)
        ended = run(*TABLE_JOBS, max_rejected_ratio=0.5)
        assert ended.code == 0, ended.error
        weeks.append(
            [
                published.rows(tmp_path / "out", table)
                for table in (WEEKLY_SUMMARY, WEEKLY_RETENTION)
            ]
        )
    assert weeks[0] == weeks[1]
    assert reasons(tmp_path / "out") == ["future_timestamp"]


@pytest.mark.long_on_spark
def test_by_default_the_data_begin_in_2000_and_end_a_day_from_now(run, tmp_path):
    now = datetime.now(UTC)
    kept = ["2000-01-01T00:00:00Z", (now + timedelta(hours=23)).isoformat()]
    not_kept = ["1999-12-31T23:59:59.999999Z", (now + timedelta(hours=25)).isoformat()]
    written(tmp_path, *(LOAD | {"timestamp": at} for at in kept + not_kept))
    assert run(*TABLE_JOBS, max_rejected_ratio=1).code == 0
    assert sorted(instants(tmp_path / "out")) == [*map(micros, kept)]
    assert reasons(tmp_path / "out") == ["future_timestamp", "past_timestamp"]


LIMITS = {
    # A date is its midnight in REPORTING_TIMEZONE, New York's.
    ("2021-01-01", "2021-01-02"): ("2021-01-01T05:00:00Z", "2021-01-02T05:00:00Z"),
    ("2021-01-01T00:00:00Z", "2021-01-01T01:00:00+01:00"): None,
    ("2021-01-02", "2021-01-01"): None,
    ("2021-01-01T12:00:00Z", "2021-01-01T12:00:00.000001Z"): (
        "2021-01-01T12:00:00Z",
        "2021-01-01T12:00:00.000001Z",
    ),
}


@pytest.mark.long_on_spark
@pytest.mark.parametrize("settings", LIMITS, ids=str)
def test_the_limits_of_the_data_can_be_set(run, tmp_path, settings):
    data_from, data_until = settings
    limits = LIMITS[settings]
    first, until = map(micros, limits or ("2021-01-01T00:00Z", "2021-01-02T00:00Z"))
    at = [first - 1, first, until - 1, until]
    written(tmp_path, *(LOAD | {"timestamp": each} for each in at))
    ended = run(
        *TABLE_JOBS,
        max_rejected_ratio=1,
        reporting_timezone="America/New_York",
        data_from=data_from,
        data_until=data_until,
    )
    if limits is None:
        assert ended.code == 2
        assert ended.error == (
            f"error: DATA_UNTIL={data_until}: it takes an instant after"
            f" DATA_FROM={data_from}"
        )
        return
    assert ended.code == 0, ended.error
    assert {*instants(tmp_path / "out")} == {first, until - 1}
    assert reasons(tmp_path / "out") == ["future_timestamp", "past_timestamp"]
