"""Spark makes no extra shuffle for a run, by its event log."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.processes import ROOT, paths, run

pytestmark = pytest.mark.slow

Node = dict[str, Any]
INPUT = ROOT / "data-input"


class Log:
    """The event log of one run: the last plan of each query."""

    def __init__(self, lines: list[str]) -> None:
        events = [json.loads(line) for line in lines]
        self.plans: dict[int, Node] = {
            event["executionId"]: event["sparkPlanInfo"]
            for event in events
            if "sparkPlanInfo" in event
        }

    def written(self, table: str) -> Node:
        """The plan of the query that writes a table."""
        [plan] = (
            plan
            for plan in self.plans.values()
            if any(
                "InsertIntoHadoopFs" in node["simpleString"]
                and f"/{table}/format=parquet," in node["simpleString"]
                for node in nodes(plan)
            )
        )
        return plan


def nodes(plan: Node, with_cached: bool = False) -> Iterator[Node]:
    """The nodes of a plan; those below cached rows only with ``with_cached``."""
    yield plan
    if with_cached or not plan["nodeName"].startswith("InMemoryTableScan"):
        for child in plan["children"]:
            yield from nodes(child, with_cached)


def number_of(kind: str, plan: Node, with_cached: bool = False) -> int:
    return sum(node["nodeName"] == kind for node in nodes(plan, with_cached))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    folder = tmp_path_factory.mktemp("log")
    ended = run(
        *("-m", "benchmarks.table_jobs"),
        ENGINE="spark",
        **paths(INPUT, tmp_path_factory.mktemp("out")),
        SPARK_PROPERTIES="spark.eventLog.enabled=true\n"
        f"spark.eventLog.dir={folder.as_uri()}\n"
        "spark.eventLog.compress=false\nspark.eventLog.rolling.enabled=false",
    )
    assert ended.returncode == 0, ended.stderr
    [path] = folder.iterdir()
    return Log(path.read_text().splitlines())


@pytest.mark.parametrize(
    ("table", "exchanges"),
    [
        # One shuffle finds equal rows, one brings the rows of a day together in a file.
        ("user_registration", 2),
        ("app_loaded", 2),
        ("playback_events", 2),
        # The cached rows have all columns, so only the files need a shuffle.
        ("user_sessions", 1),
        ("fact_user_session", 1),
    ],
)
def test_no_table_is_shuffled_more_often_than_it_needs(log, table, exchanges):
    assert number_of("Exchange", log.written(table)) == exchanges


def test_users_and_videos_are_broadcast_to_the_sessions(log):
    making = log.written("fact_user_session")
    joins = {"BroadcastHashJoin": 2, "SortMergeJoin": 0, "ShuffledHashJoin": 0}
    assert {kind: number_of(kind, making, with_cached=True) for kind in joins} == joins
