"""What all tests share: the engine under test, and which of them run, and when."""

import os

import pytest

# A helper's assertion shows its values, as a test's own does.
pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.support.engine",
    "tests.support.examples",
    "tests.support.runs",
]

# What Spark has no part in is tested once, with the embedded engine.
WITHOUT_SPARK = [
    "jobs/unit_tests/test_attributes.py",
    "jobs/unit_tests/test_findings.py",
    "jobs/unit_tests/test_mapping.py",
    "jobs/unit_tests/test_privacy.py",
    "jobs/unit_tests/test_significance.py",
    "tests/containers/test_compose.py",
    "tests/engines/test_duckdb_session.py",
    "tests/engines/test_quick_plans.py",
    "tests/lines/*",
    "tests/mapping/test_map.py",
    "tests/page/test_text.py",
    "tests/pipeline/test_delta.py",
    "tests/pipeline/test_published_report.py",
    "tests/pipeline/test_publishing.py",
    "tests/pipeline/test_settings.py",
    "tests/pipeline/test_time_zones.py",
    "tests/pipeline/test_warehouse.py",
    "tests/project/*",
]
# The half of the embedded engine needs no Java.
WITH_SPARK_ALONE = [
    "tests/engines/test_delta_lake.py",
    "tests/engines/test_engines_agree.py",
    "tests/engines/test_spark_plans.py",
]
IS_SPARK = os.environ.get("ENGINE_UNDER_TEST") == "spark"
collect_ignore_glob = WITHOUT_SPARK if IS_SPARK else WITH_SPARK_ALONE


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Fast tests run first, and the long ones only if asked for: ``-m long``."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
    for item in items:
        # DuckDB judges lines for both engines.
        is_shared = "judged" in getattr(item, "fixturenames", ())
        if IS_SPARK and (is_shared or item.get_closest_marker("long_on_spark")):
            item.add_marker("long")
    if "long" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
