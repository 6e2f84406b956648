"""Local times in the input, and local days of zones whose rules Java does not know."""

import json
from datetime import UTC, datetime

import pytest

from jobs import zones
from jobs.tables import APP_LOADED, REJECTED_EVENTS, WEEKLY_SUMMARY
from tests.support import published
from tests.support.engine import micros
from tests.support.runs import TABLE_JOBS

pytestmark = pytest.mark.slow


def write(folder, *timestamps, event="app_loaded"):
    lines = (
        json.dumps({"event": event, "timestamp": at, "initiator_id": n})
        for n, at in enumerate(timestamps)
    )
    with (folder / "in" / "a.jsonl").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def loads(prefix):
    """The instant and the day of each app_loaded event, in the order of the lines."""
    columns = ("initiator_id", "time", "derived_tstamp_day")
    at = [APP_LOADED.column_names.index(name) for name in columns]
    rows = [[row[i] for i in at] for row in published.rows(prefix, APP_LOADED)]
    return [tuple(row[1:]) for row in sorted(rows, key=lambda row: int(row[0]))]


@pytest.mark.parametrize(
    ("zone", "before", "monday"),
    [
        pytest.param(
            *("America/Vancouver", "2026-12-07T06:59:59Z", "2026-12-07T07:00:00Z"),
            marks=pytest.mark.long_on_spark,
        ),
        ("America/Coyhaique", "2025-07-07T02:59:59Z", "2025-07-07T03:00:00Z"),
    ],
)
def test_a_week_begins_by_the_rules_of_tzdata(run, tmp_path, zone, before, monday):
    write(tmp_path, before, monday, event="registered")
    write(tmp_path, monday, monday)
    ended = run(*TABLE_JOBS, reporting_timezone=zone, data_until="2027-02-01")
    assert ended.code == 0, ended.error
    first, second = (datetime.fromisoformat(at).date() for at in (before, monday))
    assert first == second  # It is one day in UTC.
    weeks = published.rows(tmp_path / "out", WEEKLY_SUMMARY)
    year, week, _ = second.isocalendar()
    assert [(row[-1], row[2]) for row in weeks] == [
        (f"{year}-{week - 1:02}", 1),
        (f"{year}-{week:02}", 0),
    ]
    assert {day for _, day in loads(tmp_path / "out")} == {str(second)}
    assert published.ledger(tmp_path / "out")["tzdata"] == zones.VERSION


TIMES = {
    "2021-03-14T01:59:59.9999999": "2021-03-14T06:59:59.999999Z",
    "2021-03-14T02:30:00": "2021-03-14T07:30:00Z",
    "20210314T030000": "2021-03-14T07:00:00Z",
    " 2021-11-07  01:30 ": "2021-11-07T05:30:00Z",
    "20211107t0159": "2021-11-07T05:59:00Z",
    "2021-11-07T02:00:00,5": "2021-11-07T07:00:00.5Z",
    # These say their offset, or are no local time.
    "2021-11-07T01:30:00Z": "2021-11-07T01:30:00Z",
    "2021-11-07 01:30:00 UTC": "2021-11-07T01:30:00Z",
    "2021-11-07T01:30-05": "2021-11-07T06:30:00Z",
    "20211107T013000+0000": "2021-11-07T01:30:00Z",
    "1636248600": "2021-11-07T01:30:00Z",
    " 1636248600.5 ": "2021-11-07T01:30:00.5Z",
}


def test_a_time_without_an_offset_is_of_the_input_time_zone(run, tmp_path):
    write(tmp_path, *TIMES)
    ended = run(*TABLE_JOBS, input_timezone="America/New_York")
    assert ended.code == 0, ended.error
    assert loads(tmp_path / "out") == [
        (micros(at), datetime.fromisoformat(at).astimezone(UTC).date().isoformat())
        for at in TIMES.values()
    ]


@pytest.mark.parametrize(
    ("zone", "kept", "rejected"),
    [
        ("America/New_York", "0001-01-01T04:56:02Z", "0001-01-01T04:56:01Z"),
        ("Asia/Tokyo", "9999-12-31T14:59:59Z", "9999-12-31T15:00:00Z"),
    ],
)
def test_the_days_of_events_have_years_from_1_to_9999(
    run, tmp_path, zone, kept, rejected
):
    write(tmp_path, kept, event="registered")
    write(tmp_path, kept, rejected)
    ended = run(
        *TABLE_JOBS,
        max_rejected_ratio=1,
        reporting_timezone=zone,
        data_from="0001-01-01T00:00:00Z",
        data_until="9999-12-31T23:59:59Z",
    )
    assert ended.code == 0, ended.error
    assert loads(tmp_path / "out") == [(micros(kept), kept[:10])]
    [row] = published.rows(tmp_path / "out", REJECTED_EVENTS)
    assert row[-1] in ("past_timestamp", "future_timestamp")
    [week] = published.rows(tmp_path / "out", WEEKLY_SUMMARY)
    year, number, _ = datetime.fromisoformat(kept).isocalendar()
    assert week[-1] == f"{year:04}-{number:02}"
