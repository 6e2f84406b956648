"""A Spark task in which DuckDB judges lines and writes them to a Parquet file.

A worker needs the packages of requirements/run.txt and the project itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from pyspark import cloudpickle

from jobs.engine.base import Rule
from jobs.errors import RunError
from jobs.fields import Kind
from jobs.lines.chunks import LineCount
from jobs.lines.files import LineRange
from jobs.mapping import EventMapping
from jobs.quoting import text


@dataclass(frozen=True)
class Judged:
    """The result of a task.

    Attributes:
        path: the Parquet file that has a row for each line.
        counts: what was read of each file, by the file's number.
        error: the error for the user, if the task failed.
        failure: the message of DuckDB, if DuckDB failed.
    """

    path: Path
    counts: Mapping[int, LineCount] = field(default_factory=dict)
    error: RunError | None = None
    failure: str | None = None


def pickled_rule(rule: Rule) -> bytes:
    """A rule in the form that :class:`JudgingTask` takes."""
    return bytes(cloudpickle.dumps(rule))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class JudgingTask:
    """Judges lines on a worker.

    Attributes:
        judge: the rule of ``Engine.read_lines``, pickled. The worker imports its
            modules only after it has bound the models to DuckDB.
        fields: the kind of each field, by its name.
        folder: the folder of the Parquet files, which every worker and the driver see.
        mapping: the mapping of the lines.
    """

    judge: bytes
    fields: Mapping[str, Kind]
    folder: Path
    mapping: EventMapping | None = None

    def __call__(self, ranges: Sequence[LineRange]) -> Judged:
        import duckdb

        from jobs.engine.duckdb.session import Session, bind_models

        bind_models()
        judge = cloudpickle.loads(self.judge)
        # Spark may run a task twice, so the name has to be new each time.
        path = self.folder / f"{uuid4()}.parquet"
        # Spark runs one task on each core.
        config = {"threads": 1, "temp_directory": f"{path}.spill"}
        session = Session(config)
        try:
            counts = session.judge(
                ranges,
                self.fields,
                judge,
                memory=None,
                into=lambda query: f"COPY ({query}) TO {text(path)} (FORMAT parquet)",
                mapping=self.mapping,
            )
        except RunError as error:
            return Judged(path, error=error)
        except duckdb.Error as error:
            # Spark would print an exception itself, with a traceback.
            return Judged(path, failure=f"{type(error).__name__}: {error}")
        finally:
            session.close()
        return Judged(path, counts)
