"""Mappings: the keys of a TOML file, its defaults, its preset, and its errors."""

import re

import pytest

from jobs.errors import SettingError
from jobs.mapping import Time, as_text, read_mapping
from jobs.mapping.paths import read_path
from jobs.mapping.positions import lines_of_keys
from tests.support.mappings import written_mapping

TOP = """
family = "playback"
[fields]
event_name = "name"
timestamp = ["a.time", "time"]
user_id = "user"
"""
TWO_RULES = """
when.type = "track"
pairs = ["params"]
[fields]
timestamp = "time"
user_id = "user"
initiator_id = "user"
device = "device.name"
[rename]
"Signed Up" = "registered"
Play = "session_start"
[[events]]
family = "app"
when.event = ["Signed Up", 7, true]
fields.event = "event"
[[events]]
family = "playback"
time.unit = "milliseconds"
pairs = []
[events.fields]
event_name = "event"
device = "model"
[events.rename]
Play = "play"
"""


@pytest.fixture
def mapping_of(tmp_path):
    return lambda toml: written_mapping(toml, tmp_path / "own.toml")


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("a", ("a",)),
        ("a.b c.$d", ("a", "b c", "$d")),
        ('properties."app.version"', ("properties", "app.version")),
        (r'"a\"b\\"."[0]"', ('a"b\\', "[0]")),
        ('" a"', (" a",)),
    ],
)
def test_a_path_is_names_with_dots_between_them(written, path):
    assert read_path(written) == path
    assert read_path(as_text(path)) == path


@pytest.mark.parametrize("written", ["", ".", "a.", ".a", "a..b", "a[0]", '"a', '"a"b'])
def test_another_text_is_no_path(written):
    with pytest.raises(ValueError, match=r"\w"):
        read_path(written)


def test_the_top_level_is_the_one_rule_of_a_file_without_rules(mapping_of):
    mapping = mapping_of(TOP)
    [rule] = mapping.rules
    assert mapping.name == "own.toml"
    assert (rule.when, rule.family, rule.time) == ({}, "playback", Time())
    assert rule.fields == {
        "timestamp": (("a", "time"), ("time",)),
        "user_id": (("user",),),
        "event_name": (("name",),),
    }
    assert mapping.type_path is None


def test_the_top_level_has_the_defaults_of_every_rule(mapping_of):
    app, playback = mapping_of(TWO_RULES).rules
    assert app.when == {("type",): ("track",), ("event",): ("Signed Up", "7", "true")}
    assert playback.when == {("type",): ("track",)}
    assert [*app.fields] == ["event", "timestamp", "initiator_id"]
    assert playback.fields["device"] == (("model",),)
    assert (app.pairs, playback.pairs) == ({("params",)}, frozenset())
    assert (app.time, playback.time) == (Time(), Time(unit="milliseconds"))
    assert app.rename == {"Signed Up": "registered", "Play": "session_start"}
    assert playback.rename == {"Signed Up": "registered", "Play": "play"}


def test_lines_of_no_rule_are_counted_by_the_first_path_of_the_last_rule(mapping_of):
    assert mapping_of(TWO_RULES).type_path == ("type",)


def test_dotted_keys_of_toml_are_a_path_as_well(mapping_of):
    text = 'when.a.b = 1\nwhen."c.d" = "x"\nwhen.e = {"\\"f.g\\"" = false}\n'
    [rule] = mapping_of(text + TOP).rules
    assert rule.when == {
        ("a", "b"): ("1",),
        ("c", "d"): ("x",),
        ("e", "f.g"): ("false",),
    }


def test_two_mappings_have_two_digests_whatever_their_names_are(mapping_of):
    digests = {
        mapping_of(text).digest for text in (TOP, TOP + "# again\n", TOP + "value='v'")
    }
    assert len(digests) == 2
    assert re.fullmatch(r"own\.toml \([0-9a-f]{8}\)", mapping_of(TOP).title)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("= 1", "it is no TOML: .*line 1"),
        ("\nfamly = 'app'", "line 2: there is no key famly; the nearest is family"),
        ("a = 1", "line 1: there is no key a; there are preset, when, "),
        ("preset = 'segmet'", "line 1: there is no preset segmet; "),
        ("events = 3", r"line 1: events is an array of tables: \[\[events\]\]"),
        ("[[events]]\n[[events]]\npreset = 'x'", "line 3: there is no key preset"),
        (TOP.replace("playback", "play"), "line 2: .*; the nearest is playback"),
        (TOP.replace("user_id", "usr_id"), "line 6: .* field of playback usr_id; "),
        (
            TOP.replace('"user"', '"user."'),
            r"line 6: user\. is no path: a name is empty",
        ),
        (TOP.replace('"user"', "[]"), "line 6: a field is a path, or a list of paths"),
        (TOP.replace('"user"', "[1]"), "line 6: 1 is no path, which is a text"),
        (TOP.replace('user_id = "user"', ""), "line 3: the field user_id is missing"),
        ("pairs = 'a'" + TOP, "line 1: pairs is a list of paths"),
        ("json = ['a..b']" + TOP, "line 1: a..b is no path"),
        ("when = 'a'" + TOP, "line 1: when is a table"),
        (
            "when.a = [2021-01-01]" + TOP,
            "line 1: when takes texts, numbers and booleans",
        ),
        ("when.a = []" + TOP, "line 1: when takes texts"),
        (
            "time.unit = 'milis'" + TOP,
            "line 1: there is no unit milis; the nearest is mil",
        ),
        ("time = 'ms'" + TOP, "line 1: time is a table"),
        ("time.zone = 'x'" + TOP, "line 1: there is no key zone"),
        ("time = {unit = 'seconds', format = '%Y'}" + TOP, "a unit or a format"),
        ("time.format = '%d/%m %H:%M'" + TOP, "line 1: .* it needs %Y"),
        ("time.format = '%Y %Q'" + TOP, "line 1: there is no directive %Q; "),
        (TOP + "[rename]\nSigned.Up = 'x'", "line 8: rename is a table of names"),
    ],
)
def test_an_error_names_the_line_and_the_nearest_name(mapping_of, text, error):
    with pytest.raises(SettingError, match=error) as refused:
        mapping_of(text)
    assert re.match(r"EVENT_MAPPING=/.*/own\.toml: ", str(refused.value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("segmet", "EVENT_MAPPING=segmet: there is no such preset or file; "),
        ("/nowhere/x.toml", "EVENT_MAPPING=/nowhere/x.toml: No such file or directory"),
    ],
)
def test_a_mapping_that_is_not_there_is_named(name, error):
    with pytest.raises(SettingError, match=error):
        read_mapping(name)


def test_every_key_of_a_document_has_its_line():
    document = """# a comment
a = 1
b.c = '''
x = 1
''' # [no]
[t."u v"]
d = [ # ]
  "]",
]
[[e]]
f = {x = "}"}
[[e]]
[e.g]
'h.i' = \"\"\"a\\\"\"\"\"
j = 2
"""
    assert lines_of_keys(document) == {
        ("a",): 2,
        ("b", "c"): 3,
        ("t", "u v"): 6,
        ("t", "u v", "d"): 7,
        ("e", 0): 10,
        ("e", 0, "f"): 11,
        ("e", 1): 12,
        ("e", 1, "g"): 13,
        ("e", 1, "g", "h.i"): 14,
        ("e", 1, "g", "j"): 15,
    }
