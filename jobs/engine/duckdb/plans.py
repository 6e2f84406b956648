"""Changes to SQLFrame and SQLGlot that build the same plans in less time.

SQLFrame builds a plan as a tree of SQLGlot. Every step of a model copies the trees of
the steps before it several times. This takes most of a run on little input.
"""

import gc
from copy import copy, deepcopy
from functools import lru_cache
from typing import Any
from uuid import uuid4

import sqlframe.base.util
import sqlglot
from sqlframe.base.dataframe import BaseDataFrame
from sqlframe.base.session import _BaseSession
from sqlglot import exp
from sqlglot.expressions.core import Expr, Expression


def hasten_plans() -> None:
    """Make SQLFrame build plans faster in this process."""
    # A tree consists of many small objects. Python's garbage collection runs after 700
    # new objects by default, which takes an eighth of a small run.
    gc.set_threshold(10_000)
    # For every function of a model, SQLFrame searches 33 dialects of SQLGlot for the
    # name of its own dialect. The first search imports them all.
    sqlframe.base.util.dialect_to_string = _dialect_name
    # SQLFrame parses every name each time that it meets the name.
    _BaseSession._normalize_string = lru_cache(  # type: ignore[method-assign]
        _BaseSession._normalize_string
    )
    # SQLGlot's own copy calls its general methods for changing a node, and makes deep
    # copies of the metadata of every node.
    Expression.__deepcopy__ = copied  # type: ignore[method-assign, assignment]
    # SQLFrame copies the whole tree of a step to set another one in its copy.
    BaseDataFrame.copy = _copy_with  # type: ignore[method-assign, assignment]
    # For every step, SQLFrame copies all steps before it six times, and writes them to
    # name it.
    BaseDataFrame._convert_leaf_to_cte = _next_step  # type: ignore[method-assign, assignment]


def copied(tree: Expr, memo: Any = None) -> Expr:
    """A copy of a tree, as ``copy.deepcopy`` makes it."""
    copy = _without_children(tree)
    remaining = [(tree, copy)]
    while remaining:
        node, its_copy = remaining.pop()
        for key, value in node.args.items():
            if isinstance(value, Expr):
                child = its_copy.args[key] = _without_children(value)
                child.parent, child.arg_key = its_copy, key
                remaining.append((value, child))
            elif type(value) is list:
                children = its_copy.args[key] = value.copy()
                for index, each in enumerate(value):
                    if isinstance(each, Expr):
                        child = children[index] = _without_children(each)
                        child.parent, child.arg_key, child.index = its_copy, key, index
                        remaining.append((each, child))
            else:
                its_copy.args[key] = value
    return copy


def _without_children(node: Expr) -> Expr:
    # The constructor would look for children.
    copy = object.__new__(node.__class__)
    copy.args = {}
    copy.parent = copy.arg_key = copy.index = copy._hash = None
    copy.comments = None if node.comments is None else node.comments.copy()
    copy._type = None if node._type is None else deepcopy(node._type)
    copy._meta = None if node._meta is None else node._meta.copy()
    return copy


def _copy_with(rows: Any, **changed: Any) -> Any:
    changed["join_on_uuid"] = str(uuid4())
    kept = {name: of for name, of in vars(rows).items() if name not in changed}
    for name, of in kept.items():
        kept[name] = of.copy() if hasattr(of, "copy") else copy(of)
    return rows.__class__(**kept, **changed)


_convert_leaf_to_cte = BaseDataFrame._convert_leaf_to_cte


def _next_step(
    rows: Any, sequence_id: str | None = None, name: str | None = None
) -> Any:
    """The rows as a named query, and a query that selects them all from it."""
    query = rows.expression
    steps = query.args.get("with_")
    is_recursive = steps is not None and steps.args.get("recursive")
    if rows.pending_hints or query.args.get("joins") or is_recursive:
        return _convert_leaf_to_cte(rows, sequence_id, name)
    sequence_id = sequence_id or rows.sequence_id
    step = query.copy()
    steps = step.args.pop("with_", None)
    # The names of the steps that it reads stand for what they are.
    name = name or rows._create_hash_from_expression(step)
    named = exp.Select().with_(name, as_=step, copy=False).ctes[0]
    named.set("branch_id", rows.branch_id)
    named.set("sequence_id", sequence_id)
    before = [] if steps is None else steps.expressions
    columns = [column.expression for column in rows._get_outer_select_columns(named)]
    selected = exp.Select()
    selected.set("with_", exp.With(expressions=[*before, named]))
    selected = selected.from_(name, copy=False).select(*columns, copy=False)
    return rows.copy(expression=selected, sequence_id=sequence_id)


def _dialect_name(dialect: sqlglot.Dialect) -> str:
    return type(dialect).__name__.lower()
