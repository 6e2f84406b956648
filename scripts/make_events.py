"""Make the input of the jobs: event files, users.csv and videos.csv.

The data are ten weeks of a video service, from Monday 2020-11-16 to Sunday 2021-01-24
(UTC), 60 % playback and 40 % app events. Three effects can be found in them: the shares
of viewers who reach 30 s and who come back differ by genre, one app version drops off
far too often on one platform, and users load the app less and less from week to week.
About 1.5 % of the lines break a rule, 1.2 % are duplicates, 1 % of the sessions and
visits come days late. A small input also has a folder `spellings`: a few events, each
in every way to write it, in files of every packing, encoding and layout.

Nothing is random: every choice is a part of an MD5 of the seed and the name of the
choice. So the same arguments give the same files on every machine.
"""

import argparse
import bz2
import codecs
import gzip
import json
import re
import shutil
from pathlib import Path

import duckdb
from backports import zstd

EVENTS_PER_FILE = 1_000_000
# Up to this many events, the input has all that is allowed. A larger one is plain.
MIXED_FILES_UP_TO = 100_000
MIXED_SUFFIXES = (".jsonl", ".json", ".ndjson", ".jsonl.gz", ".jsonl")
EVENT_SUFFIXES = (".json", ".jsonl", ".ndjson", ".gz")

# A rewriting is a pattern and its replacement. A line without a match stays as it is.
BAD_TEXTS = [('"}$', ""), ("$", " x"), ("^.*$", r"[\0]"), ('"event', '"even')]
BAD_VALUES = {
    "timestamp": ('"2021-02-30T10:00:00Z"', '"2020-12-01"', '"1969-12-31T23:59:59Z"'),
    "initiator_id": ("null", "true", '""', "[1]"),
    "user_id": ("null", '""', "false"),
    "value": ("-1", '"12 s"', "true"),
}
REWRITINGS = {
    "text_defects": BAD_TEXTS,
    "defects": BAD_TEXTS
    + [
        (f'"{field}":[^,]+', f'"{field}":{value}')
        for field, values in BAD_VALUES.items()
        for value in values
    ],
    # The second copy of an event is equal, or differs only in fields that are dropped.
    "changes": [
        ("$", ""),
        ('"(ip|campaign)":"([^"]+)[^"]"', r'"\1":"\2"'),
        ('Z",', '+00:00",'),
    ],
}
COPY_LINES = """
COPY (SELECT line FROM lines ORDER BY uploaded_at, bits) TO $1
(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01', COMPRESSION none)
"""

