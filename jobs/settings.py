"""The environment and the command line, parsed once into frozen, typed objects.

A settings class is a frozen dataclass whose fields are made by :func:`setting`. The
field ``input_data_path`` is the environment variable ``INPUT_DATA_PATH`` and the flag
``--input-data-path``; a flag wins over the environment, an empty value counts as unset.
"""

import argparse
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from jobs import __version__
from jobs.errors import SettingError
from jobs.zones import names


@dataclass(frozen=True)
class Kind:
    """The values that a setting may have.

    Attributes:
        parse: gives the value of a text; raises ValueError if the text is not allowed.
        takes: the allowed values, in words.
    """

    parse: Callable[[str], Any]
    takes: str


def setting(default: str, kind: Kind, means: str, is_secret: bool = False) -> Any:
    """A field of a settings class.

    Args:
        default: the text of the setting if it is unset.
        kind: the values that the setting may have.
        means: one sentence for ``--help``.
        is_secret: whether the value must not appear in the ledger or in messages.
    """
    given = {"default": default, "kind": kind, "means": means, "is_secret": is_secret}
    return field(metadata=given, repr=not is_secret)


def one_of(*choices: str) -> Kind:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return Kind(parse, " or ".join(choices))


def whole_number(at_least: int, at_most: int) -> Kind:
    def parse(text: str) -> int:
        if not re.fullmatch("-?[0-9]{1,9}", text):
            raise ValueError(text)
        if not at_least <= int(text) <= at_most:
            raise ValueError(text)
        return int(text)

    return Kind(parse, f"a whole number from {at_least} to {at_most}")


def secret(shortest: int) -> Kind:
    def parse(text: str) -> str | None:
        if text and len(text) < shortest:
            raise ValueError(text)
        return text or None

    return Kind(parse, f"a secret of at least {shortest} characters")


