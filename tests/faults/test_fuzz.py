"""Valid lines, broken at random, are judged by the contract in files of every kind."""

import bz2
import codecs
import gzip
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from backports import zstd

from jobs.engine import Engine, open_engine
from jobs.events_split.job import mapped_lines
from jobs.fields import FIELDS
from jobs.mapping import EventMapping
from jobs.storage.inputs import find_inputs
from jobs.zones import UTC_OFFSETS
from tests.support.corpus import (
    ANY_TOKENS,
    BROKEN_TOKENS,
    ID_TOKENS,
    TIMESTAMP_TOKENS,
    TOKENS_BY_FIELD,
    VALUE_TOKENS,
)
from tests.support.engine import collected, micros, run_settings
from tests.support.mappings import some_mapped_line, some_mapping, written_mapping
from tests.support.reference import (
    Ignored,
    MappingRule,
    Rejected,
    event_lines,
    is_latin_1,
    judge,
)
from tests.support.spellings import SPELLINGS, spellings

LINES_A_ROUND = 12_000
LINES_A_MAPPING = 3000
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


# These have more spellings, or reasons of their own.
WEIGHTS = {"timestamp": 4, "value": 4, "user_id": 3, "initiator_id": 2}
NOTHING = ("null", "NaN", '""', '" "', "true", "false", "[1]", "{}")
NO_IDS = ('"null"', '"undefined"', '"None"', '"NaN"', '"(null)"', '" undefined"')
NAMES = ("{}.json", "{}.jsonl.gz", "{}.NDJSON.zst", "{}.json.bz2")
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "not packed": bytes,
    "gzip": lambda content: gzip.compress(content, 1),
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
}
# The mark, the codec, and what becomes of an odd byte: half a surrogate pair in UTF-16.
ENCODINGS = {
    "UTF-8": (b"", "utf-8", "surrogateescape"),
    "UTF-8 with a BOM": (codecs.BOM_UTF8, "utf-8", "surrogateescape"),
    "UTF-16 LE": (codecs.BOM_UTF16_LE, "utf-16-le", "surrogatepass"),
    "UTF-16 BE": (codecs.BOM_UTF16_BE, "utf-16-be", "surrogatepass"),
}
LINE_ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}
LAYOUTS = ("a line each", "glued lines", "array", "pretty-printed")
REASONS = (
    *("malformed_json", "missing_event", "missing_timestamp", "invalid_timestamp"),
    *("past_timestamp", "future_timestamp", "missing_initiator_id"),
    *("invalid_initiator_id", "missing_user_id", "invalid_user_id", "invalid_value"),
)
COUNTED = {
    **SPELLINGS,
    "reason": REASONS,
    "packing": (*PACKINGS,),
    "encoding": (*ENCODINGS,),
    "line end": (*LINE_ENDS,),
    "layout": LAYOUTS,
}


def digits(chance: random.Random, most: int) -> str:
    return str(chance.randrange(10 ** chance.randrange(1, most + 1)))


def some_number(chance: random.Random, most: int) -> str:
    """A number of the JSON grammar, often with a fraction or an exponent."""
    sign = chance.choice(("", "", "", "-"))
    fraction = chance.choice(("", "", ".0", ".000", f".{digits(chance, 9)}"))
    exponent = chance.choice(("", "", "", "e0", "E+2", "e-3", f"e{digits(chance, 2)}"))
    return f"{sign}{digits(chance, most)}{fraction}{exponent}"


