"""The page as text; test_browser.py opens it in a browser."""

import re
from datetime import date

import pytest

from jobs.findings import Finding
from jobs.report.answers import answers
from jobs.report.model import SystemCount
from jobs.report.page import heat, interval, name, page, percent, probability
from tests.support.counts import counts
from tests.support.simulation import DEFAULTS

RULES = {
    "reporting_timezone": "Asia/Tokyo",
    "conversion_mode": "first",
    "conversion_week_offset": 1,
}
MONDAY = date(2020, 12, 28)
COUNTS = counts(
    first_sessions_by_genre=[("a<b", 40, 20, 10, 40)],
    dropoff_by_version=[("i", "1", 100, 50, 9, 1), ("i", "2", 100, 10, 9, 1)],
    conversion_by_week=[("2020-53", MONDAY, 100, 18, True)],
    retention_by_week=[("2020-53", MONDAY, 0, 100, 18, True)],
    newest_events=[("app", 1_611_530_848_640_000)],
)


def text_of(rules=RULES, counts=COUNTS):
    html = page(answers(counts, None, rules, DEFAULTS))
    return " ".join(re.sub("<[^>]*>", "", html.split("</head>")[1]).split())


def test_the_page_answers_in_sentences():
    text = text_of()
    assert "The data end: app events on 24 Jan 2021, 23:27 UTC." in text
    assert (
        "18 % of new users come back the week after they register"
        " (95 % interval 12–27 %)" in text
    )
    assert "1 of 3 groups stands out as abnormally high" in text
    assert "Monday to Sunday in Asia/Tokyo" in text


@pytest.mark.parametrize(
    ("mode", "offset", "sentence"),
    [
        ("first", 0, "A user whose earliest load of the app lies in the week that"),
        ("any", 2, "A user who loads the app 2 weeks after they register."),
        ("any", -1, "A user who loads the app the week before they register."),
        (None, None, "come back in the week that counts"),
    ],
)
def test_the_page_defines_coming_back(mode, offset, sentence):
    known = {"conversion_mode": mode, "conversion_week_offset": offset}
    assert sentence in text_of(RULES | known if mode else {})


def test_the_page_says_what_looks_wrong_and_nothing_if_nothing_does():
    finding = Finding("missing_column", "users.csv has no column <b>.")
    html = page(answers(COUNTS, None, RULES, DEFAULTS, [finding]))
    assert "<li>users.csv has no column &lt;b&gt;.</li>" in html
    assert "What looks wrong?" not in text_of()


def test_a_week_is_finished_if_it_is_finished_in_the_answers():
    weeks = [
        ("2020-53", MONDAY, 100, 18, True),
        ("2021-01", date(2021, 1, 4), 100, 2, False),
    ]
    known = counts(conversion_by_week=weeks)
    assert "Of those whose week is over, it is 18 %" in text_of(counts=known)
    html = page(answers(known, None, RULES, DEFAULTS))
    assert re.findall("<td>(yes|not yet)</td>", html) == ["yes", "not yet"]
    assert html.count('class="week open"') == 1


@pytest.mark.parametrize(
    ("is_flagged", "is_suspicious", "total", "verdict"),
    [
        (False, False, 30, "ordinary"),
        (False, False, 29, "few"),
        (False, True, 30, "suspicious"),
        (True, False, 29, "flagged"),
    ],
)
def test_a_verdict_follows_from_the_answers(is_flagged, is_suspicious, total, verdict):
    found = answers(COUNTS, None, RULES, DEFAULTS)
    group = found["dropoff"]["by_app_version"][0]
    given = {"is_flagged": is_flagged, "is_suspicious": is_suspicious, "total": total}
    group["sessions"] |= given
    name = '<th scope="row"><bdi>i</bdi> · <bdi>1</bdi></th>'
    rows = re.findall(rf'<tr class="is-(\w+)">\s*{name}', page(found))
    assert rows == [verdict]


def test_the_page_shows_groups_without_a_row_of_their_own_together():
    few = ("i", "1", 100, 50, 9, 1)
    known = counts(
        first_sessions_by_genre=[("a", 40, 20, 10, 40), (None, 50, 9, 5, 25, 1234)],
        dropoff_by_version=[few, (None, None, 200, 20, 9, 1, 5678)],
        dropoff_by_os=[SystemCount("i", 300, 70, 18, 2)],
    )
    text = text_of(counts=known)
    assert "1,234 smaller together" in text
    assert "5,678 smaller together" in text
    assert text.count("smaller together") == 2
    assert "None of 2 groups" in text or "1 of 2 groups" in text
    assert "5,678 smaller ones are not compared" in text
    assert "not compared" not in text_of()


def test_the_page_is_one_small_file_without_a_script_or_an_address():
    html = page(answers(COUNTS, None, RULES, DEFAULTS))
    assert html.startswith("<!doctype html>")
    assert len(html) < 100_000
    assert "a&lt;b" in html
    assert "<script" not in html
    assert not re.search(r"https?:|url\(|src=|@import", html)


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.18, "18 %"),
        (0.004, "< 1 %"),
        (0.996, "> 99 %"),
        (1.0, "100 %"),
    ],
)
def test_a_percentage_is_never_rounded_to_none_or_all(share, shown):
    assert percent(share).replace("\u202f", " ") == shown


def test_small_shares_and_probabilities_keep_their_size():
    assert percent(0.0004, 1) == "<\u202f0.1\u202f%"
    assert probability(0.0004) == "< 0.001"
    assert probability(0.05) == "0.050"
    assert probability(None) == "–"
    assert interval({"rate": None, "low": None, "high": None}) == "–"


def test_a_name_is_cut_and_shown_without_control_signs():
    assert name("a\x00\u202eb") == "a\\x00\\u202eb"
    assert name("x" * 61) == "x" * 59 + "…"
    assert name("x" * 60) == "x" * 60


def test_the_hottest_cell_is_the_darkest_and_a_zero_has_no_heat():
    assert [heat(rate, 0.5) for rate in (0, 0.001, 0.25, 0.5)] == [0, 1, 4, 7]
    assert heat(0, 0) == 0
