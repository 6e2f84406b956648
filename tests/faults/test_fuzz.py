"""Valid lines, broken at random, are judged by the contract."""

import random
import time
from contextlib import closing
from pathlib import Path

import pytest

from jobs.engine import Engine, open_engine
from jobs.fields import FIELDS
from jobs.storage.inputs import find_inputs
from jobs.zones import UTC_OFFSETS
from tests.support.corpus import (
    ANY_TOKENS,
    BROKEN_TOKENS,
    ID_TOKENS,
    TIMESTAMP_TOKENS,
    VALUE_TOKENS,
)
from tests.support.engine import collected, micros, run_settings
from tests.support.reference import Ignored, Rejected, event_lines, judge

LINES_A_ROUND = 4000
EVENTS = (
    {
        "event": '"registered"',
        "timestamp": '"2021-01-04T05:06:07.890Z"',
        "initiator_id": "3074457345618261067",
        "event_id": '"e1"',
        "channel": '"web"',
    },
    {
        "event": '"app_loaded"',
        "timestamp": '"2021-01-04 05:06:07+05:30"',
        "initiator_id": '"9007199254740993"',
        "device_type": '"phone"',
    },
    {
        "timestamp": '"2021-01-04T05:06:07"',
        "event_id": "7.0",
        "account_id": '"a1"',
        "user_id": '"u1"',
        "video_id": "null",
        "session_id": '"s1"',
        "event_name": '"watch_time"',
        "value": "12.5",
        "device": '"Pixel \\u0037"',
        "device_os": '"Android 13"',
        "app_version": '"1.2.3"',
        "ip": '"192.0.2.1"',
        "country": '"NZ"',
    },
    {"event": '"page_view"', "timestamp": '"2021-01-04T05:06:07Z"'},
)
TOKENS = (*(ANY_TOKENS + BROKEN_TOKENS + TIMESTAMP_TOKENS + ID_TOKENS + VALUE_TOKENS),)
PIECES = (
    *(b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b":", b",", b" ", b"\t", b"\0", b"-"),
    *(b"\\u", b"\\ud83d", b"\\ude00", b"\\u0000", b"\xff", b"\xc3", b"\xed\xa0\x80"),
    *(b"\xef\xbb\xbf", b"\xf4\x8f\xbf\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x7f"),
    *(
        b"NaN",
        b"Infinity",
        b"null",
        b"true",
        b"1e3",
        b"0",
        b"9" * 20,
        b".",
        b"e",
        b"/*",
    ),
    *(b'"event"', b'"value":', b'"user_id":7,', b"{}", b"[]", b"[" * 300, b"]" * 300),
)


def some_line(chance: random.Random) -> bytes:
    fields = list(chance.choice(EVENTS).items())
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        at = chance.randrange(len(fields))
        fields[at] = (fields[at][0], chance.choice(TOKENS))
    if chance.random() < 0.2:
        fields.insert(chance.randrange(len(fields)), chance.choice(fields))
    colon = chance.choice((": ", ":", " :\t"))
    line = "{" + ", ".join(f'"{name}"{colon}{token}' for name, token in fields) + "}"
    return line.encode(errors="surrogateescape")


def mutated(line: bytes, other: bytes, chance: random.Random) -> bytes:
    at, to = sorted(chance.randrange(len(line) + 1) for _ in range(2))
    to = min(to, at + chance.randrange(1, 20))
    piece = chance.choice(PIECES)
    return chance.choice(
        (
            line[:at] + line[to:],
            line[:at] + piece + line[at:],
            line[:at] + piece + line[to:],
            line[:to] + line[at:],
            line[:at] + bytes([chance.randrange(256)]) + line[at + 1 :],
            line[:at] + other[at:],
            line + piece,
            piece + line,
            line[:at],
        )
    )


