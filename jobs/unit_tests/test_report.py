"""The counts of the report, and the answers from them."""

import json
from datetime import date

from jobs.ledger import LineAccount
from jobs.report import model
from jobs.report.answers import answers, rate
from jobs.tables import WEEKLY_RETENTION, WEEKLY_SUMMARY
from tests.support.counts import counts
from tests.support.engine import micros
from tests.support.simulation import DEFAULTS

SESSIONS = (
    "device_os STRING, app_version STRING, first_genre STRING, session_number INT,"
    " reached_30s INT, dropoff_under_10s INT, retained_next_session_within_3d INT,"
    " retention_observed BOOLEAN"
)
RULES = {
    "reporting_timezone": "America/New_York",
    "conversion_mode": "first",
    "conversion_week_offset": 1,
}


def answered(rules=RULES, **given):
    return answers(counts(**given), None, rules, DEFAULTS)


def dropoff_of(versions):
    return answered(dropoff_by_version=versions)["dropoff"]


def test_genres_are_those_of_first_sessions_and_an_unknown_one_is_kept(table, rows_of):
    rows = [
        ["i", "1", "drama", 1, 1, 0, 1, True],
        ["i", "1", "drama", 1, 0, 1, 0, False],
        ["i", "1", "drama", 2, 1, 0, 1, True],
        ["i", "1", None, 1, 0, 0, 0, True],
    ]
    genres = model.first_sessions_by_genre(table(SESSIONS, rows))
    assert rows_of(genres) == [("drama", 2, 1, 1, 1), (None, 1, 0, 0, 1)]


def test_dropoff_is_counted_over_all_sessions_and_over_first_ones(table, rows_of):
    rows = [
        ["i", "1", None, 1, 0, 1, 0, True],
        ["i", "1", None, 2, 0, 1, 0, True],
        ["i", "1", None, 3, 0, 0, 0, True],
        ["i", None, None, 1, 0, 0, 0, True],
        [None, None, None, 1, 0, 1, 0, True],
    ]
    versions = rows_of(model.dropoff_by_version(table(SESSIONS, rows)))
    assert versions == [
        ("i", "1", 3, 2, 1, 1),
        ("i", None, 1, 0, 1, 0),
        (None, None, 1, 1, 1, 1),
    ]


COUNTS = "name STRING, version STRING, sessions BIGINT, dropped BIGINT"


def test_a_system_has_the_counts_of_its_versions(table, rows_of):
    rows = [
        ["i", "1", None, 1, 0, 1, 0, True],
        ["i", None, None, 2, 0, 0, 0, True],
        [None, "1", None, 1, 0, 1, 0, True],
    ]
    versions = model.dropoff_by_version(table(SESSIONS, rows))
    assert rows_of(model.dropoff_by_os(versions)) == [
        ("i", 2, 1, 1, 1),
        (None, 1, 1, 1, 1),
    ]


def test_up_to_100_groups_have_a_row_each(table, rows_of):
    rows = [[f"{n:03}", "1", n, 1] for n in range(100)]
    largest = model.largest(table(COUNTS, rows), "name", "version")
    assert rows_of(largest) == [(*row, 0) for row in rows]
    assert rows_of(model.largest(table(COUNTS, []), "name", "version")) == []


def test_smaller_groups_are_added_up_in_one_row(table, rows_of):
    rows = [[f"{n:03}", "1", 1000 + n, 1] for n in range(100)]
    smaller = [["a", "1", 999, 7], ["b", None, 2, 1], [None, None, 1, 0]]
    largest = model.largest(table(COUNTS, smaller + rows), "name", "version")
    assert rows_of(largest) == [
        *((*row, 0) for row in rows),
        (None, None, 1002, 8, 3),
    ]


def test_of_equally_large_groups_the_first_names_stay_and_null_is_last(table, rows_of):
    rows = [[f"{n:03}", "1", 5, 1] for n in range(98)]
    ties = [["x", "2", 5, 1], ["x", None, 5, 1], [None, "1", 5, 1], [None, None, 6, 0]]
    largest = rows_of(model.largest(table(COUNTS, ties + rows), "name", "version"))
    # The unknown group is among the largest, and the row of the others is apart.
    assert [row for row in largest if row[0] is None or row[0] == "x"] == [
        ("x", "2", 5, 1, 0),
        (None, None, 10, 2, 2),
        (None, None, 6, 0, 0),
    ]


def test_the_newest_event_of_each_family_is_found(table, rows_of):
    first, second = "2021-01-01T00:00:00Z", "2021-01-01T00:00:00.000001Z"
    registered = table("time TIMESTAMP", [[second]])
    loaded = table("time TIMESTAMP", [[first]])
    played = table("timestamp TIMESTAMP", [])
    assert rows_of(model.newest_events(registered, loaded, played)) == [
        ("app", micros(second))
    ]