MODEL = r"""
-- Instants and durations are microseconds, instants since the Monday of the first week.
-- A draw is 63 bits; `dice` throws with ten of them, so a draw has the slots 0 to 5.
CREATE MACRO seconds(n) AS n * 1_000_000::BIGINT;
CREATE MACRO days(n) AS n * 86_400_000_000;
CREATE MACRO timestamp_at(instant) AS make_timestamp(seconds(1_605_484_800) + instant);
CREATE MACRO draw(purpose, person, number) AS (md5_number_lower(
    concat_ws('/', getvariable('seed'), purpose, person, number)) >> 1)::BIGINT;
CREATE MACRO dice(bits, slot, sides) AS (((bits >> (slot * 10)) & 1023) * sides) >> 10;
CREATE MACRO pick(bits, slot, choices) AS choices[dice(bits, slot, len(choices)) + 1];
CREATE MACRO video_count() AS 40 + getvariable('events') // 1000;
CREATE MACRO by_genre(video, choices) AS choices[video % 6 + 1];
CREATE MACRO upload_delay(bits) AS if(bits % 100 = 0, days(2) + bits % days(7), 0);
CREATE MACRO is_in_file(instant) AS getvariable('file')
    = least(instant * getvariable('files') // days(70), getvariable('files') - 1);
CREATE MACRO rewritten(line, rule) AS regexp_replace(line, rule[1], rule[2]);
CREATE MACRO field(name, text) AS concat('"', name, '":"', text, '",');
CREATE MACRO written_time(instant, bits) AS concat(
    replace(strftime(
        timestamp_at(instant + seconds(pick(bits, 0, [0, 0, 0, 0, 7200, -18000]))),
        '%Y-%m-%dT%H:%M:%S.%f789'
    )[:pick(bits, 1, [19, 23, 23, 26, 29])], 'T', pick(bits, 2, ['T', 'T', ' '])),
    pick(bits, 0, ['Z', 'Z', 'Z', '', '+02:00', '-05:00'])
);

-- One row is a viewer. Picks of one slot and length go together: device and OS.
CREATE TABLE viewers AS
SELECT
    person, draw('viewer', person, 0) AS traits,
    least(traits % days(70), draw('joins', person, 0) % days(70)) AS joins_at,
    pick(traits, 0, ['iPhone 15', 'iPhone 12', 'Pixel 8', 'Galaxy S21']) AS device,
    pick(traits, 0, ['iOS 17.1', 'iOS 16.7', 'Android 14', 'Android 13']) AS device_os,
    pick(traits, 1, [1, 2, 3, 4, 5, 6, 8, 9, 11, 17]) AS session_limit,
    pick(traits, 2, ['DE', 'DE', 'FR', 'GB', 'US', 'US', 'JP', 'BR']) AS country
FROM range(getvariable('events') // 60) AS numbers(person);

-- One row is a session. Its genre decides how soon the viewer's next one begins.
CREATE TABLE sessions AS
WITH numbered AS (
    SELECT *, draw('session', person, number) bits, draw('shape', person, number) shape
    FROM (SELECT *, unnest(range(1, session_limit + 1)) AS number FROM viewers)
), drawn AS (
    SELECT
        *, pick(bits, 0, ['3.1.0', '3.1.4', '3.2.0', '3.3.1']) AS app_version,
        least(bits % video_count(), shape % video_count()) AS video,
        device_os = 'Android 14' AND app_version = '3.2.0' AS is_faulty,
        dice(bits, 1, 100) < if(is_faulty, 62, 17) AS drops_off,
        NOT drops_off AND dice(bits, 2, 100) < by_genre(video, [82, 72, 55, 64, 76, 44])
            AS watches,
        dice(bits, 3, 100) < by_genre(video, [76, 66, 50, 58, 70, 38]) AS is_soon_back,
        seconds(7200) + shape % days(29) // 10 + if(is_soon_back, 0, days(3)) AS pause
    FROM numbered
)
SELECT
    person, number, app_version, video, watches, upload_delay(shape) AS delay,
    joins_at - pause + (sum(pause) OVER (
        PARTITION BY person ORDER BY number ROWS UNBOUNDED PRECEDING
    ))::BIGINT AS starts_at,
    if(watches, 5 + dice(bits, 4, 7), 4) AS event_count,
    seconds(5 + dice(shape, 0, 200)) AS pace,
    dice(shape, 1, 10) + if(watches, 30 + dice(shape, 2, 270), if(drops_off, 0, 10))
        AS first_watch_s,
    pick(shape, 3, ['wifi', 'cellular']) AS network_type,
    pick(shape, 3, ['192.0.2.', '198.51.100.']) || (10 + dice(shape, 4, 200)) AS ip,
    dice(shape, 5, 10) > 0 AS has_session_id
FROM drawn
QUALIFY starts_at < days(70) - pace * event_count;

-- One row is a visit of the app: the registration (number 0, not of all) or a load.
CREATE TABLE visits AS
WITH app_users AS (
    SELECT
        person, draw('user', person, 0) AS bits,
        bits % days(70) AS joins_at,
        person + [1000, 9007199254740992, 3074457345618261065, 1000][person % 4 + 1]
            AS initiator_id,
        pick(bits, 0, ['ads', 'ads', 'organic', 'referral', 'email', '']) AS channel,
        pick(bits, 1, ['mobile', 'mobile', 'desktop', 'tablet']) AS device_type,
        unnest(range(1 + pick(bits, 2, [0, 1, 1, 2, 4, 8, 16, 28]))) AS number
    FROM range(getvariable('events') // 40) AS numbers(person)
)
SELECT
    person, initiator_id, channel, device_type, number, upload_delay(visit) AS delay,
    joins_at + if(number > 0, visit % days(70) * dice(visit, 3, 999) // 999, 0)
        AS starts_at,
    1 + dice(visit, 2, 4) AS event_count
FROM (SELECT *, draw('visit', person, number) AS visit FROM app_users)
WHERE starts_at < days(70) - seconds(100) AND (number > 0 OR person % 33 <> 5);

-- One row is an event of the current file: its line and when it is uploaded.
CREATE MACRO events_of(source) AS TABLE
SELECT *, draw(source, person, 100 * number + position) AS bits
FROM (SELECT *, unnest(range(event_count)) AS position FROM query_table(source))
WHERE is_in_file(starts_at + delay);

CREATE VIEW playback_lines AS
WITH named AS (
    SELECT
        *, starts_at + position * pace + bits % pace AS instant,
        position = if(number = 1, 2, 1) AS is_first_watch,
        CASE
            WHEN position = 0 THEN if(dice(bits, 3, 20) > 0, 'session_start', NULL)
            WHEN is_first_watch THEN 'watch_time'
            WHEN position = 1 THEN 'first_login'
            WHEN position < event_count - 1
                THEN pick(bits, 3, [if(watches, 'watch_time', 'seek'), 'like', 'pause',
                    if(watches, 'heart', 'pause')])
            ELSE if(dice(bits, 3, 20) > 2, 'session_end', NULL)
        END AS event_name
    FROM events_of('sessions') JOIN viewers USING (person)
)
SELECT bits, instant + delay AS uploaded_at, false AS is_ignored, concat(
    '{', field('event_name', event_name),
    field('timestamp', written_time(instant, bits)),
    '"account_id":"a', person // 2, '","user_id":"u', person, '",',
    if(position = 0, '"video_id":null,', field('video_id', concat('v', video))),
    if(has_session_id, field('session_id', concat('s', person, '-', number)),
        pick(bits, 5, ['"session_id":null,', '"session_id":"",', ''])),
    if(event_name <> 'watch_time', pick(bits, 5, ['"value":null,', '']),
        concat('"value":', if(is_first_watch, first_watch_s, dice(bits, 5, 240)),
            ['', '.5', '', '', '.25'][bits % 5 + 1], ',')),
    field('device', device), field('device_os', device_os),
    field('app_version', app_version), field('network_type', network_type),
    field('ip', ip), '"country":"', country, '"}'
) AS line
FROM named
WHERE event_name IS NOT NULL;

CREATE VIEW app_lines AS
WITH named AS (
    SELECT
        *, starts_at + position * seconds(20) + bits % seconds(20) AS instant,
        if(position > 0, pick(bits, 3, ['page_view', 'button_clicked', 'search']),
            if(number > 0, 'app_loaded', 'registered')) AS event
    FROM events_of('visits')
)
SELECT bits, instant + delay AS uploaded_at, position > 0 AS is_ignored, concat(
    '{', field('event', event), field('timestamp', written_time(instant, bits)),
    if(bits % 6 = 0, field('initiator_id', initiator_id),
        '"initiator_id":' || initiator_id || ','),
    if(event = 'registered', field('channel', channel), ''),
    field('device_type', device_type),
    field('browser_version', pick(bits, 3, ['86.0', '87.0', '88.0'])),
    '"campaign":"', pick(bits, 5, ['autumn', 'black-friday', 'new-year']), '"}'
) AS line
FROM named;

CREATE VIEW lines AS
SELECT uploaded_at + copy * seconds(90) AS uploaded_at, bits, CASE
    WHEN copy = 1 THEN rewritten(line, pick(bits, 5, getvariable('changes')))
    WHEN dice(bits, 4, 1000) < 978 THEN line
    WHEN is_ignored THEN rewritten(line, pick(bits, 5, getvariable('text_defects')))
    ELSE rewritten(line, pick(bits, 5, getvariable('defects')))
END AS line
FROM (
    SELECT *, unnest(range(if(dice(bits, 4, 1000) < 15, 2, 1))) AS copy
    FROM (FROM playback_lines UNION ALL FROM app_lines)
);

-- Some users and videos are missing, some keys repeated, some values unreadable.
CREATE VIEW users AS
SELECT
    concat('u', person) AS user_id,
    if(person % 40 = 11, '2020-02-30',
        timestamp_at(joins_at - traits % days(400))::DATE::TEXT) AS signup_date,
    pick(traits, 3 + copy, ['free', 'free', 'basic', 'premium']) AS subscription_tier,
    pick(traits, 4, ['18-24', '25-34', '35-44', '45-54', '55+']) AS age_group,
    pick(traits, 5, ['female', 'male', 'other', NULL]) AS gender,
    pick(traits, 1, ['Berlin', 'Portland, OR', 'São Paulo', 'Nantes']) AS city
FROM viewers, range(2) AS copies(copy)
WHERE person % 25 <> 7 AND (copy = 0 OR person % 30 = 5);

CREATE VIEW videos AS
SELECT
    concat('v', video) AS video_id,
    concat(['Harbour', 'Lumière', 'Glass', 'Winter "66"'][video % 4 + 1], ', Part ',
        video // 4 + 1 + copy) AS title,
    by_genre(video, ['Drama', 'Comedy', 'Documentary', 'Sport', 'Kids', 'Music']) genre,
    if(video % 40 = 13, 'n/a', (60 + 7919 * video % 7000)::TEXT) AS duration_seconds,
    ['en', 'de', 'fr', 'ja'][video % 4 + 1] AS language
FROM range(video_count()) AS numbers(video), range(2) AS copies(copy)
WHERE video % 40 <> 33 AND (copy = 0 OR video % 40 = 21);
"""


