"""Settings: their sources, and the values that are refused."""

from typing import Any

import pytest

from jobs.errors import SettingError
from jobs.pipeline import JOBS
from jobs.settings import RunSettings, load, shown

ALL: tuple[type[Any], ...] = (RunSettings, *(job.settings for job in JOBS))


def loaded(*arguments, **environment):
    objects = load(ALL, "test", "", arguments, environment)
    return {name: value for o in objects for name, value in vars(o).items()}


def test_everything_has_the_default_of_the_contract():
    assert loaded() == {
        "app_name": "product-events",
        "engine": "duckdb",
        "spark_master": "local[*]",
        "spark_properties": (),
        "input_data_path": "./data-input",
        "input_exclude": (),
        "output_data_path_prefix": "./data-output",
        "table_format": "parquet",
        "reporting_timezone": "UTC",
        "memory_limit": None,
        "log_level": "INFO",
        "log_values": "on",
        "users_path": None,
        "videos_path": None,
        "event_mapping": None,
        "max_rejected_ratio": 0.1,
        "event_id": "use",
        "data_from": "2000-01-01",
        "data_until": None,
        "input_timezone": "UTC",
        "pseudonym_key": None,
        "session_timeout_minutes": 30,
        "conversion_mode": "first",
        "conversion_week_offset": 1,
        "retention_weeks": 12,
        "dropoff_max_q": 0.05,
        "dropoff_min_sessions": 30,
        "dropoff_min_points": 5.0,
        "dropoff_min_ratio": 1.2,
    }


def test_a_flag_wins_over_the_environment_and_an_empty_value_is_unset():
    given = loaded("--engine=spark", ENGINE="duckdb", APP_NAME="", RETENTION_WEEKS="3")
    assert given["engine"] == "spark"
    assert given["app_name"] == "product-events"
    assert given["retention_weeks"] == 3


def test_a_flag_may_be_spelled_like_the_variable():
    assert loaded("--CONVERSION_WEEK_OFFSET", "-1")["conversion_week_offset"] == -1
    assert loaded("--INPUT_DATA_PATH=/A_b")["input_data_path"] == "/A_b"


def test_the_globs_of_files_to_leave_out_are_divided_by_commas():
    given = loaded(INPUT_EXCLUDE="*.csv, old/**,,day 1.txt ")
    assert given["input_exclude"] == ("*.csv", "old/**", "day 1.txt")


def test_spark_properties_are_lines():
    lines = " spark.a = 1 \n\nspark.b=x=y\n"
    assert loaded(SPARK_PROPERTIES=lines)["spark_properties"] == (
        ("spark.a", "1"),
        ("spark.b", "x=y"),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENGINE", "polars"),
        ("INPUT_DATA_PATH", "s3://bucket/events"),
        ("INPUT_EXCLUDE", "a, ./, b"),
        ("OUTPUT_DATA_PATH_PREFIX", "gs://bucket"),
        ("OUTPUT_DATA_PATH_PREFIX", "a*b"),
        ("OUTPUT_DATA_PATH_PREFIX", "a?"),
        ("OUTPUT_DATA_PATH_PREFIX", "a\\b"),
        ("OUTPUT_DATA_PATH_PREFIX", "a\nb"),
        ("REPORTING_TIMEZONE", "Mars/Olympus"),
        ("REPORTING_TIMEZONE", "../etc/passwd"),
        ("REPORTING_TIMEZONE", "localtime"),
        ("REPORTING_TIMEZONE", "Factory"),
        ("INPUT_TIMEZONE", "+01:00"),
        ("SPARK_MASTER", "nonsense"),
        ("SPARK_MASTER", "local[x]"),
        ("DATA_FROM", "2021-02-30"),
        ("DATA_FROM", "2021-01-01T00:00:00"),
        ("DATA_UNTIL", "tomorrow"),
        ("DATA_UNTIL", "20210101"),
        ("MAX_REJECTED_RATIO", "1.1"),
        ("MAX_REJECTED_RATIO", "nan"),
        ("MAX_REJECTED_RATIO", "many"),
        ("MEMORY_LIMIT", "lots"),
        ("LOG_LEVEL", "LOUD"),
        ("SESSION_TIMEOUT_MINUTES", "0"),
        ("SESSION_TIMEOUT_MINUTES", "1.5"),
        ("CONVERSION_MODE", "last"),
        ("CONVERSION_WEEK_OFFSET", "one"),
        ("CONVERSION_WEEK_OFFSET", "99999999999999999999"),
        ("RETENTION_WEEKS", "-1"),
        ("RETENTION_WEEKS", "1_0"),
        ("RETENTION_WEEKS", "\u0663"),
        ("DROPOFF_MAX_Q", "5"),
        ("DROPOFF_MIN_SESSIONS", "0"),
        ("DROPOFF_MIN_POINTS", "-1"),
        ("DROPOFF_MIN_RATIO", "inf"),
        ("DROPOFF_MIN_RATIO", "nan"),
        ("MEMORY_LIMIT", "0GB"),
        ("MEMORY_LIMIT", "1GB; DROP TABLE x"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_it_takes(name, value):
    with pytest.raises(SettingError) as refused:
        loaded(**{name: value})
    assert str(refused.value).startswith(f"{name}={value}: it takes ")


def test_a_wrong_mapping_is_named_with_what_is_wrong(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text("family = 'app'\nfeilds.event = 'a'\n", encoding="utf-8")
    for value, error in (
        ("nowhere.toml", r"EVENT_MAPPING=/.*/nowhere\.toml: No such file"),
        ("nonsense", "EVENT_MAPPING=nonsense: there is no such preset or file"),
        (str(file), "own.toml: line 2: there is no key feilds; the nearest is fields"),
    ):
        with pytest.raises(SettingError, match=error):
            loaded(EVENT_MAPPING=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SPARK_PROPERTIES", "spark.password"), ("PSEUDONYM_KEY", "hunter2")],
)
def test_a_wrong_setting_that_may_be_secret_is_named_without_its_value(name, value):
    with pytest.raises(SettingError) as refused:
        loaded(**{name: value})
    assert str(refused.value).startswith(f"{name}=…: it takes ")


def test_secrets_are_not_shown():
    key = "correct horse battery staple"
    run, split, *_ = load(
        ALL, "test", "", [], {"PSEUDONYM_KEY": key, "SPARK_PROPERTIES": f"a={key}"}
    )
    assert split.pseudonym_key == key
    assert key not in f"{run} {split} {shown(run)} {shown(split)}"


def test_an_unknown_flag_is_refused():
    with pytest.raises(SettingError, match="--colour"):
        loaded("--colour=red")


def test_help_lists_every_setting_with_its_default(capsys):
    with pytest.raises(SystemExit) as ended:
        loaded("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for name, value in loaded().items():
        assert "--" + name.replace("_", "-") in shown
        assert f"default: {value or 'unset'}" in shown