def test_weekly_tables_are_used_as_they_are(table, rows_of):
    start = date(2020, 12, 28)
    summary = table(WEEKLY_SUMMARY.schema, [[start, 3, 1, 33, False, "2020-53"]])
    weeks = rows_of(model.conversion_by_week(summary))
    assert weeks == [("2020-53", start, 3, 1, False)]
    row = ["2020-12-28", 2, 3, 1, None, False, "2020-53"]
    retention = table(WEEKLY_RETENTION.schema, [row])
    cohort_weeks = rows_of(model.retention_by_week(retention))
    assert cohort_weeks == [("2020-53", start, 2, 3, 1, False)]


def test_no_rows_give_no_counts(table, rows_of):
    none = table(SESSIONS, [])
    assert rows_of(model.first_sessions_by_genre(none)) == []
    assert rows_of(model.dropoff_by_version(none)) == []


def test_a_rate_without_rows_is_none():
    nothing = {"rate": None, "low": None, "high": None}
    assert rate(0, 0) == {"count": 0, "total": 0} | nothing
    found = answered()
    for of_nothing in (
        found["reached_30s"],
        found["retained_within_3d"]["all"],
        found["conversion"]["overall"],
        found["dropoff"]["sessions"],
    ):
        assert of_nothing == rate(0, 0)


def test_a_rate_has_its_interval():
    assert rate(81, 263) == {
        "count": 81,
        "total": 263,
        "rate": 0.307985,
        "low": 0.255289,
        "high": 0.36621,
    }


def test_a_week_is_finished_if_the_table_has_it_as_complete():
    # There is no newest event, setting or name of a week to derive it from.
    found = answered(
        rules={},
        conversion_by_week=[
            ("b", date(2021, 1, 4), 5, 1, False),
            ("a", date(2020, 12, 28), 10, 2, True),
        ],
    )["conversion"]
    weeks = [(week["week_start"], week["is_finished"]) for week in found["by_week"]]
    assert weeks == [("2020-12-28", True), ("2021-01-04", False)]
    assert found["finished"] == rate(2, 10)
    assert found["overall"] == rate(3, 15)


def test_no_week_is_finished_without_a_week():
    found = answered()["conversion"]
    assert found["finished"] == found["overall"] == rate(0, 0)


def test_without_their_ledger_the_lines_and_the_time_zone_are_unknown():
    found = answered(rules={})
    assert found["data"]["time_zone"] is None
    assert found["lines"] is None


def test_an_unfinished_cohort_week_has_no_rate():
    start = date(2020, 12, 28)
    [cohort] = answered(
        retention_by_week=[
            ("2020-53", start, 1, 4, 1, False),
            ("2020-53", start, 0, 4, 4, True),
        ]
    )["retention"]
    assert (cohort["week_start"], cohort["registered"]) == ("2020-12-28", 4)
    assert [week["rate"] for week in cohort["weeks"]] == [1.0, None]
    assert cohort["weeks"][1]["count"] == 1


def test_genres_are_ranked_by_their_observed_rate():
    found = answered(
        first_sessions_by_genre=[
            ("a", 10, 5, 1, 10),
            (None, 10, 5, 2, 4),
            ("b", 10, 5, 2, 4),
            ("c", 10, 5, 0, 0),
        ]
    )
    retained = found["retained_within_3d"]
    assert [g["genre"] for g in retained["by_genre"]] == ["b", None, "a", "c"]
    assert retained["by_genre"][0]["observed"] == rate(2, 4)
    assert retained["by_genre"][0]["all"] == rate(2, 10)
    assert retained["observed"] == rate(5, 18)
    assert found["reached_30s"] == rate(20, 40)


def test_genres_without_a_row_of_their_own_count_in_the_totals():
    found = answered(
        first_sessions_by_genre=[
            (None, 10, 5, 2, 4, 0),
            (None, 30, 6, 3, 6, 7),
        ]
    )
    retained = found["retained_within_3d"]
    assert [g["genre"] for g in retained["by_genre"]] == [None]
    assert retained["other_genres"] == {
        "groups": 7,
        "all": rate(3, 30),
        "observed": rate(3, 6),
    }
    assert retained["observed"] == rate(5, 10)
    assert found["reached_30s"] == rate(11, 40)
    assert answered()["retained_within_3d"]["other_genres"] is None


