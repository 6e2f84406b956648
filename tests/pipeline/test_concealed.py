"""A whole run shows no address anywhere, and no id if there is a key."""

import hmac
import json
import re

import pytest

from jobs.pipeline import JOBS
from jobs.tables import PLAYBACK_EVENTS, REJECTED_EVENTS, TABLES
from tests.support import processes, published
from tests.support.processes import ROOT
from tests.support.runs import TABLE_JOBS

pytestmark = pytest.mark.slow

# This file of the sample has every kind of event, on few days.
EVENTS = ROOT / "data-input" / "events-001.jsonl"
KEY = "a key that nobody knows"
# The addresses that scripts/make_events.py gives to its users.
ADDRESS = re.compile(r"(192\.0\.2|198\.51\.100)\.[0-9]")


def run_command(prefix, **settings):
    paths = processes.paths(EVENTS, prefix)
    ended = processes.run("-m", "jobs", LOG_LEVEL="DEBUG", **paths, **settings)
    return ended.returncode, ended.stdout + ended.stderr


def everything_written(prefix):
    """The tables as rows, every other file as text."""
    yield repr(published.everything(prefix))
    for path in prefix.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            yield path.read_text(errors="replace")


def test_an_address_is_in_no_table_ledger_log_or_error(tmp_path):
    assert ADDRESS.search(EVENTS.read_text())
    code, shown = run_command(tmp_path / "out")
    assert code == 0
    for text in (shown, *everything_written(tmp_path / "out")):
        assert not ADDRESS.search(text)
    assert '"ip":"***"' in repr(published.rows(tmp_path / "out", REJECTED_EVENTS))
    code, shown = run_command(
        tmp_path / "out", MAX_REJECTED_RATIO="0", PSEUDONYM_KEY=KEY
    )
    assert code == 4
    for text in (shown, *everything_written(tmp_path / "out")):
        assert not ADDRESS.search(text)
        assert KEY not in text


def test_a_name_of_ignored_events_shows_no_address_and_no_e_mail(run, tmp_path):
    names = ["page_view", "mail to ann@example.org", "mail to bob@example.org"]
    names += ["from 192.0.2.1", "from 192.0.2.1", "from 2001:db8::1"]
    names += ["registered"]
    at = {"timestamp": "2021-01-05 10:00:00", "initiator_id": 1}
    (tmp_path / "in" / "a.jsonl").write_text(
        "\n".join(json.dumps(at | {"event": name}) for name in names)
    )
    ended = run()
    assert ended.code == 0
    ignored = published.ledger(tmp_path / "out")["jobs"][0]["lines"]["ignored"]
    assert ignored == {"from ***": 3, "mail to ***": 2, "page_view": 1}
    for text in (ended.out, *everything_written(tmp_path / "out")):
        assert "example.org" not in text
        assert "192.0.2" not in text
        assert "db8" not in text


REJECTED = [
    {"note": "of 192.0.2.1", "user_id": "known-1"},
    {"raw": json.dumps({"raw": json.dumps({"ip": "known-2", "user_id": "known-3"})})},
    "ts=1 user_id=known-4 ip=192.0.2.2 url=/%3Fip%3D192.0.2.3%26account_id%3Dknown-5",
    "2021-01-05;user_id;known-6;2001:db8::1",
    r"{\u0022ip\u0022: \u0022192.0.2.4\u0022, \u0022user_id\u0022: \u0022known-7",
]


def test_a_rejected_line_shows_no_address_and_no_id_in_any_form(run, tmp_path):
    lines = (line if isinstance(line, str) else json.dumps(line) for line in REJECTED)
    good = {"event": "registered", "timestamp": "2021-01-05 10:00:00"}
    (tmp_path / "in" / "a.jsonl").write_text(
        "\n".join([*lines, json.dumps(good | {"initiator_id": 1})])
    )
    assert run(*TABLE_JOBS, max_rejected_ratio=1, pseudonym_key=KEY).code == 0
    raw = [row[0] for row in published.rows(tmp_path / "out", REJECTED_EVENTS)]
    assert len(raw) == len(REJECTED)
    for line in raw:
        assert "***" in line
        assert "known" not in line
        assert not ADDRESS.search(line)
        assert "db8" not in line


def test_with_a_key_every_id_is_its_hash_and_nothing_else_changes(run, tmp_path):
    paths = {"input_data_path": EVENTS, "output_data_path_prefix": tmp_path / "keyed"}
    assert run(*JOBS, pseudonym_key=KEY, **paths).code == 0
    keyed = published.everything(tmp_path / "keyed")
    # The engines agree on every row, and this one is there in a second.
    assert run_command(tmp_path / "plain", ENGINE="duckdb")[0] == 0
    plain = published.everything(tmp_path / "plain")

    def hashed(text):
        return text and hmac.new(KEY.encode(), text.encode(), "sha256").hexdigest()

    hides = dict.fromkeys(("user_id", "account_id", "initiator_id"), hashed)
    gap_session = re.compile(r"(.+)-(\d{16})")
    gaps = 0
    for table in TABLES:
        if table == REJECTED_EVENTS:
            continue
        names = table.column_names
        rows = []
        for values in plain[table.name]:
            row = dict(zip(names, values, strict=True))
            gap = gap_session.fullmatch(row.get("session_id") or "")
            if gap and gap[1] == row["user_id"]:
                row["session_id"] = f"{hashed(gap[1])}-{gap[2]}"
                gaps += 1
            for name in hides.keys() & row.keys():
                row[name] = hides[name](row[name])
            rows.append(tuple(row.values()))
        assert sorted(rows, key=repr) == keyed[table.name], table.name
    assert gaps > 0
    names = PLAYBACK_EVENTS.column_names
    events = [dict(zip(names, row, strict=True)) for row in plain["playback_events"]]
    ids = {row[2] for row in plain["user_registration"]}
    ids |= {event[name] for event in events for name in ("user_id", "account_id")}
    raw = repr(keyed["rejected_events"])
    for identifier in ids - {None}:
        assert not re.search(rf'"{identifier}"|: ?{identifier}\b', raw)
    for text in everything_written(tmp_path / "keyed"):
        assert KEY not in text
