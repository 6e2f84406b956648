"""The page on a phone, in the dark, by keyboard and in print."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.page.conftest import (
    DESKTOP,
    EMPTY,
    PHONE,
    WEEKS,
    named_week,
    ordinary,
    rendered,
)

HOSTILE = [
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "</style></title><img src=x onerror='window.ran = 1'>",
    "\"'><svg onload=window.ran=1>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.ran=1",
    "&lt;b&gt;&amp;",
    "\u202egnp.exe\x00\x1b[31m",
    "https://example.com/x.png",
    "W" * 5000,
]

PAGES = {
    "ordinary": rendered(ordinary()),
    "empty": rendered(EMPTY, None),
    "hostile": rendered(
        ordinary(
            first_sessions_by_genre=[(name, 50, 20, 20, 50) for name in HOSTILE],
            dropoff_by_version=[(name, name, 50, 20, 9, 1) for name in HOSTILE],
        )
    ),
    "large": rendered(
        ordinary(
            conversion_by_week=[
                (*named_week(year, week), 90_000_000, week, True)
                for year in range(2000, 2020)
                for week in range(1, 53)
            ],
            retention_by_week=[
                (*named_week(2019, week), n, 90_000_000, 1_000_000, True)
                for week in range(1, 53)
                for n in range(60)
            ],
            first_sessions_by_genre=[(f"g {n}", 9, 4, 3, 9) for n in range(300)],
            dropoff_by_version=[("a", f"1.{n}", 40, n % 40, 0, 0) for n in range(300)],
        )
    ),
}


def boxes(opened: Any, selector: str) -> list[dict[str, float]]:
    found = opened.page.locator(selector).all()
    return [box for one in found if (box := one.bounding_box())]


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_charts_are_drawn(show, width):
    opened = show(PAGES["ordinary"], width)
    [chart] = boxes(opened, ".chart")
    dots = boxes(opened, ".chart .dot")
    weeks = boxes(opened, ".chart .week:not(.open)")
    assert len(dots) == len(boxes(opened, ".chart .interval")) == len(weeks) == 5
    for dot in dots:
        assert dot["width"] > 8
        assert chart["x"] <= dot["x"] <= chart["x"] + chart["width"]
        assert chart["y"] <= dot["y"] + dot["height"] <= chart["y"] + chart["height"]
    places = [dot["x"] for dot in dots]
    assert places == sorted(set(places))
    # The rates grow from week to week, so each dot is higher than the one before.
    heights = [dot["y"] for dot in dots]
    assert heights == sorted(heights, reverse=True)
    genres = boxes(opened, "table:has(#genre-caption) .bar .dot")
    assert len(genres) == 3
    assert genres[0]["x"] > genres[-1]["x"]
    assert all(box["width"] > 60 for box in boxes(opened, "section > .scroll .bar"))


def test_an_unfinished_week_is_shown_as_unfinished(show):
    opened = show(PAGES["ordinary"])
    assert opened.page.locator(".heat td.open").count() == len(WEEKS)
    assert opened.page.locator(".heat td[class^=h]").count() == sum(range(len(WEEKS)))
    assert "not over" in opened.page.locator(".heat td.open").first.inner_text()
    for week in opened.page.locator(".chart .week.open").all():
        assert week.inner_html().count("<circle") == 0
        assert "…" in week.inner_html()
    assert opened.page.locator(".chart .week.open").count() == 2


def test_a_flag_is_a_word_and_a_sign_and_not_colour_alone(show):
    opened = show(PAGES["ordinary"])
    [flagged] = opened.page.locator("#by-version ~ tbody .is-flagged").all()
    assert "Android 14 · 3.2.0" in flagged.inner_text()
    assert "▲ abnormally high" in flagged.inner_text()
    [suspicious] = opened.page.locator("#by-version ~ tbody .is-suspicious").all()
    assert "△ high, too few sessions" in suspicious.inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_makes_no_request_and_prints_no_message(show, name):
    opened = show(PAGES[name])
    opened.page.wait_for_load_state("networkidle")
    assert opened.requests == []
    assert opened.messages == []


def test_hostile_names_are_shown_and_run_nothing(show):
    opened = show(PAGES["hostile"])
    assert opened.page.evaluate("window.ran") is None
    assert opened.page.locator("script, img, iframe, [onload], [onerror]").count() == 0
    names = opened.page.locator("table:has(#genre-caption) tbody th").all_inner_texts()
    for name in HOSTILE[:7]:
        assert name in names
    assert "\\u202egnp.exe\\x00\\x1b[31m" in names
    assert "W" * 59 + "…" in names


def test_the_page_would_run_no_script_that_got_into_it(show):
    opened = show(PAGES["ordinary"])
    opened.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'window.ran = 1'}))"
    )
    assert opened.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in text for text in opened.messages)


@pytest.mark.parametrize("name", ["ordinary", "empty", "hostile"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_is_accessible(show, name, scheme, width):
    opened = show(PAGES[name], width, scheme)
    for details in opened.page.locator("summary").all():
        details.click()
    found = Axe().run(opened.page).response["violations"]
    assert [
        (broken["id"], broken["impact"], broken["nodes"][0]["html"]) for broken in found
    ] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_need_not_scroll_sideways(show, name):
    opened = show(PAGES[name], PHONE)
    for details in opened.page.locator("summary").all():
        details.click()
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE


def test_every_part_can_be_reached_by_keyboard(show):
    opened = show(PAGES["ordinary"], PHONE)
    wanted = opened.page.locator("a, summary, .scroll").all()
    reached = []
    for _ in range(len(wanted) + 5):
        opened.page.keyboard.press("Tab")
        reached.append(
            opened.page.evaluate(
                "document.activeElement.getAttribute('aria-labelledby')"
                " ?? document.activeElement.textContent"
            )
        )
        if reached[-1].startswith("The numbers"):
            opened.page.keyboard.press("Enter")
    assert reached[0] == "Skip to the answers"
    assert {"Coming back", "by-os", "by-version", "heat-caption"} <= set(reached)
    assert opened.page.locator("figure details").get_attribute("open") is not None


def test_without_data_the_page_has_notes_instead_of_figures(show):
    text = show(PAGES["empty"]).page.locator("body").inner_text()
    assert "There are no events yet" in text
    assert text.count("Too little data") == 8
    assert "The ledger of the run that the tables came from is lost" in text


def test_in_print_tables_are_open_and_links_are_hidden(show):
    opened = show(PAGES["ordinary"], scheme="dark")
    opened.page.emulate_media(media="print")
    assert not opened.page.locator("nav").is_visible()
    assert opened.page.locator("figure details table").is_visible()
    paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
