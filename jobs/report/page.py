"""Turns answers into one HTML page, which works offline, without scripts and in print.

The template draws the charts as SVG, with the same numbers in a table beside them.
Vega-Lite is not used: with its bundle, the page would be 0.9 MB and need scripts.
Drawing the charts in advance would take 84 MB of wheels and 0.4 s a chart. A page
without scripts can forbid all scripts, so a hostile name in the data cannot run any.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from math import ceil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobs.quoting import short

Answer = dict[str, Any]

_HERE = Path(__file__).parent
_THIN = "\u202f"

FEW = 30
"""A rate of fewer rows is marked, since its interval is wide."""

MOST_ROWS = 40
MOST_WEEKS = 26
HEAT_LEVELS = 7


def page(answers: Answer) -> str:
    """The page as HTML; the same answers give the same page."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "interval": interval,
        "number": number,
        "name": name,
        "day": day,
        "moment": moment,
        "q": probability,
        "across": across,
    }
    template = environment.get_template("page.html")
    cohorts = answers["retention"][-MOST_WEEKS:]
    shown = {
        "style": style,
        "policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'",
        "few": FEW,
        "most_rows": MOST_ROWS,
        "heat": heat,
        "heat_levels": HEAT_LEVELS,
        "conversion": _of_last_weeks(answers["conversion"]),
        "cohorts": cohorts,
        "hottest": _hottest(cohorts),
        "genres": answers["retained_within_3d"]["by_genre"][:MOST_ROWS],
        "other_genres": answers["retained_within_3d"]["other_genres"],
        "groups": _groups(answers["dropoff"]),
    }
    return template.render(answers | shown)


def percent(share: float | None, decimals: int = 0) -> str:
    """``18 %``; a share that is not quite 0 or 1 is never shown as such."""
    if share is None:
        return "–"
    shown = f"{100 * share:.{decimals}f}"
    least = 10**-decimals
    if share > 0 and float(shown) == 0:
        shown = f"<{_THIN}{least:g}"
    if share < 1 and float(shown.lstrip(f"<{_THIN}")) == 100:
        shown = f">{_THIN}{100 - least:g}"
    return f"{shown}{_THIN}%"


def interval(rate: Answer) -> str:
    """``12–27 %``, the 95 % interval of a rate."""
    if rate["rate"] is None:
        return "–"
    return f"{100 * rate['low']:.0f}–{100 * rate['high']:.0f}{_THIN}%"


def number(whole: int) -> str:
    return f"{whole:,}"


def name(text: str) -> str:
    """A name from the data, made short, and with control characters escaped."""
    return short(text)


def day(iso: str) -> str:
    """``16 Nov 2020``."""
    return f"{date.fromisoformat(iso):%-d %b %Y}"


def moment(iso: str) -> str:
    """``24 Jan 2021, 23:27 UTC``."""
    return f"{datetime.fromisoformat(iso):%-d %b %Y, %H:%M} UTC"


def probability(q: float | None) -> str:
    if q is None:
        return "–"
    return "< 0.001" if q < 0.001 else f"{q:.3f}"


def across(share: float) -> str:
    """A share as a place in a drawing, from 0 % to 100 %."""
    return f"{100 * share:.2f}%"


def heat(rate: float, hottest: float) -> int:
    """The strength of a cell's colour, from 0 to HEAT_LEVELS."""
    return ceil(rate / hottest * HEAT_LEVELS) if hottest else 0


def _hottest(cohorts: Sequence[Answer]) -> float:
    return max(
        (week["rate"] or 0 for cohort in cohorts for week in cohort["weeks"]), default=0
    )


def _of_last_weeks(conversion: Answer) -> Answer:
    shown = conversion["by_week"][-MOST_WEEKS:]
    over = (week["high"] for week in shown if week["is_finished"])
    highest = max(over, default=0)
    return conversion | {
        "shown": shown,
        "when": _when(conversion["week_offset"]),
        "top": max(0.2, ceil(highest * 5) / 5),
        "every": ceil(len(shown) / 10),
    }


def _when(week_offset: int | None) -> str:
    """The week that counts, as a part of a sentence."""
    if week_offset is None:
        return "in the week that counts"
    weeks = "the week" if abs(week_offset) == 1 else f"{abs(week_offset)} weeks"
    if week_offset == 0:
        return "in the week that they register"
    return f"{weeks} {'after' if week_offset > 0 else 'before'} they register"


def _groups(dropoff: Answer) -> Answer:
    """Groups with their verdicts, the most important first."""
    limits = dropoff["limits"]
    groups = [
        group | {"verdict": _verdict(group["sessions"], limits)}
        for group in dropoff["by_device_os"] + dropoff["by_app_version"]
    ]
    order = ("flagged", "suspicious", "ordinary", "few")
    groups.sort(key=lambda group: order.index(group["verdict"]))
    systems = [group for group in groups if "app_version" not in group]
    versions = [group for group in groups if "app_version" in group]
    others = dropoff["other_device_os"], dropoff["other_app_versions"]
    return {
        "flagged": [group for group in groups if group["verdict"] == "flagged"],
        "suspicious": [group for group in groups if group["verdict"] == "suspicious"],
        "too_small": sum(
            g["sessions"]["total"] < limits["dropoff_min_sessions"] for g in groups
        ),
        "total": len(groups),
        "not_compared": sum(other["groups"] for other in others if other),
        "systems": systems,
        "judged": [group for group in versions if group["verdict"] != "few"],
        "few": [group for group in versions if group["verdict"] == "few"],
    }


def _verdict(rate: Answer, limits: Answer) -> str:
    if rate["is_flagged"]:
        return "flagged"
    if rate["is_suspicious"]:
        return "suspicious"
    return "few" if rate["total"] < limits["dropoff_min_sessions"] else "ordinary"
