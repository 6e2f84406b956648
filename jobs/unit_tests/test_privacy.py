"""Rejected lines hide addresses and ids, and an id becomes a pseudonym."""

import hashlib
import hmac
import json
import re

import pytest

from jobs.events_split.privacy import MASK, concealing, pseudonym
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
        ("{'ip': '192.0.2.1', 'a': 1}", "{'ip': '***', 'a': 1}"),
        ("{ip: 192.0.2.1, a: 1}", '{ip: "***", a: 1}'),
        ('{"ip" "192.0.2.1"}', '{"ip" "***"}'),
        ('"{\\"ip\\": \\"192.0.2.1\\", \\"a"', '"{\\"ip\\": \\"***\\", \\"a"'),
        ("ip=192.0.2.1 a=1", 'ip="***" a=1'),
        ("92.0.2.1\", \"country\": \"NZ\"}", '***", "country": "NZ"}'),
        ("192.0.2.1 - - GET /", "*** - - GET /"),
        ("2001:db8::1 GET, at 12:30:45", "*** GET, at 12:30:45"),
        ("[2001:DB8:0:0:0:0:0:1]", "[***]"),
        ('{"zip": "1", "membership": "gold"}', '{"zip": "1", "membership": "gold"}'),
        ('{"note": "of 192.0.2.1", "a": 1}', '{"note": "of ***", "a": 1}'),
        ('{"app_version": "1.2.3.4"}', '{"app_version": "***"}'),
        ('{"user_id": "u1"}', '{"user_id": "u1"}'),
    ],
)  # fmt: skip
def test_an_address_is_masked_however_it_is_written(line, shown):
    assert concealing(None)(line) == shown
    if "user_id" not in line:
        assert concealing(KEY)(line) == shown


def nested(text, depth):
    """A text as JSON in a text of JSON, and so on."""
    for _ in range(depth):
        text = json.dumps(text)
    return text


@pytest.mark.parametrize("depth", range(5))
@pytest.mark.parametrize(
    "value", ["secret", "192.0.2.1", 'a "secret" text', "secret\\", "it's a secret", ""]
)
def test_a_value_in_a_text_of_json_is_masked_alone(value, depth):
    line = nested(json.dumps({"a": 1, "ip": value, "b": "shown"}), depth)
    shown = concealing(None)(line) or ""
    assert "secret" not in shown
    assert "192.0.2" not in shown
    assert json.loads(line).keys() if depth == 0 else isinstance(json.loads(shown), str)
    for _ in range(depth):
        shown = json.loads(shown)
    assert json.loads(shown) == {"a": 1, "ip": value and MASK, "b": "shown"}


ADDRESSES = ["192.0.2.1", "255.255.255.255", "2001:db8::1", "2001:db8::", "::1"]
ADDRESSES += ["::ffff:192.0.2.1", "2001:0DB8:0:0:0:0:0:1", "fe80::1"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "line",
    [
        "{}",
        '{{"note": "{}"}}',
        '{{"note": "a\\n{}\\tb"}}',
        '{{"note": "a\\f{}\\b"}}',
        '{{"note": "\\u0022{}\\u0022"}}',
        '"{{\\"note\\": \\"\\\\n{}\\"}}"',
        "\\x22{}\\x22",
        "GET /?a=%22{}%22&b=1",
        "GET /?a%253D%2520{}%2526b",
        "client:{}",
        "[{}]:8080",
        "<a>{}</a>",
        "({}),",
    ],
)
def test_whatever_looks_like_an_address_is_masked(address, line):
    for text in (
        address,
        address.replace(":", "%3A").replace(".", "%2e"),
        address.replace(":", "\\u003a").replace(".", "\\\\u002E"),
        "".join(f"\\u{ord(c):04x}" for c in address),
        "".join(f"%{ord(c):02X}" for c in address),
    ):
        shown = concealing(None)(line.format(text)) or ""
        assert text not in shown
        assert "***" in shown
        for digits in re.findall("[0-9A-Fa-f]{3,}", text):
            assert not address.startswith(digits) or digits not in shown


@pytest.mark.parametrize(
    "line",
    [
        "12:30:45",
        "2021-01-05T10:00:00+02:00",
        "a::",
        "00:1a:2b:3c:4d:5e",
        "v1.2.3",
        "::",
    ],
)
def test_times_and_versions_are_no_addresses(line):
    assert (concealing(None)(line) == line) is (line != "a::")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("ip: secret, a", 'ip: "***", a'),
        ("ip%3Dsecret%26a%3D1", 'ip%3D"***"%26a%3D1'),
        ("GET /?a=1&ip=secret&b=2", 'GET /?a=1&ip="***"&b=2'),
        ("%7B%22ip%22%3A%22secret%22%7D", '%7B%22ip%22%3A"***"%7D'),
        ("{\\x22ip\\x22:\\x22secret\\x22}", '{\\x22ip\\x22:"***"}'),
        ("{\\u0022ip\\u0022:\\u0022secret\\u0022}", '{\\u0022ip\\u0022:"***"}'),
        ("{\\u0022ip\\u0022:\\u0022secret", '{\\u0022ip\\u0022:"***"'),
        ("a=1;ip;secret;b", 'a=1;ip;"***";b'),
        ("ip\tsecret\tb", 'ip\t"***"\tb'),
        ("<ip>secret</ip>", '<ip>"***"</ip>'),
        ("'ip'=>'secret'", "'ip'=>'***'"),
        ('{"key": "ip", "value": "secret"}', '{"key": "ip", "value": "***"}'),
        ('["ip", "secret", 1]', '["ip", "***", 1]'),
        ("zip=1 ip_class=b ship: c", "zip=1 ip_class=b ship: c"),
    ],
)  # fmt: skip
def test_the_value_of_ip_is_masked_behind_any_separator(line, shown):
    assert concealing(None)(line) == shown


@pytest.mark.parametrize(
    "separator", ["=", ": ", ";", "\t", ",", "|", "%3D", " => ", ">"]
)
@pytest.mark.parametrize("name", ["user_id", "account_id", "initiator_id", "USER_ID"])
def test_with_a_key_an_id_is_hidden_behind_any_separator(name, separator):
    for line in (
        f"a{{{name}{separator}u1;x",
        f"{name}{separator}'u1'",
        f"&{name}{separator}u1",
    ):
        shown = concealing(KEY)(line) or ""
        assert "u1" not in shown
        assert "***" in shown
        assert concealing(None)(line) == line


# A line of more than LONG_LINE is put together from pieces in another way.
@pytest.mark.parametrize(
    "length",
    [LONG_LINE // 8, pytest.param(LONG_LINE * 5 // 4, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "part",
    ["a", ":", "1.", "a\\", "1\\", "%25", "ip", "ip\\", '"ip":', 'ip:\\"', "user_id "],
)
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