def some_instant(chance: random.Random) -> str:
    """A text or a number that is written as an instant is; it may never have been."""
    year = chance.choice((2021, 2021, 2021, 2020, 1969, 1970, 2099, 2100))
    if chance.random() < 0.4:
        unit = chance.choice((0, 3, 6, 9))
        second = (year - 1970) * 31_556_952 + chance.randrange(31_556_952)
        number = str(second * 10**unit + chance.randrange(10**unit))
        number += chance.choice(("", "", "", ".0", f".{digits(chance, 9)}", "e0"))
        return chance.choice((number, f'"{number}"', f'" {number}\\t"'))
    month, day = chance.randrange(1, 13), chance.randrange(1, 30)
    clock = f"{chance.randrange(24):02}:{chance.randrange(60):02}"
    if chance.random() < 0.7:
        clock += f":{chance.randrange(60):02}"
        clock += chance.choice(("", f".{digits(chance, 9)}", f",{digits(chance, 9)}"))
    date = f"{year}-{month:02}-{day:02}"
    if chance.random() < 0.4:
        date, clock = date.replace("-", ""), clock.replace(":", "")
    offset = f"{chance.choice('+-')}{chance.randrange(19):02}"
    minutes = chance.choice(("00", "30", "45", "59"))
    offsets = (offset, f"{offset}{minutes}", f"{offset}:{minutes}")
    zone = chance.choice(("", "Z", "z", "UTC", "GMT", *offsets))
    between = chance.choice(("T", "T", "t", " ", "  ", " \\t"))
    before_zone = chance.choice(("", "", " ", "\\t"))
    return chance.choice(('"{}"', '"{}"', '" {}"', '"{}\\t "')).format(
        f"{date}{between}{clock}{before_zone if zone else ''}{zone}"
    )


def some_token(name: str, chance: random.Random) -> str:
    """A value for this field, in one of its spellings."""
    pool = TOKENS_BY_FIELD.get(name)
    if not pool:
        return chance.choice(ANY_TOKENS)
    tokens = [chance.choice(pool), chance.choice(NOTHING)]
    if name == "timestamp":
        return chance.choice((*tokens, some_instant(chance), some_instant(chance)))
    number = some_number(chance, 14 if name == "value" else 25)
    text = chance.choice(('"{}"', '" {}"', '"{}\\t"', '"00{}"')).format(number)
    if name != "value":
        tokens.append(chance.choice(NO_IDS))
    return chance.choice((*tokens, number, text))


def some_line(chance: random.Random, line_end: str = "") -> bytes:
    """An event; with a line end, an object over several lines."""
    [event] = chance.choices(EVENTS, (3, 3, 8, 1))
    fields = list(event.items())
    weights = [WEIGHTS.get(name, 1) for name, _ in fields]
    for at in chance.choices(range(len(fields)), weights, k=chance.randrange(3)):
        name = fields[at][0]
        fields[at] = (name, some_token(name, chance))
    if chance.random() < 0.3:
        at = chance.randrange(len(fields))
        fields[at] = (fields[at][0], chance.choice(TOKENS))
    if chance.random() < 0.2:
        fields.insert(chance.randrange(len(fields)), chance.choice(fields))
    # So few lines are equal.
    number = ("number", str(chance.randrange(10**12)))
    fields.insert(chance.randrange(len(fields) + 1), number)
    colon = chance.choice((": ", ":", " :\t"))
    last = chance.choice(("", "", "", ",", " ,\t"))
    members = f", {line_end}".join(f'"{name}"{colon}{token}' for name, token in fields)
    line = f"{{{line_end}{members}{last}{line_end}}}"
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


Make = Callable[[random.Random, str], bytes]
"""Makes a line; with a line end, an object over several lines."""


def broken(line: bytes, make: Make, chance: random.Random, times: int) -> str:
    for _ in range(times):
        line = mutated(line, make(chance, ""), chance)
    return line.decode(errors="surrogateescape")


def some_text(layout: str, line_end: str, make: Make, chance: random.Random) -> str:
    """The text of a file, with few broken elements if it is a document."""
    number = range(chance.choice((3, 40, 400, 400)))
    if layout in ("array", "pretty-printed"):
        inner = chance.choice(("", line_end)) if layout == "array" else line_end
        times = (int(chance.random() < 0.003) for _ in number)
        objects = [broken(make(chance, inner), make, chance, n) for n in times]
        if layout == "pretty-printed":
            return line_end.join(objects)
        return f"[{f', {line_end}'.join(objects)}{line_end}]"
    lines = [
        broken(make(chance, ""), make, chance, chance.choice((0, 0, 0, 1, 1, 2)))
        .replace("\n", "")
        .replace("\r", "")
        for _ in number
    ]
    glue = (line_end,) if layout == "a line each" else ("", " ", "\t", line_end)
    return "".join(f"{line}{chance.choice(glue)}" for line in lines)