def played(user: str, *times: object, **more: object) -> list[str]:
    """Lines of one viewer, one for each time: 20 s in a session of its own."""
    event = {"event_name": "watch_time", "user_id": user, "value": 20}
    return [json.dumps(event | {"session_id": t, "timestamp": t} | more) for t in times]


def app(event: str, initiator: object, *times: object, **more: object) -> list[str]:
    """Lines of one user of the app, one for each time."""
    named = {"event": event, "initiator_id": initiator, **more}
    return [json.dumps({**named, "timestamp": time}) for time in times]


def planted_lines() -> list[str]:
    """Cases that are too rare in generated events; they are the last lines."""
    noon, new_year = "2020-12-01T12:00:00Z", "2021-01-01 00:30:00+01:00"
    return [
        # A pause of 30 min, a next session after 72 h: both exactly and 1 µs longer.
        *played("pause-30m", noon, "2020-12-01T12:30:00Z", session_id=None),
        *played("pause-30m-1us", noon, "2020-12-01T12:30:00.000001Z", session_id=""),
        *played("next-72h", noon, "2020-12-04T12:00:00Z"),
        *played("next-72h-1us", noon, "2020-12-04 12:00:00.000001"),
        *played("midnight", new_year, "2021-01-01T00:01:00Z", session_id="midnight"),
        # Ties: devices of a session, sessions of a viewer, channels of a registration.
        *played("tie", noon, session_id="t", device="Pixel 8", video_id="v2"),
        *played("tie", noon, session_id="t", device="iPhone 15", video_id="v10"),
        *played("tie", noon, session_id="t-2", device=None),
        *app("registered", 900, noon, channel="referral"),
        *app("registered", "900", noon, channel="ads"),
        *app("registered", 900, "2020-12-01T14:00:00+02:00", channel=None),
        # Ids above 2^53 and 2^63; the new year.
        *(app("registered", 2**53 + n, noon, channel="email")[0] for n in (0, 1)),
        *app("registered", str(2**63 - 1), new_year, channel="ads"),
        *app("app_loaded", 2**63 - 1, "2021-01-01T09:00:00Z", "2021-01-04T00:00:00Z"),
        *app("app_loaded", 3074457345618261067, "2021-01-01T00:00:00.123456789Z"),
        # Loaded two weeks before the first of two registrations; an unknown field.
        *app("app_loaded", 903, "2020-11-23T00:30:00+02:00", noon, page={"tags": [{}]}),
        *app("registered", 903, noon, "2020-12-15T08:00:00Z", channel="email"),
        # Escaped and plain text of one viewer.
        *played("snow \u2603", noon, device='a "quoted"\\\n\ttab, \U0001f3ac'),
        '{"event_name":"like","timestamp":"2020-12-01T12:00:01Z","user_id":"snow ☃"}',
        # Blank lines, then at least two lines of each reason to be rejected.
        *("", "", "null", '"app_loaded"', '{"event":"app_loaded"', '{"event":"a"}{}x'),
        *("{}", '{"event":"","event_name":null}', '{"event":"app_loaded"}'),
        *app("app_loaded", 905, "2021-02-30T10:00:00Z", "2020-12-01", None),
        *app("app_loaded", 905, "1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z"),
        *app("app_loaded", 905, "1999-12-31T23:59:59Z", 4102444800, ""),
        *(app("registered", bad, noon)[0] for bad in (None, "undefined", True, [7])),
        *(played("", noon) + played("", noon, user_id=None)),
        *(played("", noon, user_id=bad)[0] for bad in (True, {"id": "u1"})),
        *(played("rejected", noon, value=bad)[0] for bad in (-1, -0.5, "12 s", True)),
    ]


