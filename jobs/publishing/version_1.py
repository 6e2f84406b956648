"""Tables that version 0.1 wrote: no job reads them, and the next run makes them anew.

Version 0.1 kept no record of the prefix. Each table's folder had a file ``_run.json``.
Each job published its own tables: it wrote an empty file ``_tmp/{run}/publishing``, and
then moved the tables from ``_tmp/{run}/{table}`` to their published folders.
"""

import json
from pathlib import Path

from jobs.publishing.state import State, TableRecord
from jobs.storage.local import replace_folder
from jobs.tables import TABLES

_VERSION = "0.1"
_FORMAT = 1


def state(prefix: Path) -> State:
    """The tables of a prefix that has no record. Only their existence is known."""
    folders = {t.name: prefix / t.name / "format=parquet" for t in TABLES}
    return State(
        "",
        {
            name: TableRecord(_run_id(folder), (), version=_VERSION, format=_FORMAT)
            for name, folder in folders.items()
            if (folder / "_run.json").exists()
        },
    )


def recover(prefix: Path) -> list[str]:
    """Finish the publications that version 0.1 began; returns their runs."""
    for ledger in (prefix / "_runs").glob("*.unfinished"):
        ledger.unlink()
    finished = []
    for intent in sorted((prefix / "_tmp").glob("*/publishing")):
        if intent.stat().st_size:
            continue
        scratch = intent.parent
        for table in TABLES:
            staging = scratch / table.name
            published = prefix / table.name / "format=parquet"
            if _is_to_be_published(staging, published):
                old = staging.with_name(f"{table.name}.old")
                replace_folder(published, staging, old)
        for path in sorted((scratch / "files").rglob("*")):
            if path.is_file():
                path.replace(prefix / path.relative_to(scratch / "files"))
        intent.unlink()
        finished.append(scratch.name)
    return finished


def _is_to_be_published(staging: Path, published: Path) -> bool:
    """Whether the staging folder has the new table, not the one that it replaced."""
    if not staging.exists():
        return False
    dead_run = staging.parent.name
    if run_id := _run_id(staging):
        return run_id == dead_run
    # The staging folder names no run. Its table is the old one if the published table
    # names the dead run. If no table names a run, both stay where they are.
    return not published.exists() or _run_id(published) not in ("", dead_run)


def _run_id(folder: Path) -> str:
    """The run that wrote a table; empty where its folder does not name one."""
    try:
        return str(json.loads((folder / "_run.json").read_bytes())["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