def lines_of_a_round(chance: random.Random) -> bytes:
    lines = []
    for _ in range(LINES_A_ROUND):
        line = some_line(chance)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            line = mutated(line, some_line(chance), chance)
        lines.append(line.replace(b"\n", b"").replace(b"\r", b""))
    return b"\n".join(lines)


def expected(content: bytes) -> set[tuple[object, ...]]:
    """Each line with its verdict: its table and row, ignored, or its reason."""
    found: set[tuple[object, ...]] = set()
    for line in event_lines("fuzz.json", content):
        text = line.encode(errors="surrogateescape").decode(errors="replace")
        try:
            table, row = judge(line)
        except Ignored as name:
            found.add((text, "ignored", str(name)))
        except Rejected as reason:
            found.add((text, "rejected", str(reason)))
        else:
            at = row.pop("timestamp", None) or row.pop("time")
            row.pop("event", None)
            stored = sorted((k, v) for k, v in row.items() if v is not None)
            found.add((text, table, micros(at.isoformat()), *stored))
    return found


# The limits of the reference, if no other limits are given.
LIMITS = (0, micros("2100-01-01T00:00:00Z"))

STORED = {
    "user_registration": ("initiator_id", "event_id", "channel"),
    "app_loaded": ("initiator_id", "event_id", "device_type"),
    "playback_events": (
        *(
            "event_id",
            "account_id",
            "user_id",
            "video_id",
            "session_id",
            "event_name",
            "value",
        ),
        *("device", "device_os", "app_version", "country"),
    ),
}


def judged(engine: Engine, folder: Path) -> set[tuple[object, ...]]:
    from pyspark.sql import functions as F

    from jobs.events_split import model

    rows = engine.read_lines(
        find_inputs(str(folder), folder / "out").event_files,
        FIELDS,
        lambda lines, _: lines.transform(model.with_typed_fields, UTC_OFFSETS)
        .withColumn("reason", model.rejection(*LIMITS))
        .withColumns({"outcome": model.outcome(), "detail": model.detail()})
        .withColumns(
            {"line": F.col("raw"), "raw": F.when(model.is_rejected(), F.col("raw"))}
        ),
    ).rows
    names = rows.columns
    found: set[tuple[object, ...]] = set()
    for values in collected(engine, rows):
        row = dict(zip(names, values, strict=True))
        if row["outcome"] in STORED:
            stored = ((k, row[k]) for k in STORED[row["outcome"]])
            known = sorted((k, v) for k, v in stored if v is not None)
            found.add((row["line"], row["outcome"], row["instant"], *known))
        else:
            found.add((row["line"], row["outcome"], row["detail"]))
    return found


def test_a_line_that_was_broken_at_random_is_judged_by_the_contract(
    tmp_path, request, tried
):
    seconds = request.config.getoption("--fuzz-seconds")
    seed = request.config.getoption("--fuzz-seed") or random.randrange(10**9)
    settings = run_settings(tmp_path)
    (tmp_path / "in").mkdir()
    with closing(open_engine(settings, tmp_path)) as engine:
        lines = fuzzed(engine, tmp_path / "in", seed, seconds)
    tried(f"{lines:,} different lines in {seconds} s, no difference (seed {seed})")


def fuzzed(engine: Engine, folder: Path, seed: int, seconds: int) -> int:
    """Fail at the first difference; returns the number of lines."""
    lines, rounds, deadline = 0, 0, time.monotonic() + seconds
    while rounds == 0 or time.monotonic() < deadline:
        content = lines_of_a_round(random.Random(seed + rounds))
        (folder / "fuzz.json").write_bytes(content)
        want, got = expected(content), judged(engine, folder)
        if got != want:
            pytest.fail(
                f"--fuzz-seed={seed + rounds}: only the engine has"
                f" {sorted(got - want, key=repr)[:3]}, only the contract has"
                f" {sorted(want - got, key=repr)[:3]}"
            )
        lines += len(want)
        rounds += 1
    return lines
