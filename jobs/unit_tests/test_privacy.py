"""Rejected lines hide addresses and ids, and an id becomes a pseudonym."""

import hashlib
import hmac
import json

import pytest

from jobs.events_split.privacy import concealing, pseudonym
from jobs.lines.exact import LONG_LINE
from tests.support.timing import grows_no_faster

KEY = "a key that nobody knows"


def digest(text):
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"ip": "192.0.2.1", "a": 1}', '{"ip": "***", "a": 1}'),
        ('{"ip":"192.0.2.1"}', '{"ip":"***"}'),
        ('{"IP" : "192.0.2.1"}', '{"IP" : "***"}'),
        ('{"\\u0069p": "192.0.2.1"}', '{"\\u0069p": "***"}'),
        ('{"\\u0049\\u0050": "192.0.2.1"}', '{"\\u0049\\u0050": "***"}'),
        ('{"ip": 3221225985, "a": 1}', '{"ip": "***", "a": 1}'),
        ('{"ip": "a\\"192.0.2.1", "a": 1}', '{"ip": "***", "a": 1}'),
        ('{"a": {"ip": "192.0.2.1"}}', '{"a": {"ip": "***"}}'),
        ('{"ip": ["192.0.2.1", "192.0.2.2"], "a": 1}', '{"ip": "***"'),
        ('{"ip": {"v4": "192.0.2.1"}}', '{"ip": "***"'),
        ('{"ip": null, "a": 1}', '{"ip": null, "a": 1}'),
        ('{"ip": ""}', '{"ip": ""}'),
        ('{"ip": "192.0.2.1", "ip": "192.0.2.2"}', '{"ip": "***", "ip": "***"}'),
        ('{"ip": "192.0.2.1', '{"ip": "***"'),
        ('{"ip": "192.0.', '{"ip": "***"'),
        ("{'ip': '192.0.2.1', 'a': 1}", "{'ip': \"***\", 'a': 1}"),
        ("{ip: 192.0.2.1, a: 1}", '{ip: "***", a: 1}'),
        ('{"ip" "192.0.2.1"}', '{"ip" "***"}'),
        ('"{\\"ip\\": \\"192.0.2.1\\", \\"a"', '"{\\"ip\\": "***", \\"a"'),
        ("ip=192.0.2.1 a=1", 'ip="***" a=1'),
        ("92.0.2.1\", \"country\": \"NZ\"}", '***", "country": "NZ"}'),
        ("192.0.2.1 - - GET /", "*** - - GET /"),
        ("2001:db8::1 GET, at 12:30:45", "*** GET, at 12:30:45"),
        ("[2001:DB8:0:0:0:0:0:1]", "[***]"),
        ('{"zip": "1", "membership": "gold"}', '{"zip": "1", "membership": "gold"}'),
        ('{"app_version": "1.2.3.4"}', '{"app_version": "1.2.3.4"}'),
        ('{"user_id": "u1"}', '{"user_id": "u1"}'),
    ],
)  # fmt: skip
def test_an_address_is_masked_however_it_is_written(line, shown):
    assert concealing(None)(line) == shown
    if "user_id" not in line:
        assert concealing(KEY)(line) == shown


# A line of more than LONG_LINE is put together from pieces in another way.
@pytest.mark.parametrize(
    "length",
    [LONG_LINE // 8, pytest.param(LONG_LINE * 5 // 4, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("part", ["a", ":", "1.", "ip", "ip\\", '"ip":', "user_id "])
def test_time_grows_no_faster_than_the_line(part, length):
    line = "{" + part * (length // len(part))
    assert grows_no_faster(concealing(KEY), line, line * 4, times=4)


def test_a_pseudonym_is_an_hmac_and_a_missing_id_stays_missing():
    hide = pseudonym(KEY)
    assert hide("u1") == digest("u1").hexdigest()
    assert hide("ü") == digest("ü").hexdigest()
    assert [hide(""), hide(None)] == ["", None]
    assert hide("u1") != pseudonym(KEY + "!")("u1")


def test_with_a_key_a_rejected_line_shows_the_pseudonyms_that_the_tables_have():
    line = {"user_id": " u1", "account_id": 7, "initiator_id": 7.0, "ip": "192.0.2.1"}
    assert json.loads(concealing(KEY)(json.dumps(line)) or "") == {
        "user_id": pseudonym(KEY)("u1"),
        "account_id": pseudonym(KEY)("7"),
        "initiator_id": pseudonym(KEY)("7"),
        "ip": "***",
    }


@pytest.mark.parametrize(
    "value", ['"u1', "'u1'", '["u1"]', '{"u1": 1}', "u1", '"\\ud83d u1', '\\"u1\\"']
)
def test_with_a_key_an_id_that_cannot_be_read_is_masked(value):
    for name in ("user_id", "account_id", "initiator_id", "USER_ID"):
        shown = concealing(KEY)(f'{{"{name}": {value}') or ""
        assert "u1" not in shown
        assert "***" in shown