def _ratio(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError(text)
    return number


def _input_path(text: str) -> str:
    if re.match(_URL, text):
        raise ValueError(text)
    return text


def _prefix(text: str) -> str:
    path = os.path.abspath(text)  # noqa: PTH100 - the folders above count as well
    if re.match(_URL, text) or re.search(r"[*?\\\r\n\0]", path):
        raise ValueError(text)
    return text


def _globs(text: str) -> tuple[str, ...]:
    globs = tuple(filter(None, map(str.strip, text.split(","))))
    if not all(pattern.strip("./") for pattern in globs):
        raise ValueError(text)
    return globs


def _time_zone(text: str) -> str:
    if text not in names():
        raise ValueError(text)
    return text


def _spark_master(text: str) -> str:
    if not re.fullmatch(_SPARK_MASTER, text):
        raise ValueError(text)
    return text


def _memory_size(text: str) -> str | None:
    if text and not re.fullmatch(r"[1-9][0-9]*(MB|GB)", text):
        raise ValueError(text)
    return text or None


def _properties(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for line in filter(None, map(str.strip, text.splitlines())):
        key, equals, value = line.partition("=")
        if not (key.strip() and equals):
            raise ValueError(text)
        pairs.append((key.strip(), value.strip()))
    return tuple(pairs)


_SPARK_MASTER = (
    r"local(\[(\*|[0-9]+)(, ?[0-9]+)?\])?|local-cluster\[[0-9, ]+\]"
    r"|(spark|k8s)://.+|yarn"
)

_URL = r"[A-Za-z][A-Za-z0-9+.-]+://"
_NO_URL = "object stores are not supported yet, so copy their files here"

TEXT = Kind(str, "a text")
INPUT_PATH = Kind(_input_path, f"a path on this machine; {_NO_URL}")
PREFIX = Kind(
    _prefix,
    rf"a directory on this machine, without *, ?, \ and line breaks; {_NO_URL}",
)
GLOBS = Kind(_globs, "globs of names or of paths below the input, with commas between")
RATIO = Kind(_ratio, "a number from 0 to 1")
NUMBER = Kind(_number, "a number of at least 0")
SPARK_MASTER = Kind(
    _spark_master, "local[2], local[*], spark://host:port, k8s://address or yarn"
)
TIME_ZONE = Kind(_time_zone, "a time zone's name such as UTC or Europe/Berlin")
MEMORY_SIZE = Kind(_memory_size, "a size such as 512MB or 4GB")
PROPERTIES = Kind(_properties, "one key=value a line")


ON = "on"
PARQUET = "parquet"
DELTA = "delta"


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run, which all jobs have."""

    app_name: str = setting(
        "product-events", TEXT, "the run's name, as Spark and the ledger show it"
    )
    engine: str = setting(
        "duckdb",
        one_of("duckdb", "spark"),
        "duckdb runs embedded, without a JVM; spark needs Java 17",
    )
    spark_master: str = setting("local[*]", SPARK_MASTER, "where Spark runs")
    spark_properties: tuple[tuple[str, str], ...] = setting(
        "", PROPERTIES, "more Spark settings, one key=value a line", is_secret=True
    )
    input_data_path: str = setting(
        "./data-input",
        INPUT_PATH,
        "a directory, a glob or a file of events; users.csv and videos.csv are beside",
    )
    input_exclude: tuple[str, ...] = setting(
        "", GLOBS, "files and folders of the input that are left out"
    )
    output_data_path_prefix: str = setting(
        "./data-output", PREFIX, "the directory that holds the tables"
    )
    table_format: str = setting(
        PARQUET,
        one_of(PARQUET, DELTA),
        "parquet keeps the tables of the newest run; delta keeps those of earlier runs,"
        " too",
    )
    reporting_timezone: str = setting(
        "UTC", TIME_ZONE, "the time zone of days and weeks in the tables"
    )
    memory_limit: str | None = setting(
        "",
        MEMORY_SIZE,
        "the memory that the engine may use before it spills to disk; "
        "unset: the engine decides",
    )
    log_level: str = setting(
        "INFO",
        one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        "DEBUG adds tracebacks, WARNING hides the progress",
    )

    log_values: str = setting(
        "on", one_of(ON, "off"), "off: messages show of a value only its length"
    )

    @property
    def prefix(self) -> Path:
        """OUTPUT_DATA_PATH_PREFIX as an absolute path."""
        path = Path(self.output_data_path_prefix).absolute()
        return path.resolve() if ".." in path.parts else path


@dataclass(frozen=True)
class NoSettings:
    """The settings of a job that has none of its own."""


def shown(settings: Any) -> dict[str, Any]:
    """The settings by name, without those that may be secret."""
    return {
        f.name: getattr(settings, f.name)
        for f in fields(settings)
        if not f.metadata["is_secret"]
    }


def megabytes(size: str) -> int:
    """A memory size, as MEMORY_LIMIT has it, in megabytes."""
    return int(size[:-2]) * (1000 if size.endswith("GB") else 1)


def load(
    classes: Sequence[type[Any]],
    program: str,
    description: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> list[Any]:
    """One object of each settings class, from the environment and the command line.

    ``--help`` prints every setting of these classes with its default, and exits.

    Raises:
        SettingError: a flag is unknown, or a value is not what its setting takes.
    """
    environment = os.environ if environment is None else environment
    flags = _parser(classes, program, description).parse_args(
        [_spelled(word) for word in arguments]
    )
    return [
        cls(**{f.name: _value(f, flags, environment) for f in fields(cls)})
        for cls in classes
    ]


class Parser(argparse.ArgumentParser):
    """A parser with ``--version``, which raises SettingError for wrong arguments."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        version = f"product-events {__version__}"
        self.add_argument("--version", action="version", version=version)

    def error(self, message: str) -> Any:
        raise SettingError(f"{message} (--help lists the settings)")


def _parser(
    classes: Sequence[type[Any]], program: str, description: str
) -> argparse.ArgumentParser:
    parser = Parser(
        prog=program,
        description=description,
        epilog="Each flag is also an environment variable: --app-name is APP_NAME.",
        allow_abbrev=False,
    )
    for cls in classes:
        for f in fields(cls):
            takes = f.metadata["kind"].takes
            default = f.metadata["default"] or "unset"
            parser.add_argument(
                "--" + f.name.replace("_", "-"),
                metavar="VALUE",
                help=f"{f.metadata['means']} [{takes}; default: {default}]",
            )
    return parser


def _spelled(word: str) -> str:
    """``--INPUT_DATA_PATH=x`` as ``--input-data-path=x``; other words stay."""
    name, equals, value = word.partition("=")
    if name.startswith("--"):
        return name.lower().replace("_", "-") + equals + value
    return word


def _value(f: Any, flags: argparse.Namespace, environment: Mapping[str, str]) -> Any:
    name = f.name.upper()
    given = getattr(flags, f.name)
    text = given if given is not None else environment.get(name)
    kind = cast(Kind, f.metadata["kind"])
    try:
        return kind.parse(text or f.metadata["default"])
    except ValueError:
        value = "…" if f.metadata["is_secret"] else text
        raise SettingError(f"{name}={value}: it takes {kind.takes}") from None
