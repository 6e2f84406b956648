"""Changes to SQLFrame and SQLGlot that build the same plans in less time.

SQLFrame builds a plan as a tree of SQLGlot. Every step of a model copies the trees of
the steps before it several times. This takes most of a run on little input.
"""

import gc
from copy import deepcopy
from functools import lru_cache
from typing import Any

import sqlframe.base.util
import sqlglot
from sqlframe.base.session import _BaseSession
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
    copy = node.__class__()
    if node.comments is not None:
        copy.comments = node.comments.copy()
    if node._type is not None:
        copy._type = deepcopy(node._type)
    if node._meta is not None:
        copy._meta = node._meta.copy()
    return copy


def _dialect_name(dialect: sqlglot.Dialect) -> str:
    return type(dialect).__name__.lower()
