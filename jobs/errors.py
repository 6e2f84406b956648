"""What can go wrong in a run, each with the exit code that the user sees."""


class RunError(Exception):
    """A run ended early. The message is one line that names the thing at fault."""

    exit_code = 1


class SettingError(RunError):
    """A setting is wrong; the message names it, its value and what it takes."""

    exit_code = 2


class InputError(RunError):
    """An input is missing or cannot be read; the message names the file."""

    exit_code = 3


class TooManyRejectedError(RunError):
    """rejected / read exceeds MAX_REJECTED_RATIO."""

    exit_code = 4


class PrefixInUseError(RunError):
    """Another run is writing to the same OUTPUT_DATA_PATH_PREFIX."""

    exit_code = 5
