"""``python -m benchmarks.peers.floor INPUT OUTPUT``: the least work.

It parses every line and writes it once to one Parquet file, without types, rules or
partitions, and with all duplicates. It makes none of the tables.
"""

import sys
from pathlib import Path

import duckdb

from benchmarks.peers.duckdb_sql import quoted

FIELDS = (
    *("event", "timestamp", "initiator_id", "channel", "device_type", "account_id"),
    *("user_id", "video_id", "session_id", "event_name", "value", "device"),
    *("device_os", "app_version", "country"),
)


def run(source: Path, output: Path) -> None:
    """Write every line of a directory that DuckDB can parse."""
    output.mkdir(parents=True)
    columns = ", ".join(f"\"{name}\": 'VARCHAR'" for name in FIELDS)
    with duckdb.connect() as database:
        database.execute("SET preserve_insertion_order = false")
        database.execute(
            f"COPY (FROM read_json({quoted(source / 'events-*.jsonl')},"
            " format = 'newline_delimited', ignore_errors = true,"
            f" columns = {{{columns}}})) TO {quoted(output / 'events.parquet')}"
            " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
