"""Looking into folders that another process changes meanwhile."""

import glob
from pathlib import Path


def found(folder: Path, pattern: str) -> list[Path]:
    """What matches below a folder; none of it, if there is no such folder.

    What comes or goes during the search may be found or not, and all else is found.
    Path.glob lists a folder after it has seen it, and raises FileNotFoundError if that
    folder went between the two; glob.glob passes on to the next.
    """
    names = glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True)
    return [folder / name for name in sorted(names)]
