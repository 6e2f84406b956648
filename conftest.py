"""What all tests share: the engine under test, and which of them run, and when."""

import pytest

# A helper's assertion shows its values, as a test's own does.
pytest.register_assert_rewrite("tests.support")

pytest_plugins = ["tests.support.engine", "tests.support.runs"]


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Fast tests run first, and the long ones only if asked for: ``-m long``."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
    if "long" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
