"""Queries whose rows a reader of a Delta table may miss if its statistics are wrong."""

import json
import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from jobs.settings import DELTA
from jobs.tables import Table
from tests.support import published

LONG = "a text that is longer than any bound in a log, "
TEXTS = (
    "x",
    LONG + "1",
    LONG + "2",
    LONG[:32],
    LONG[:32] + "\U0010ffff",
    LONG[:32] + "\U0010ffff\U0010ffff and more",
    "\u00e9" * 200,  # DuckDB writes no bounds for such a text
    "\u00e9" * 5000,  # nor does Spark for this one
    "\U0001f600 \uff5e'\"\\\n\t",
    "",
    None,
)
INSTANTS = (
    "2021-01-04T00:00:00.000001Z",
    "2021-01-04T12:00:00.999999Z",
    "2021-01-05T00:00:00.001Z",
    "2021-01-05T23:59:59.999999Z",
)
VALUES = (0, 7.25, "99999999999.999999", None)


class Predicate(NamedTuple):
    """A condition on a column. The operator is one of SQL; ``IS NULL`` has no value."""

    column: str
    operator: str
    value: Any


def write_input(folder: Path) -> None:
    """Write events and CSV files that have such texts, instants, numbers and NULLs."""
    folder.mkdir(parents=True)
    lines = []
    for n in range(4 * len(TEXTS)):
        text, at = TEXTS[n % len(TEXTS)], INSTANTS[n % len(INSTANTS)]
        user = f"u{n % 5}" if n % 7 else LONG + f"{n}"
        lines += [
            {
                "event_name": ("watch_time", "session_start", "like")[n % 3],
                "timestamp": at,
                "user_id": user,
                "value": VALUES[n % len(VALUES)],
                "video_id": f"v{n % 3}",
                **dict.fromkeys(("account_id", "session_id", "device"), text),
                **dict.fromkeys(("device_os", "app_version", "country"), text),
            },
            {
                "event": ("registered", "app_loaded")[n % 2],
                "timestamp": at,
                "initiator_id": 2**62 + n,
                **dict.fromkeys(("channel", "device_type"), text),
            },
            {"event_name": text or "x", "timestamp": "never", "user_id": user},
        ]
    with (folder / "events.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    (folder / "users.csv").write_text(
        "user_id,signup_date,gender\nu1,2021-01-01,f\nu2,2020-12-31,\nu3,,m\n"
    )
    (folder / "videos.csv").write_text(
        f"video_id,title,duration_seconds\nv1,{LONG}1,7\nv2,{LONG}2,\nv3,,1\n"
    )


def log_of(prefix: Path, table: Table) -> Path:
    """The folder of a Delta table."""
    return prefix / table.name / f"format={DELTA}"


def predicates(prefix: Path, table: Table) -> Iterator[tuple[Predicate, int]]:
    """Conditions at, within and just beyond the bounds of each column.

    Each comes with the number of its rows, by a scan of all files.
    """
    rows = published.typed_rows(prefix, table)
    for column in table.schema:
        values = [row[column.name] for row in rows]
        yield Predicate(column.name, "IS NULL", None), values.count(None)
        there = [value for value in values if value is not None]
        if not there:
            continue
        for bound, outwards, inwards in (
            (min(there), "<=", "<"),
            (max(there), ">=", ">"),
        ):
            pairs = [("=", bound), (outwards, bound)]
            pairs += [(op, v) for v in _neighbours(bound) for op in ("=", inwards)]
            for operator, value in pairs:
                number = sum(_holds(each, operator, value) for each in there)
                yield Predicate(column.name, operator, value), number


def _neighbours(value: Any) -> tuple[Any, ...]:
    """The values just below and just above, if there are such values."""
    match value:
        case bool():
            return (not value,)
        case int():
            return value - 1, value + 1
        case Decimal():
            return value - Decimal("0.000001"), value + Decimal("0.000001")
        case float():
            return math.nextafter(value, -math.inf), math.nextafter(value, math.inf)
        case datetime():
            step = timedelta(microseconds=1)
            return value - step, value + step
        case date():
            return value - timedelta(days=1), value + timedelta(days=1)
        case _:
            return value[:-1], value + "!"


def _holds(one: Any, operator: str, other: Any) -> bool:
    if isinstance(one, str):
        one, other = one.encode(), other.encode()
    equal, less = one == other, one < other
    return bool(
        {"=": equal, "<": less, "<=": less or equal}.get(
            operator, not less and (operator == ">=" or not equal)
        )
    )
