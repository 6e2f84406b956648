"""Tables that version 0.1 has left: they are known, and made anew by the next run.

That version kept no record of the prefix. Each table's folder held a ``_run.json``, and
each job published its own tables: an empty ``_tmp/{run}/publishing`` said that it had
begun to move them from ``_tmp/{run}/{table}``.
"""

import json
from pathlib import Path

from jobs.publishing.state import State, TableRecord
from jobs.storage.local import exchange
from jobs.tables import TABLES

_VERSION = "0.1"
_FORMAT = 1


def state(prefix: Path) -> State:
    """The tables of a prefix without a record: only that they are there is known."""
    return State(
        "",
        {
            table.name: TableRecord(
                _run_id(folder), (), version=_VERSION, format=_FORMAT
            )
            for table in TABLES
            if (folder := prefix / table.name / "format=parquet").exists()
        },
    )


def recover(prefix: Path) -> list[str]:
    """End the publications that version 0.1 has begun; returns their runs."""
    ended = []
    for begun in sorted((prefix / "_tmp").glob("*/publishing")):
        if begun.stat().st_size:
            continue
        died = begun.parent
        for table in TABLES:
            new, place = died / table.name, prefix / table.name / "format=parquet"
            if _has_to_move(new, place):
                if place.exists() and not exchange(new, place):
                    place.rename(new.with_name(f"{table.name}.old"))
                if not place.exists():
                    new.rename(place)
        for path in sorted((died / "files").rglob("*")):
            if path.is_file():
                path.replace(prefix / path.relative_to(died / "files"))
        begun.unlink()
        ended.append(died.name)
    return ended


def _has_to_move(new: Path, place: Path) -> bool:
    """Whether this is the table of the dead run, not the one that it replaced."""
    if not new.exists():
        return False
    if run_id := _run_id(new):
        return run_id == new.parent.name
    # Nothing says where it came from: it is the new one unless that is in place.
    return not place.exists() or _run_id(place) not in ("", new.parent.name)


def _run_id(folder: Path) -> str:
    """The run that a table came from; empty where nothing says so."""
    try:
        return str(json.loads((folder / "_run.json").read_bytes())["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
