"""How many examples a property test tries: settled here, for all of them.

``--hypothesis-profile=long`` tries ten times as many as CI does.
"""

from hypothesis import HealthCheck, settings

from tests.support.engine import ENGINE

settings.register_profile("short", max_examples=100, deadline=None)
settings.register_profile("long", max_examples=1000, deadline=None)
settings.load_profile("short")

# One for so many of the others: Spark takes much longer for a run.
_OTHERS_FOR_ONE_RUN = 10 if ENGINE == "duckdb" else 50


def of_runs() -> settings:
    """Fewer examples, for a test of which each is a run of the pipeline or two."""
    return settings(
        max_examples=settings().max_examples // _OTHERS_FOR_ONE_RUN,
        suppress_health_check=[HealthCheck.too_slow],
    )
