"""What looks wrong is found in generated events, and nothing else is."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from jobs.events_split.job import JOB as EVENTS_SPLIT
from tests.support import published

pytestmark = [pytest.mark.slow, pytest.mark.long]

INPUTS = 200
USERS, VIDEOS = 40, 20
FIRST_DAY = date(2021, 1, 4)
PLAYED = ("session_start", "watch_time", "watch_time", "heart", "like", "session_end")


@dataclass
class Input:
    """An input, and the count of each finding that was put into it."""

    chance: random.Random
    playbacks: list[dict[str, Any]] = field(default_factory=list)
    app_events: list[dict[str, Any]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    planted: dict[str, int | None] = field(default_factory=dict)

    @property
    def days(self) -> list[date]:
        found = {event["timestamp"].date() for event in self.playbacks}
        return sorted(found)


def clean(chance: random.Random) -> Input:
    """Events of 1 to 90 days in which nothing looks wrong."""
    made = Input(chance)
    usual, spread = chance.choice((60, 80, 120)), chance.choice((0.05, 0.1, 0.2))
    weekend, growth = chance.choice((0.5, 1, 1)), chance.choice((0, 0, 1))
    for number in range(chance.randint(1, 90)):
        day = FIRST_DAY + timedelta(days=number)
        events = usual + growth * usual * number / 90
        events *= chance.uniform(1 - spread, 1 + spread)
        for n in range(round(events * (weekend if day.weekday() > 4 else 1))):
            made.playbacks.append(
                {
                    "event_name": PLAYED[n % len(PLAYED)],
                    "timestamp": instant(chance, day),
                    "user_id": f"u{chance.randrange(USERS)}",
                    "video_id": f"v{chance.randrange(VIDEOS)}",
                    "session_id": f"s{number}-{n // 6}",
                    "event_id": f"e{number}-{n}",
                    "value": n % 50,
                }
            )
        for n in range(12):
            made.app_events.append(
                {
                    "event": ("registered", "app_loaded")[n % 2],
                    "timestamp": instant(chance, day),
                    "initiator_id": number * 12 + n,
                }
            )
    made.users = ["user_id,signup_date,subscription_tier,age_group,gender"]
    made.users += [f"u{n},2020-12-{n % 28 + 1:02},free,18-24,f" for n in range(USERS)]
    made.videos = ["video_id,title,genre,duration_seconds"]
    made.videos += [f"v{n},Video {n},Drama,{60 + n}" for n in range(VIDEOS)]
    return made


def instant(chance: random.Random, day: date) -> datetime:
    second = timedelta(seconds=chance.randrange(86_400))
    return datetime.combine(day, time(), UTC) + second


def another_spelling(made: Input) -> None:
    name = made.chance.choice(("watch_time", "session_start", "heart"))
    for event in made.playbacks:
        if event["event_name"] == name:
            event["event_name"] = name.title()
            made.planted["missing_name"] = (made.planted.get("missing_name") or 0) + 1


def only_other_app_events(made: Input) -> None:
    for event in made.app_events:
        event["event"] = made.chance.choice(("page_view", "click"))
    made.planted["all_app_events_ignored"] = len(made.app_events)


def column_of_another_name(made: Input) -> None:
    made.users[0] = made.users[0].replace("signup_date", "signup day")
    made.planted["missing_column"] = None


def unreadable_dates(made: Input) -> None:
    count = made.chance.randint(1, USERS)
    for n in range(1, count + 1):
        made.users[n] = made.users[n].replace("2020-", "12.", 1)
    made.planted["unreadable_values"] = count


def users_without_a_row(made: Input) -> None:
    del made.users[-USERS // 3 :]
    seen = {event["user_id"] for event in made.playbacks}
    known = {row.partition(",")[0] for row in made.users}
    made.planted["unknown_ids"] = len(seen - known)


def one_user(made: Input) -> None:
    for event in made.playbacks[:: made.chance.choice((2, 3))]:
        event["user_id"] = "u7"
    events = sum(event["user_id"] == "u7" for event in made.playbacks)
    made.planted["large_share"] = events


def one_session(made: Input) -> None:
    of_session = made.playbacks[::3]
    for event in of_session:
        event["session_id"] = "default"
    made.planted["large_share"] = len(of_session)


def late_clock(made: Input) -> None:
    newest = max(event["timestamp"] for event in made.playbacks + made.app_events)
    late = newest + timedelta(days=made.chance.randint(4, 40))
    made.playbacks.append({**made.playbacks[0], "timestamp": late, "event_id": "late"})
    made.planted["late_event"] = 1


def lost_day(made: Input) -> None:
    if len(made.days) < 40:
        return column_of_another_name(made)
    lost = made.chance.choice(made.days[2:-2])
    share = made.chance.choice((0, 0, 0.25))
    for events in (made.playbacks, made.app_events):
        kept = [e for e in events if e["timestamp"].date() != lost]
        of_day = [e for e in events if e["timestamp"].date() == lost]
        events[:] = kept + of_day[: int(share * len(of_day))]
    made.planted["few_events"] = 1
    return None


def undefined_ids(made: Input) -> None:
    count = made.chance.randint(1, 9)
    for event in made.playbacks[:count]:
        event["session_id"] = made.chance.choice(("undefined", "null", "None"))
    made.planted["texts_without_id"] = count


def shared_event_ids(made: Input) -> None:
    count = made.chance.randint(1, 5)
    for event in made.playbacks[:count]:
        made.playbacks.append({**event, "value": 99})
    made.planted["event_ids_shared"] = count


def other_files(made: Input) -> None:
    made.others = {f"notes-{n}.md": "# Notes" for n in range(made.chance.randint(1, 9))}
    made.planted["passed_over"] = len(made.others)


PLANTS: tuple[Callable[[Input], None], ...] = (
    *(another_spelling, only_other_app_events, column_of_another_name, lost_day),
    *(unreadable_dates, users_without_a_row, one_user, one_session, late_clock),
    *(undefined_ids, shared_event_ids, other_files),
)


def write(folder, made):
    folder.mkdir()
    events = sorted(made.playbacks + made.app_events, key=lambda e: e["timestamp"])
    lines = (json.dumps(event, default=datetime.isoformat) for event in events)
    (folder / "events.jsonl").write_text("\n".join(lines))
    for name, rows in (("users.csv", made.users), ("videos.csv", made.videos)):
        (folder / name).write_text("\n".join(rows))
    for name, content in made.others.items():
        (folder / name).write_text(content)


def found(run, folder, made):
    """The count of each finding of a run."""
    write(folder / "events", made)
    prefix = folder / "out"
    paths = {
        "input_data_path": folder / "events",
        "output_data_path_prefix": prefix,
    }
    assert run(EVENTS_SPLIT, **paths).code == 0
    findings = published.ledger(prefix)["jobs"][0]["findings"]
    return [(finding["kind"], finding["count"]) for finding in findings]


def test_planted_findings_are_found_with_their_figure(run, tmp_path):
    missed, false = [], []
    for seed in range(INPUTS):
        made = clean(random.Random(seed))
        PLANTS[seed % len(PLANTS)](made)
        folder = tmp_path / str(seed)
        folder.mkdir()
        got = found(run, folder, made)
        missed += [(seed, plant) for plant in made.planted.items() if plant not in got]
        false += [(seed, kind) for kind, _ in got if kind not in made.planted]
    assert len(missed) <= 0.05 * INPUTS, missed
    assert len(false) <= 1, false


def test_nothing_is_found_in_clean_inputs(run, tmp_path):
    false = []
    for seed in range(INPUTS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        got = found(run, folder, clean(random.Random(1000 + seed)))
        false += [(seed, finding) for finding in got]
    assert len(false) <= 1, false
