"""The inputs of a benchmark: events made once and kept outside of the project."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(tempfile.gettempdir()) / "product-events-bench"
GENERATOR = ROOT / "scripts" / "make_events.py"

EVEN = "even"
SHAPES = {
    # Half of the lines are of one viewer and one user.
    "skewed": """if(hash(line) % 2 = 0, line, regexp_replace(regexp_replace(line,
        '"user_id":"[^"]*"', '"user_id":"u1"'), '"initiator_id":[0-9]+',
        '"initiator_id":1'))""",
    # Ten weeks become 43 times as many; all lines of a user move together.
    "3000-days": """replace(line, day, (try_cast(day AS DATE) - (70 * (hash(
        regexp_extract(line, '"(?:user_id|initiator_id)":"?([^",]*)', 1)
        ) % 43))::INTEGER)::VARCHAR)""",
}
"""SQL that makes a line of each uneven input from a line of the even one."""

_REWRITE = """
COPY (
    SELECT coalesce({rewritten}, line)
    FROM (
        SELECT line, regexp_extract(line, '"timestamp":"([0-9-]{{10}})', 1) AS day
        FROM read_csv($1, columns = {{'line': 'VARCHAR'}}, delim = '\x01', quote = '',
            escape = '', header = false, auto_detect = false)
    )
) TO $2 (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')
"""
_CHUNK = 1 << 20


def made_events(events: int, shape: str = EVEN) -> Path:
    """The directory of this many events, which are made if they do not exist yet."""
    edition = hashlib.sha256(GENERATOR.read_bytes() + Path(__file__).read_bytes())
    made = CACHE / f"events-{events}-{shape}-{edition.hexdigest()[:8]}"
    if made.is_dir():
        return made
    print(f"making {events:,} events, {shape}", file=sys.stderr, flush=True)
    unfinished = made.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    if shape == EVEN:
        options = ["--events", str(events), "--output", str(unfinished)]
        subprocess.run([sys.executable, GENERATOR, *options], check=True)
    else:
        _rewrite(made_events(events), unfinished, SHAPES[shape])
    unfinished.rename(made)
    return made


def _rewrite(source: Path, target: Path, rewritten: str) -> None:
    target.mkdir(parents=True)
    for path in source.glob("*.csv"):
        shutil.copy(path, target)
    with duckdb.connect() as database:
        for path in source.glob("events-*"):
            query = _REWRITE.format(rewritten=rewritten)
            database.execute(query, [str(path), str(target / path.name)])


def count_lines(source: Path) -> int:
    """The number of lines of all event files; this also fills the system's cache."""
    return sum(
        chunk.count(b"\n")
        for path in source.glob("events-*")
        for chunk in _chunks(path)
    )


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