# The tokens of the first three are one instant, one id and one value.
INSTANTS = """
"2020-12-01T12:00:00Z" "2020-12-01t12:00:00z" "2020-12-01 12:00:00" "2020-12-01T12:00"
" 2020-12-01T12:00:00 Z " "2020-12-01  12:00:00.000 UTC" "2020-12-01T12:00:00,00 GMT"
"2020-12-01T14:00:00+02" "2020-12-01T14:00+0200" "2020-12-01 06:30:00.0000009 -05:30"
"20201201T120000Z" "20201201 1200" "20201201t173000.0+0530" "20201202T055900+17:59"
1606824000 "1606824000" 1606824000.0000009 "1606824000.0" 1.606824e9 "16068240e2"
1606824000000 "1606824000000" 1606824000000000 "1606824000000000"
1606824000000000000 "1606824000000000000" 1606824000000000999
"""
IDS = r""" 101 "101" 101.0 101.000 " 101 " "\t101" """
VALUES = '20 20.0 2e1 20.0000009 "20" " 20.00 " "0020" "20.0000009" "2E+1"'
OTHER_IDS = '"007" 7.50 1e3 9007199254740993 18446744073709551616 "-1" "U\\u00e9"'
NO_IDS = 'null "" " " "null" "undefined" "None" "NaN" "(null)" NaN'
NO_VALUES = 'null "" " " NaN Infinity -Infinity'
BROKEN = {
    "timestamp": """
        null "" " " NaN "2020-12-01" "2020-12-01T24:00:00Z" "2020-12-01T12:00:60Z"
        "2020-12-01T12:00:00+18:00" "20201201T12:00:00Z" "1 December 2020" true []
        "1970-01-01T00:00:00Z" 0 -1.5 "86400" 946684799999 1e-300
        "2100-01-01T00:00:00Z" 99999999999 "4102444800000" 1e300
    """,
    "user_id": NO_IDS + " true false [101] {}",
    "value": '-0.000001 1e12 "-1" "+5" ".5" "20 s" "0x14" false []',
}


