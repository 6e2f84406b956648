"""Recognises the tracker that wrote a file, by what its lines have."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jobs.lines.mapped import takes
from jobs.mapping.mapping import EventMapping, Rule
from jobs.mapping.paths import Path, read_path
from jobs.mapping.sample import Event, Sample

# A line of a tracker has all paths of one of these groups. Trackers that write more
# stand before those that write a part of it.
_SIGNS: Mapping[str, tuple[str, ...]] = {
    "matomo": ("idVisit visitorId", "visit.idVisit visit.visitorId"),
    "ga4": (
        *("event_name event_timestamp event_date",),
        *("event_name event_timestamp user_pseudo_id",),
    ),
    "snowplow": ("collector_tstamp event_id", "collector_tstamp v_collector"),
    "amplitude": (
        *("event_type event_time device_id", "event_type event_time amplitude_id"),
        *("event_type event_time uuid",),
    ),
    "mixpanel": (
        *("event properties.time properties.distinct_id",),
        *("event properties.time properties.$device_id",),
    ),
    "posthog": (
        *("event timestamp distinct_id", "event timestamp properties.distinct_id"),
    ),
    "rudderstack": ("messageId type rudderId", "messageId type request_ip"),
    "segment": (
        *("messageId type", "event userId type", "event anonymousId type"),
        *("event event_text original_timestamp",),
    ),
}
_OURS = (
    (("event",), ("event_name",)),
    (("timestamp",),),
    (("initiator_id",), ("user_id",)),
)
_LIBRARIES = (("context", "library", "name"), ("context_library_name",))
_OF_RUDDERSTACK = "rudder"


class Taken(NamedTuple):
    """What a mapping makes of a line.

    Attributes:
        rule: the rule that takes it; None if none does.
        name: the name of the event as it is written; None if there is none.
        path: where the name stands; None if there is none.
    """

    rule: Rule | None
    name: str | None
    path: Path | None

    @property
    def our_name(self) -> str | None:
        """The name after renaming."""
        if self.rule is None or self.name is None:
            return self.name
        return self.rule.rename.get(self.name, self.name)


@dataclass(frozen=True)
class Recognised:
    """A tracker that wrote most lines.

    Attributes:
        preset: the name of its preset.
        lines: the number of its lines.
        signs: what they have.
    """

    preset: str
    lines: int
    signs: str


def recognised(sample: Sample) -> Recognised | None:
    """The tracker that wrote most lines; None if no known one did."""
    found = Counter(filter(None, map(_tracker, sample.events)))
    if not found:
        return None
    [((preset, group), _)] = found.most_common(1)
    # Not every line of RudderStack differs from Segment's.
    if preset == "segment" and any(name == "rudderstack" for name, _ in found):
        preset = "rudderstack"
    same = ("rudderstack", "segment") if preset == "rudderstack" else (preset,)
    lines = sum(count for (name, _), count in found.items() if name in same)
    if 2 * lines <= len(sample.events):
        return None
    return Recognised(preset, lines, ", ".join(group.split()))


def are_ours(sample: Sample) -> bool:
    """Whether most lines have our own fields, so that no mapping is needed."""
    ours = sum(all(map(event.first_path, _OURS)) for event in sample.events)
    return 2 * ours > len(sample.events)


def _tracker(event: Event) -> tuple[str, str] | None:
    """The tracker of a line, and the paths that tell it."""
    for preset, groups in _SIGNS.items():
        for group in groups:
            if all(read_path(path) in event.values for path in group.split()):
                is_other = preset == "segment" and _is_of_rudderstack(event)
                return ("rudderstack" if is_other else preset), group
    return None


def _is_of_rudderstack(event: Event) -> bool:
    texts = (event.text(path) or "" for path in _LIBRARIES)
    return any(_OF_RUDDERSTACK in text.lower() for text in texts)


def taken(mapping: EventMapping, event: Event) -> Taken:
    """What a mapping makes of a line: the first rule whose ``when`` holds takes it."""
    for rule in mapping.rules:
        if takes(rule, event.fields):
            return _named(rule, rule, event)
    named = (_named(None, rule, event) for rule in reversed(mapping.rules))
    nothing = Taken(None, None, None)
    return next((each for each in named if each.name is not None), nothing)


def _named(taking: Rule | None, rule: Rule, event: Event) -> Taken:
    path = event.first_path(rule.fields[rule.name_field])
    return Taken(taking, event.text(path) if path else None, path)
