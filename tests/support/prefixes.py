"""Prefixes whose data files have one row with a text, and runs that publish them."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from deltalake import DeltaTable

from jobs.engine import DataFile
from jobs.publishing import delta
from jobs.publishing.formats import Change, published_folder, staging_folder
from jobs.publishing.prefix import Prefix
from jobs.publishing.run import Writer
from jobs.settings import DELTA, PARQUET
from jobs.tables import APP_LOADED, USERS, VIDEOS, Table
from tests.support.engine import run_settings

TABLES = (USERS, VIDEOS, APP_LOADED)


def writer_of(
    prefix: Path, table_format: str = PARQUET, writes: Sequence[Table] = (USERS,)
) -> Writer:
    """Begin a run that writes these tables."""
    flags = {"output-data-path-prefix": str(prefix), "table-format": table_format}
    return Writer(run_settings(prefix, **flags), writes)


CONTENTS: dict[bytes, str] = {}


@cache
def data_file(content: str) -> bytes:
    """The bytes of a data file that has one row with this text."""
    columns = ", ".join(f"'{content}' AS {table.columns[0].name}" for table in TABLES)
    with tempfile.NamedTemporaryFile() as file, duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {columns}) TO '{file.name}' (FORMAT parquet)")
        data = Path(file.name).read_bytes()
    CONTENTS[data] = content
    return data


def content_of(path: Path) -> str:
    """The text in a file that :func:`data_file` made."""
    return CONTENTS[path.read_bytes()]


def written(
    writer: Writer, table: Table, content: str, kept: tuple[DataFile, ...] = ()
) -> Change:
    """A change that has one new data file."""
    data = data_file(content)
    path = f"part-{uuid4()}.parquet"
    if table.partition:
        path = f"{table.partition.name}=2021-01-01/{path}"
    file = staging_folder(writer.scratch, table, writer.tables.table_format) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return Change(table, (DataFile.at(path, 1, len(data)),), {}, kept)


def publish(writer: Writer, *changes: Change) -> None:
    """Publish these changes."""
    writer.tables.commit(changes, writer.scratch)
    writer.tables.remove_replaced()


class Killed(BaseException):
    """Stands for kill -9: the writer does nothing more."""


COMMITS = (
    (delta, "create_table_with_add_actions"),
    (DeltaTable, "create_write_transaction"),
)
"""The functions that commit to the log of a Delta table."""


@contextmanager
def ending_after(
    steps: int, error: BaseException, functions: Iterable[tuple[Any, str]]
) -> Iterator[None]:
    """Let these functions fail once they have been called a number of times.

    Args:
        steps: the number of calls, of all functions together, that succeed.
        error: the error of every further call.
        functions: the owner and the name of each.
    """

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def take(*arguments: Any, **options: Any) -> Any:
            nonlocal steps
            if steps == 0:
                raise error
            steps -= 1
            return step(*arguments, **options)

        return take

    with pytest.MonkeyPatch.context() as patched:
        for owner, name in functions:
            patched.setattr(owner, name, counted(getattr(owner, name)))
        yield


def published(prefix: Path, table: Table) -> list[str]:
    """The content of each data file that a reader finds."""
    files = Prefix(prefix).current().files(table)
    return sorted(map(content_of, files.paths))


def in_published_folder(prefix: Path, table: Table) -> list[str]:
    """The content of each file that readers of Parquet or of Delta tables find."""
    if (log := published_folder(prefix, table, DELTA)).exists():
        paths = [Path(path) for path in DeltaTable(log).file_uris()]
    else:
        paths = [*published_folder(prefix, table, PARQUET).rglob("*")]
    return sorted(content_of(path) for path in paths if path.is_file())