def tokens(texts: str) -> list[str]:
    """The JSON values of a text that has blanks between them."""
    return re.findall(r'"[^"]*"|\S+', texts)


def line_of(fields: dict[str, str]) -> str:
    """The fields as one JSON object, each value as it is written."""
    return "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"


def spelled(fields: dict[str, str], name: str, texts: str) -> list[str]:
    """A line for each token of a text, which is the value of one field."""
    return [line_of({**fields, name: token}) for token in tokens(texts)]


def spelled_files() -> dict[str, bytes]:
    """Small files of every packing, encoding and layout, with every spelling."""
    time = {"timestamp": "1606824000"}
    load = {"event": '"app_loaded"', **time, "initiator_id": "910"}
    join = {"event": '"registered"', **time, "initiator_id": "910"}
    watch = {"event_name": '"watch_time"', **time, "user_id": '"spelled"'}
    watch |= {"session_id": '"spelled"', "value": "20"}
    ids = [
        *spelled(load, "initiator_id", IDS + OTHER_IDS),
        *spelled(watch, "user_id", IDS),
        *spelled(watch, "account_id", IDS + OTHER_IDS),
    ]
    # Of the events 5, two are equal and one differs. Those without an id are all equal.
    numbered = [
        line
        for phone, id_ in (("1", "5"), ("1", '"5"'), ("2", '" 5 "'), ("3", NO_IDS))
        for line in spelled({**watch, "device": f'"Phone {phone}"'}, "event_id", id_)
    ]
    # A run ends at a file without one good line.
    rejected = [
        line_of(load),
        *spelled(load, "timestamp", BROKEN["timestamp"]),
        *spelled(join, "initiator_id", BROKEN["user_id"]),
        *(line for name in BROKEN for line in spelled(watch, name, BROKEN[name])),
    ]
    values = spelled(watch, "value", f"{VALUES} {NO_VALUES}")
    commas = [line.replace("}", ', "tags": ["a", ], }') for line in values]
    sessions = spelled(watch, "session_id", f"{NO_IDS} {IDS} {{}} true")
    later = [spelled(load, "timestamp", str(1606910400 + n))[0] for n in range(6)]
    pretty = [json.dumps(json.loads(line), indent=2) for line in later]
    return {
        "instants.jsonl.zst": zstd.compress(text(spelled(load, "timestamp", INSTANTS))),
        "ids.json.bz2": bz2.compress(text(ids)),
        "values.ndjson": codecs.BOM_UTF16_LE + text(values, "utf-16-le"),
        "commas.JSONL": codecs.BOM_UTF16_BE + text(commas, "utf-16-be"),
        "part-00000": text(numbered),
        "2020-12-01.gz": text(spelled(load, "initiator_id", NO_IDS)),
        "2020/12/sessions.log": text(sessions).replace(b"\n", b"\r"),
        "2020/12/rejected.txt": text(rejected),
        "2020/12/several-members.jsonl.gz": b"".join(
            gzip.compress(text([line]), mtime=0) for line in later[:2]
        ),
        "2020/12/glued.jsonl": text(["".join(later[:3]), " ".join(later[3:]) + "x"]),
        "2020/12/array.json": text([f"[{', '.join(later)}, 7, null]"]),
        "2020/12/pretty.json": text(pretty),
        "2020/12/array-cut-off.json": text(["[", ",\n".join(pretty)[:-9]]),
        "NOTES.md": b"This file has no events, so a run passes it over.\n",
    }


