"""What makes SQLFrame build a plan in less time. No plan is another for it.

A plan of SQLFrame is a tree of SQLGlot's, and every step of a model copies the trees of
those before it, several times. On little input, most of a run is this.
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
    """Let SQLFrame's plans, in this process, be built in the quicker way."""
    # A tree is of small objects. At Python's threshold of 700 such objects, looking for
    # rubbish among them takes an eighth of a small run.
    gc.set_threshold(10_000)
    # At every function of a model, SQLFrame goes through all 33 dialects of SQLGlot for
    # the name of the one that it writes, and the first time it imports them all.
    sqlframe.base.util.dialect_to_string = _dialect_name
    # It parses each name it meets, and they are few.
    _BaseSession._normalize_string = lru_cache(  # type: ignore[method-assign]
        _BaseSession._normalize_string
    )
    # SQLGlot's own goes through the steps of a change for every node, and copies as any
    # object what each remembers of its place in a text.
    Expression.__deepcopy__ = copied  # type: ignore[method-assign, assignment]


def copied(tree: Expr, memo: Any = None) -> Expr:
    """The same tree of nodes of its own, as ``copy.deepcopy`` gives it."""
    copy = _without_children(tree)
    left = [(tree, copy)]
    while left:
        node, its_copy = left.pop()
        for key, value in node.args.items():
            if isinstance(value, Expr):
                child = its_copy.args[key] = _without_children(value)
                child.parent, child.arg_key = its_copy, key
                left.append((value, child))
            elif type(value) is list:
                children = its_copy.args[key] = value.copy()
                for index, each in enumerate(value):
                    if isinstance(each, Expr):
                        child = children[index] = _without_children(each)
                        child.parent, child.arg_key, child.index = its_copy, key, index
                        left.append((each, child))
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
