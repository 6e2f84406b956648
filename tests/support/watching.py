"""Searches folders that another process changes at the same time."""

import glob
from pathlib import Path


def found(folder: Path, pattern: str) -> list[Path]:
    """The paths below a folder that match a pattern; none if there is no folder.

    A path that comes or goes during the search may be found or not. All others are
    found. Path.glob raises FileNotFoundError if a folder is removed before it is
    listed; glob.glob goes on.
    """
    names = glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True)
    return [folder / name for name in sorted(names)]