def test_groups_without_a_row_of_their_own_count_in_the_totals_and_are_not_compared():
    versions = [("i", "1", 100, 19, 50, 9), (None, None, 900, 90, 100, 5, 3000)]
    systems = [
        model.SystemCount("i", 400, 59, 90, 10),
        model.SystemCount(None, 600, 50, 60, 4, 2000),
    ]
    found = answered(dropoff_by_version=versions, dropoff_by_os=systems)["dropoff"]
    assert found["sessions"] == rate(109, 1000)
    assert found["first_sessions"] == rate(14, 150)
    assert found["other_device_os"] == {
        "groups": 2000,
        "sessions": rate(50, 600),
        "first_sessions": rate(4, 60),
    }
    assert found["other_app_versions"] == {
        "groups": 3000,
        "sessions": rate(90, 900),
        "first_sessions": rate(5, 100),
    }
    [version] = found["by_app_version"]
    [system] = found["by_device_os"]
    assert version["sessions"]["others_rate"] == 0.1
    # The two groups that have a row are all that p is corrected for.
    p_values = sorted(group["sessions"]["p"] for group in (version, system))
    q_values = sorted(group["sessions"]["q"] for group in (version, system))
    assert q_values[1] == p_values[1]


def test_without_other_groups_the_answers_have_none():
    found = dropoff_of([("i", "1", 100, 50, 10, 5)])
    assert found["other_device_os"] is found["other_app_versions"] is None


def test_a_group_is_compared_with_all_other_sessions():
    found = dropoff_of(
        [
            ("i", "1", 100, 50, 10, 5),
            ("i", "2", 100, 10, 10, 1),
            ("a", None, 200, 20, 20, 2),
        ]
    )
    assert found["sessions"] == rate(80, 400)
    assert found["first_sessions"] == rate(8, 40)
    assert [group["device_os"] for group in found["by_device_os"]] == ["i", "a"]
    worst = found["by_app_version"][0]
    assert (worst["device_os"], worst["app_version"]) == ("i", "1")
    assert worst["sessions"]["others_rate"] == 0.1
    assert worst["sessions"]["is_flagged"] is True
    assert worst["first_sessions"]["is_flagged"] is False  # only 10 of them
    assert [g["sessions"]["is_flagged"] for g in found["by_app_version"][1:]] == [
        False,
        False,
    ]


def test_every_group_counts_when_p_is_corrected():
    one = [("i", "1", 100, 19, 0, 0), ("i", "2", 1000, 100, 0, 0)]
    found = dropoff_of(one)
    p = found["by_app_version"][0]["sessions"]["p"]
    assert p < 0.05
    many = one + [("i", str(n), 100, 10, 0, 0) for n in range(3, 20)]
    group = dropoff_of(many)["by_app_version"][0]["sessions"]
    assert group["p"] < 0.05 < group["q"]
    assert not group["is_flagged"]


def test_a_single_group_is_compared_with_nothing():
    found = dropoff_of([(None, None, 3, 1, 1, 1)])
    [group] = found["by_device_os"]
    assert group["device_os"] is None
    alone = {"others_rate": None, "test": None, "p": None, "q": None}
    verdict = {"is_flagged": False, "is_suspicious": False}
    assert group["sessions"] == rate(1, 3) | alone | verdict


def test_a_high_dropoff_of_too_few_sessions_is_suspicious():
    found = dropoff_of([("i", "1", 12, 11, 40, 38), ("i", "2", 1000, 200, 1000, 200)])
    few, many = found["by_app_version"]
    assert (few["sessions"]["is_flagged"], few["sessions"]["is_suspicious"]) == (
        False,
        True,
    )
    # Each rate has a verdict of its own.
    of_first = few["first_sessions"]
    assert (of_first["is_flagged"], of_first["is_suspicious"]) == (True, False)
    assert many["sessions"]["is_suspicious"] is False


def test_no_sessions_are_not_suspicious():
    assert dropoff_of([])["by_app_version"] == []
    [group, _] = dropoff_of([("i", "1", 1, 1, 0, 0), ("i", "2", 1, 0, 0, 0)])[
        "by_app_version"
    ]
    assert group["first_sessions"]["is_suspicious"] is False


def test_lines_are_sorted():
    account = LineAccount(3, {"b": 1, "a": 1}, {}, {}, {"x": 1})
    found = answers(counts(), account, {}, DEFAULTS)["lines"]
    assert list(found["stored"]) == ["a", "b"]
    assert found["read"] == 3


def test_the_same_counts_in_another_order_give_the_same_bytes():
    given: dict[str, list[tuple[object, ...]]] = {
        "first_sessions_by_genre": [("a", 2, 1, 1, 2), ("b", 2, 1, 1, 2)],
        "dropoff_by_version": [("i", "1", 9, 4, 2, 1), (None, "1", 9, 4, 2, 1)],
        "conversion_by_week": [
            ("2020-53", date(2020, 12, 28), 3, 1, True),
            ("2021-01", date(2021, 1, 4), 3, 1, False),
        ],
        "retention_by_week": [
            ("2020-53", date(2020, 12, 28), 0, 3, 1, True),
            ("2021-01", date(2021, 1, 4), 0, 3, 1, True),
        ],
        "newest_events": [("app", 1), ("playback", 2)],
    }
    turned = {name: list(reversed(rows)) for name, rows in given.items()}
    assert json.dumps(answered(**turned)) == json.dumps(answered(**given))
