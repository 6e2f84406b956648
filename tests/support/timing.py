"""Measures how time grows with the input, even on a busy machine."""

import time
from collections.abc import Callable
from typing import TypeVar

Given = TypeVar("Given")

_TRIES = 3
_SLACK = 2


def grows_no_faster(
    do: Callable[[Given], object], little: Given, much: Given, times: int
) -> bool:
    """Whether much input takes no more than this many times the time of little input.

    It measures the processor time of this thread. Other work only adds to that, so the
    least of several tries counts. Much input may take twice its share: if it is four
    times as long, quadratic time would be four times its share.
    """
    least = min(_seconds(do, little) for _ in range(_TRIES))
    allowed = _SLACK * times * least
    return any(_seconds(do, much) <= allowed for _ in range(_TRIES))


def _seconds(do: Callable[[Given], object], given: Given) -> float:
    started = time.thread_time()
    do(given)
    return time.thread_time() - started