Verdict = tuple[object, ...]


def files_of_a_round(
    chance: random.Random,
    counts: Counter[tuple[str, str]],
    mapping: Sequence[MappingRule] = (),
    lines_a_round: int = LINES_A_ROUND,
) -> tuple[dict[str, bytes], set[Verdict]]:
    """Files by name, and each of their lines with its verdict, which is counted."""

    def make(chance: random.Random, line_end: str) -> bytes:
        if mapping:
            return some_mapped_line(mapping, some_token, chance, line_end)
        return some_line(chance, line_end)

    files: dict[str, bytes] = {}
    verdicts: set[Verdict] = set()
    lines = 0
    while lines < lines_a_round:
        packing, encoding = chance.choice([*PACKINGS]), chance.choice([*ENCODINGS])
        line_end, layout = chance.choice([*LINE_ENDS]), chance.choice(LAYOUTS)
        mark, codec, errors = ENCODINGS[encoding]
        text = some_text(layout, LINE_ENDS[line_end], make, chance)
        encoded = text.encode(codec, errors)
        name = chance.choice(NAMES).format(len(files))
        content = PACKINGS[packing](mark + encoded)
        if is_latin_1(name, content) or text.lstrip("\0 \t").startswith("<"):
            continue  # such a file ends a run
        files[name] = content
        found = event_lines(name, content)
        for line in found:
            verdicts.add(verdict := expected(line, mapping))
            counts["reason", str(verdict[2])] += verdict[1] == "rejected"
            if verdict[2] != "malformed_json":
                counts.update(spellings(line))
        counts["packing", packing] += len(found)
        counts["encoding", encoding] += len(found)
        counts["line end", line_end] += len(found)
        counts["layout", layout] += len(found)
        lines += len(found)
    return files, verdicts


def expected(line: str, mapping: Sequence[MappingRule] = ()) -> Verdict:
    """A line with its verdict: its table and row, ignored, or its reason."""
    text = line.encode(errors="surrogateescape").decode(errors="replace")
    try:
        table, row = judge(line, mapping=mapping)
    except Ignored as name:
        return (text, "ignored", str(name))
    except Rejected as reason:
        return (text, "rejected", str(reason))
    at = row.pop("timestamp", None) or row.pop("time")
    row.pop("event", None)
    stored = sorted((k, v) for k, v in row.items() if v is not None)
    return (text, table, micros(at.isoformat()), *stored)


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


@dataclass(frozen=True)
class WithVerdicts:
    """The rule that gives lines with their fields and verdicts, none of them hidden."""

    mapping: EventMapping | None = None

    def __call__(self, lines: Any, rewrite: Any) -> Any:
        from pyspark.sql import functions as F

        from jobs.events_split import model

        mapped = mapped_lines(self.mapping) if self.mapping else None
        is_mapped = mapped is not None
        return (
            lines.transform(model.with_typed_fields, UTC_OFFSETS, mapped)
            .withColumn("reason", model.rejection(*LIMITS, is_mapped))
            .withColumns(
                {
                    "outcome": model.outcome(is_mapped),
                    "detail": model.detail(is_mapped),
                }
            )
            .withColumns(
                {"line": F.col("raw"), "raw": F.when(model.is_rejected(), F.col("raw"))}
            )
        )


