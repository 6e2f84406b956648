"""How time grows with what there is to do, whatever else the machine does meanwhile."""

import time
from collections.abc import Callable
from typing import TypeVar

Given = TypeVar("Given")

_TRIES = 3
_SLACK = 2


def grows_no_faster(
    do: Callable[[Given], object], little: Given, much: Given, times: int
) -> bool:
    """Whether much takes no more than so many times what little takes.

    It measures the processor's time of this thread. Other work only adds to that, so
    the least of several tries counts. Much may take twice its share: where it is four
    times as long as little, quadratic time would be four times its share.
    """
    least = min(_seconds(do, little) for _ in range(_TRIES))
    allowed = _SLACK * times * least
    return any(_seconds(do, much) <= allowed for _ in range(_TRIES))


def _seconds(do: Callable[[Given], object], given: Given) -> float:
    started = time.thread_time()
    do(given)
    return time.thread_time() - started
