"""The errors that end a run, each with its exit code."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.ledger import Cause


class RunError(Exception):
    """A run ended early. The message is one line that names the cause."""

    exit_code = 1


class SettingError(RunError):
    """A setting is wrong; the message has its name, value and allowed values."""

    exit_code = 2


class InputError(RunError):
    """An input is missing or cannot be read; the message names the file."""

    exit_code = 3


class TooManyRejectedError(RunError):
    """Too many lines are rejected, or no line is kept.

    Attributes:
        causes: why lines were rejected.
    """

    exit_code = 4
    causes: "tuple[Cause, ...]" = ()


class EventIdError(RunError):
    """Too many different events share an event_id, so it identifies no event."""

    exit_code = 4


class PrefixInUseError(RunError):
    """Another run is writing to the same OUTPUT_DATA_PATH_PREFIX."""

    exit_code = 5


def in_one_line(error: BaseException) -> str:
    """The one line that tells the user of an error."""
    lines = str(error).strip().splitlines()
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, RunError):
        return " ".join(lines)
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
