"""A copy of a plan equals the copy that SQLGlot makes."""

import pytest
import sqlglot
from sqlglot.expressions import core
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.serde import dump

from jobs.engine.duckdb.plans import copied

QUERIES = (
    "SELECT a, 'A' AS b /* note */, x.\"c d\"[1:2] FROM t AS x WHERE a IN (1, 2) OR b",
    "WITH t AS (SELECT * FROM u) SELECT CASE WHEN a THEN 1 ELSE -1.5 END FROM t, t v",
    "SELECT row_number() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST) FROM t",
    "CREATE TABLE t AS SELECT CAST(a AS DECIMAL(38, 0)), STRUCT(1 AS at, b) FROM u",
    "SELECT " + " + ".join("a" * 5_000),
)


@pytest.mark.parametrize("query", QUERIES)
def test_a_copy_equals_its_tree_in_every_node(query):
    tree = annotate_types(sqlglot.parse_one(query, read="duckdb"))
    copy = copied(tree)
    assert dump(copy) == dump(tree)
    for node, its_copy in zip(tree.walk(), copy.walk(), strict=True):
        assert its_copy is not node
        assert type(its_copy) is type(node)
        assert (its_copy.arg_key, its_copy.index) == (node.arg_key, node.index)
        assert (its_copy.parent is None) == (node.parent is None)


def test_a_change_of_a_copy_leaves_the_original_as_it_was():
    tree = sqlglot.parse_one(QUERIES[0])
    before = dump(tree)
    copy = copied(tree)
    for node in list(copy.find_all(core.Expression)):
        node.meta["seen"] = True
        node.add_comments(["seen"])
    for node in list(copy.find_all(sqlglot.exp.Column)):
        node.replace(sqlglot.exp.Null())
    assert dump(tree) == before
    assert "NULL" in copy.sql()


def test_a_copy_of_a_part_has_no_parent():
    tree = sqlglot.parse_one(QUERIES[0])
    part = copied(tree.args["where"])
    assert part.parent is None
    assert part == tree.args["where"]