def text(lines: list[str], encoding: str = "utf-8") -> bytes:
    """The bytes of lines, each with its end."""
    return "".join(f"{line}\n" for line in lines).encode(encoding)


def encode(path: Path) -> None:
    """Give a file a BOM, CRLF or compression, depending on its suffix."""
    content = path.read_bytes()
    if path.suffix == ".json":
        path.write_bytes(codecs.BOM_UTF8 + content)
    elif path.suffix == ".ndjson":
        path.write_bytes(content.replace(b"\n", b"\r\n"))
    elif path.suffix == ".gz":
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as packed:
            packed.write(content)


def make_events(output: Path, events: int, seed: int, files: int) -> None:
    """Write the files, and remove the event files of an earlier run."""
    output.mkdir(parents=True, exist_ok=True)
    for former in output.glob("events-*"):
        if former.name.endswith(EVENT_SUFFIXES):
            former.unlink()
    shutil.rmtree(output / "spellings", ignore_errors=True)
    variables = {"events": events, "seed": seed, "files": files}
    is_mixed = events <= MIXED_FILES_UP_TO
    with duckdb.connect() as database:
        for name, value in (variables | REWRITINGS).items():
            database.execute(f"SET VARIABLE {name} = $1", [value])
        database.execute(MODEL)
        for table in ("users", "videos"):
            query = f"COPY (FROM {table} ORDER BY ALL) TO $1 (FORMAT csv, HEADER)"
            database.execute(query, [str(output / f"{table}.csv")])
        for number in range(files):
            suffix = MIXED_SUFFIXES[number % 5] if is_mixed else ".jsonl"
            path = output / f"events-{number + 1:03}{suffix}"
            database.execute("SET VARIABLE file = $1", [number])
            database.execute(COPY_LINES, [str(path)])
            if number == files - 1:
                with path.open("a", encoding="utf-8", newline="\n") as last:
                    last.writelines(f"{line}\n" for line in planted_lines())
            if is_mixed:
                encode(path)
    if is_mixed:
        for name, content in spelled_files().items():
            path = output / "spellings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def main() -> None:
    """Read the arguments and make the files."""
    parser = argparse.ArgumentParser(
        description=str(__doc__).partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--output", metavar="DIR", type=Path, default="data-input", help="directory")
    add(
        "--events",
        metavar="N",
        type=int,
        default=4000,
        help="number of events, roughly",
    )
    add(
        "--seed",
        metavar="S",
        type=int,
        default=1,
        help="another seed gives other events",
    )
    add(
        "--files",
        metavar="K",
        type=int,
        default=0,
        help="number of files; 0: as many as needed",
    )
    chosen = parser.parse_args()
    if chosen.events < 1000 or not 0 <= chosen.files < 1000:
        parser.error("--events takes 1000 and more, --files 1 to 999")
    files = chosen.files or max(5, chosen.events // EVENTS_PER_FILE)
    make_events(chosen.output, chosen.events, chosen.seed, files)


if __name__ == "__main__":
    main()