def judged(
    engine: Engine, folder: Path, mapping: EventMapping | None = None
) -> set[Verdict]:
    files = find_inputs(str(folder), folder / "out").event_files
    rows = engine.read_lines(files, FIELDS, WithVerdicts(mapping), mapping).rows
    names = rows.columns
    found: set[Verdict] = set()
    for values in collected(engine, rows):
        row = dict(zip(names, values, strict=True))
        if row["outcome"] in STORED:
            stored = ((k, row[k]) for k in STORED[row["outcome"]])
            known = sorted((k, v) for k, v in stored if v is not None)
            found.add((row["line"], row["outcome"], row["instant"], *known))
        else:
            is_not_mapped = row["outcome"] == "not mapped"
            outcome = "ignored" if is_not_mapped else row["outcome"]
            found.add((row["line"], outcome, row["detail"]))
    return found


def test_a_line_that_was_broken_at_random_is_judged_by_the_contract(
    tmp_path, request, tried
):
    counts: Counter[tuple[str, str]] = Counter()
    done = in_rounds(
        request,
        tmp_path,
        lambda engine, seed: fuzzed(engine, tmp_path / "in", seed, counts),
    )
    tried(f"{done.lines:,} different lines {done.how}")
    for kind, names in COUNTED.items():
        found = sorted((counts[kind, name], name) for name in names)
        tried(f"{kind}: {', '.join(f'{name} {count:,}' for count, name in found)}")
    number = request.config.getoption("--fuzz-lines")
    rare = {key: counts[key] for key in keys() if counts[key] < number / 1000}
    assert not rare, f"too few lines of {rare}"


def keys() -> list[tuple[str, str]]:
    return [(kind, name) for kind, names in COUNTED.items() for name in names]


def test_a_line_of_a_random_mapping_is_judged_by_the_contract(tmp_path, request, tried):
    counts: Counter[tuple[str, str]] = Counter()

    def fuzz_round(engine: Engine, seed: int) -> set[int]:
        mapping, toml = some_mapping(random.Random(seed))
        return fuzzed(engine, tmp_path / "in", seed, counts, mapping, toml)

    done = in_rounds(request, tmp_path, fuzz_round)
    tried(f"{done.lines:,} different lines of {done.rounds:,} mappings {done.how}")
    outcomes = sorted((n, name) for (kind, name), n in counts.items() if kind == "as")
    tried(", ".join(f"{name} {count:,}" for count, name in outcomes))


class Rounds(NamedTuple):
    """Rounds of fuzz without a difference."""

    lines: int
    rounds: int
    how: str


def in_rounds(
    request: pytest.FixtureRequest,
    folder: Path,
    fuzz_round: Callable[[Engine, int], set[int]],
) -> Rounds:
    """Rounds on one engine, each of its own seed, for as long as the options say."""
    seconds = request.config.getoption("--fuzz-seconds")
    number = request.config.getoption("--fuzz-lines")
    seed = request.config.getoption("--fuzz-seed") or random.randrange(10**9)
    started = time.monotonic()
    lines: set[int] = set()
    rounds = 0
    with closing(open_engine(run_settings(folder), folder)) as engine:
        while len(lines) < max(number, 1) or time.monotonic() < started + seconds:
            lines |= fuzz_round(engine, seed + rounds)
            rounds += 1
    taken = time.monotonic() - started
    return Rounds(len(lines), rounds, f"in {taken:.0f} s, no difference (seed {seed})")


def fuzzed(
    engine: Engine,
    folder: Path,
    seed: int,
    counts: Counter[tuple[str, str]],
    rules: Sequence[MappingRule] = (),
    toml: str = "",
) -> set[int]:
    """Fail at a difference; returns the hashes of the lines."""
    number = LINES_A_MAPPING if rules else LINES_A_ROUND
    files, want = files_of_a_round(random.Random(seed), counts, rules, number)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    mapping = None
    if rules:
        mapping = written_mapping(toml, folder / "mapping.toml")
        counts.update(("as", str(outcome)) for _, outcome, *_ in want)
    got = judged(engine, folder, mapping)
    if got != want:
        pytest.fail(
            f"--fuzz-seed={seed}: {toml} only the engine has"
            f" {sorted(got - want, key=repr)[:3]}, only the contract has"
            f" {sorted(want - got, key=repr)[:3]}"
        )
    shutil.rmtree(folder)
    return {hash(verdict[0]) for verdict in want}
