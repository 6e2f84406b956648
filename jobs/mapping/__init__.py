"""The mapping of other events to ours: EVENT_MAPPING, read from TOML."""

from jobs.mapping.mapping import (
    FAMILIES,
    REQUIRED,
    EventMapping,
    Rule,
    Time,
    presets,
    read_mapping,
)
from jobs.mapping.paths import Path, as_text, read_path
from jobs.mapping.times import UNITS

__all__ = [
    "FAMILIES",
    "REQUIRED",
    "UNITS",
    "EventMapping",
    "Path",
    "Rule",
    "Time",
    "as_text",
    "presets",
    "read_mapping",
    "read_path",
]
