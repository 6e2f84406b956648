"""The engine under test, and small tables for it.

ENGINE_UNDER_TEST chooses one engine for the whole process, since a model binds to an
engine when it is imported.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs.engine import Engine, open_engine
from jobs.ledger import Ledger
from jobs.publishing.run import Run, Writer
from jobs.settings import RunSettings, load
from jobs.tables import TABLES, Column

ENGINE = os.environ.get("ENGINE_UNDER_TEST", "duckdb")

if ENGINE == "duckdb":
    from jobs.engine.duckdb.session import bind_models

    bind_models()

Rows = Sequence[Sequence[object]]


def run_settings(folder: Path, **flags: str) -> RunSettings:
    """Settings for a run in a folder of its own, without the environment."""
    given = {
        "engine": ENGINE,
        "spark-master": "local[2]",
        "input-data-path": str(folder / "in"),
        "output-data-path-prefix": str(folder / "out"),
        **flags,
    }
    arguments = [f"--{name}={value}" for name, value in given.items()]
    settings: RunSettings
    [settings] = load((RunSettings,), "test", "", arguments, environment={})
    return settings


@pytest.fixture(scope="session")
def spark_for_all_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Spark for the process: starting one for each test would take seconds."""
    if ENGINE != "spark":
        yield
        return
    # Tests repeat a few plans. By default, Spark keeps only 100 compiled parts.
    flags = {"spark-properties": "spark.sql.codegen.cache.maxEntries=5000"}
    folder = tmp_path_factory.mktemp("spark")
    engine = open_engine(run_settings(folder, **flags), folder)
    yield
    engine.close()


@pytest.fixture
def open_here(
    tmp_path: Path, spark_for_all_tests: None
) -> Iterator[Callable[..., Engine]]:
    """Opens an engine in ``tmp_path``, with settings as keywords."""
    opened: list[Engine] = []

    def open_one(**flags: str) -> Engine:
        scratch = tmp_path / f"engine-{len(opened)}"
        scratch.mkdir()
        opened.append(open_engine(run_settings(tmp_path, **flags), scratch))
        return opened[-1]

    yield open_one
    for engine in opened:
        engine.close()


@pytest.fixture
def engine(open_here: Callable[..., Engine]) -> Engine:
    return open_here()


@dataclass(frozen=True)
class OpenRun:
    """A run without jobs, for a test. It may write every table."""

    run: Run
    writer: Writer

    def publish(self) -> None:
        self.writer.publish(self.run.changes(), self.run.ledger)


@pytest.fixture
def open_run(engine: Engine) -> Iterator[Callable[[], OpenRun]]:
    """Opens runs on the prefix of ``engine``, one after the other."""
    writers: list[Writer] = []

    def open_one() -> OpenRun:
        for before in writers:
            before.close()
        writer = Writer(engine.settings, TABLES)
        writers.append(writer)
        tables, ledger = writer.tables.current(), Ledger(writer.run_id, {})
        run = Run(engine.settings, engine, tables, writer.scratch, ledger)
        run.begin_job(reads=(), writes=TABLES)
        return OpenRun(run, writer)

    yield open_one
    for writer in writers:
        writer.close()


@pytest.fixture
def table(engine: Engine) -> Callable[[Sequence[Column] | str, Rows], Any]:
    """Makes a DataFrame of ``name TYPE, …`` and rows; instants are ISO texts with Z."""

    def make(schema: Sequence[Column] | str, rows: Rows) -> Any:
        return data_frame(engine, schema, rows)

    return make


def data_frame(engine: Engine, schema: Sequence[Column] | str, rows: Rows) -> Any:
    from pyspark.sql import functions as F

    columns = parsed(schema) if isinstance(schema, str) else schema
    names = [column.name for column in columns]
    texts = [[None if v is None else str(v) for v in row] for row in rows]
    # Without rows, a row of NULLs still gives the columns.
    with_nulls: list[list[str | None]] = [[None] * len(names), *texts]
    made = engine.session.createDataFrame(
        [(str(i), *row) for i, row in enumerate(with_nulls)],
        ", ".join(f"{name} STRING" for name in ["row_number", *names]),
    )
    return made.where(F.col("row_number") != "0").select(
        *(F.col(column.name).cast(column.type).alias(column.name) for column in columns)
    )


def parsed(schema: str) -> list[Column]:
    """``name TYPE, …`` as columns."""
    pairs = (declared.split() for declared in schema.split(", "))
    return [Column(name, type_) for name, type_ in pairs]


@pytest.fixture
def rows_of(engine: Engine) -> Callable[[Any], list[tuple[Any, ...]]]:
    """Gives the rows of a DataFrame, sorted, with instants as ``micros``."""

    def collect(frame: Any) -> list[tuple[Any, ...]]:
        return sorted(collected(engine, frame), key=repr)

    return collect


def collected(engine: Engine, frame: Any) -> list[tuple[Any, ...]]:
    from pyspark.sql import functions as F

    comparable = (
        (
            F.unix_micros(f.name).alias(f.name)
            if "timestamp" in f.dataType.simpleString()
            else F.col(f.name)
        )
        for f in frame.schema.fields
    )
    fields = [(name, Any) for name in frame.columns]
    row = NamedTuple("Row", fields)  # type: ignore[misc]
    return list(map(tuple, engine.collect(frame.select(*comparable), row)))


def micros(instant: str) -> int:
    """Microseconds since 1970 of an ISO 8601 instant."""
    since = datetime.fromisoformat(instant) - datetime.fromisoformat("1970-01-01T00Z")
    return since // timedelta(microseconds=1)
