"""Errors of Spark as errors for the user; one of Java's causes has the reason."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from jobs.errors import InputError, RunError

_UNREADABLE = re.compile(r"reading file file:(//)?(?P<path>/.+?)\. ")
_RAISED_IN_PYTHON = re.compile(r"(?m)^[\w.]+(?:Error|Exception): .+$")


def thrown(error: Exception) -> Any:
    """The Java exception behind a Python one, or None."""
    return getattr(error, "java_exception", None) or getattr(error, "_origin", None)


def causes(thrown: Any) -> Iterator[Any]:
    """A Java exception and its causes, the root cause last."""
    while thrown is not None:
        yield thrown
        thrown = thrown.getCause()


def is_out_of_memory(messages: Sequence[str]) -> bool:
    """Whether memory ran out, by the messages of an error and its causes."""
    return any("OutOfMemory" in message for message in messages)


def is_out_of_space(messages: Sequence[str]) -> bool:
    """Whether a disk is full, by the messages of an error and its causes."""
    return any("No space left on device" in message for message in messages)


def run_error(messages: Sequence[str]) -> RunError:
    """The error to show to the user, by the messages of an error and its causes."""
    for message in messages:
        if unreadable := _UNREADABLE.search(message):
            path = unquote(unreadable["path"])
            return InputError(f"{path}: cannot be read: {messages[-1].splitlines()[0]}")
        if raised := _RAISED_IN_PYTHON.findall(message):
            return RunError(f"in a worker of Spark: {raised[-1]}")
    return RunError(messages[-1].splitlines()[0])
