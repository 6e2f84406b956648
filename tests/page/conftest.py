"""The report's page in a real Chromium, which may load only this page."""

import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from jobs.ledger import LineAccount
from jobs.report.answers import Counts, answers
from jobs.report.page import page
from tests.support.counts import counts
from tests.support.engine import micros
from tests.support.simulation import DEFAULTS

PHONE, DESKTOP = 390, 1280
NEWEST = [
    ("app", micros("2021-01-24T23:27:28Z")),
    ("playback", micros("2021-01-23T22:17:56Z")),
]
RULES = {
    "reporting_timezone": "UTC",
    "conversion_mode": "first",
    "conversion_week_offset": 1,
}


def named_week(year: int, week: int) -> tuple[str, date]:
    """The name of an ISO week, and its Monday."""
    return f"{year}-{week:02}", date.fromisocalendar(year, week, 1)


WEEKS = [named_week(2020, week) for week in range(50, 54)]
WEEKS += [named_week(2021, week) for week in range(1, 4)]
ACCOUNT = LineAccount(
    read=4046,
    stored={"app_loaded": 369, "playback_events": 2742, "user_registration": 104},
    duplicates={"app_loaded": 6, "playback_events": 40, "user_registration": 1},
    ignored={"button_clicked": 236, "page_view": 218, "search": 238},
    rejected={"malformed_json": 92},
)


def ordinary(**given: Any) -> Counts:
    """Counts with a flagged, a suspicious and a small group, and unfinished weeks."""
    rows: dict[str, Any] = {
        "first_sessions_by_genre": [
            ("Drama", 180, 120, 140, 170),
            ("Comedy", 10, 4, 3, 10),
            (None, 80, 40, 45, 80),
        ],
        "dropoff_by_version": [
            ("Android 14", "3.2.0", 120, 74, 40, 26),
            ("Android 14", "3.1.0", 300, 51, 90, 15),
            ("iOS 17.1", "3.2.0", 280, 48, 90, 16),
            ("iOS 17.1", "4.0.0", 12, 11, 2, 1),
            (None, None, 9, 1, 3, 0),
        ],
        "conversion_by_week": [
            (*week, 40 + n, 6 + n, n + 1 < len(WEEKS) - 1)
            for n, week in enumerate(WEEKS)
        ],
        "retention_by_week": [
            (*week, n, 40, 20 - n, first + n < len(WEEKS) - 1)
            for first, week in enumerate(WEEKS)
            for n in range(len(WEEKS) - first)
        ],
        "newest_events": NEWEST,
    }
    return counts(**rows | given)


def rendered(known: Counts, lines: LineAccount | None = ACCOUNT) -> str:
    return page(answers(known, lines, RULES, DEFAULTS))


EMPTY = counts()


class Opened:
    """A page in a tab of its own.

    Attributes:
        page: the page of Playwright.
        requests: the address of each request, except that for the page itself.
        messages: the texts of the console, and errors.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.messages: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))

    def show(self, path: Path) -> None:
        address = path.as_uri()

        def answer(route: Route) -> None:
            if route.request.url == address:
                route.continue_()
            else:
                self.requests.append(route.request.url)
                route.abort()

        self.page.route("**/*", answer)
        self.page.goto(address)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # A container lacks the rights for Chromium's sandbox; it opens only this page.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def show(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a page with a width and a colour scheme."""
    contexts = []

    def show_it(text: str, width: int = DESKTOP, scheme: Any = "light") -> Opened:
        path = tmp_path / "index.html"
        path.write_text(text, encoding="utf-8")
        contexts.append(
            chromium.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme
            )
        )
        opened = Opened(contexts[-1].new_page())
        opened.show(path)
        return opened

    yield show_it
    for context in contexts:
        context.close()
