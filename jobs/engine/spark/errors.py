"""What an error of Spark means for the user: Java says it, in one of its causes."""

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
    """A Java exception and what caused it, the root last."""
    while thrown is not None:
        yield thrown
        thrown = thrown.getCause()


def is_out_of_memory(said: Sequence[str]) -> bool:
    """Whether an error means that, by what it and its causes say."""
    return any("OutOfMemory" in text for text in said)


def is_out_of_space(said: Sequence[str]) -> bool:
    """Whether an error means that a disk is full, by what it and its causes say."""
    return any("No space left on device" in text for text in said)


def run_error(said: Sequence[str]) -> RunError:
    """What to tell the user of any other error."""
    for text in said:
        if unreadable := _UNREADABLE.search(text):
            path = unquote(unreadable["path"])
            return InputError(f"{path}: cannot be read: {said[-1].splitlines()[0]}")
        if raised := _RAISED_IN_PYTHON.findall(text):
            return RunError(f"in a worker of Spark: {raised[-1]}")
    return RunError(said[-1].splitlines()[0])
