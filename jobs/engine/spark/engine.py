"""The Spark engine: Spark computes rows, and reads and writes their files."""

import logging
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from jobs.engine.base import (
    DataFile,
    Engine,
    JudgedLines,
    Rule,
    TableFiles,
    TextFunction,
)
from jobs.engine.duckdb.tables import data_files
from jobs.engine.spark.errors import (
    causes,
    is_out_of_memory,
    is_out_of_space,
    run_error,
    thrown,
)
from jobs.engine.spark.jvm import configuration, require_java
from jobs.engine.spark.tasks import JudgingTask, pickled_rule
from jobs.errors import RunError, SettingError
from jobs.fields import Kind
from jobs.lines.chunks import LineCount
from jobs.lines.cutting import split
from jobs.lines.files import EventFile, LineRange
from jobs.mapping import EventMapping
from jobs.settings import RunSettings, megabytes
from jobs.tables import Table

_LEAST_MEGABYTES = 512
_BYTES_PER_TASK = 48_000_000
_BYTES_PER_SHUFFLE_PARTITION = 64 * 1024 * 1024

# How long a cancelled task may take to end.
_LAST_TASKS_SECONDS = 10

# How often to try to end a session whose last call may have been interrupted.
_ATTEMPTS = 3


class SparkEngine(Engine):
    def __init__(
        self, settings: RunSettings, scratch: Path, time_zone: str = "UTC"
    ) -> None:
        """Start a session, or join the one that runs; close() then leaves it running.

        Raises:
            SettingError: MEMORY_LIMIT is less than Spark takes.
            RunError: there is no Java that Spark runs on, or Spark does not start.
        """
        super().__init__(settings, scratch, time_zone)
        limit = settings.memory_limit
        if limit and megabytes(limit) < _LEAST_MEGABYTES:
            raise SettingError(
                f"MEMORY_LIMIT={limit}: Spark takes {_LEAST_MEGABYTES}MB or more"
            )
        require_java()
        self._joined = SparkSession.getActiveSession() is not None
        builder = SparkSession.builder.appName(settings.app_name).master(
            settings.spark_master
        )
        for key, value in configuration(settings, scratch).items():
            builder = builder.config(key, value)
        try:
            self._session = builder.getOrCreate()
        except Exception as error:
            *_, root = [None, *causes(thrown(error))]
            message = str(root.getMessage() if root else error)
            raise RunError(
                f"Spark does not start: {message.splitlines()[0]} (its settings:"
                f" SPARK_MASTER={settings.spark_master}, SPARK_PROPERTIES)"
            ) from error
        if settings.log_level != "DEBUG":
            # When the JVM is gone, the server prints a traceback. to_run_error() gives
            # the user one line instead.
            server = self._session.sparkContext._accumulatorServer
            server.handle_error = _do_nothing  # type: ignore[method-assign, assignment]
        self._session.conf.set("spark.sql.session.timeZone", time_zone)
        # Otherwise PySpark runs its workers with the ``python3`` that the PATH has.
        context = self._session.sparkContext
        context.pythonExec = str(context.getConf().get("spark.pyspark.python"))
        self._cached: list[DataFrame] = []

    @property
    def session(self) -> SparkSession:
        return self._session

    def bind_models(self) -> None:
        # ``pyspark.sql`` is Spark's own, so there is nothing to bind.
        if self.settings.log_level != "DEBUG":
            # Without a handler, Py4J prints a traceback of each error that it raises.
            logging.getLogger().addHandler(logging.NullHandler())

    def read_lines(
        self,
        files: Sequence[EventFile],
        fields: Mapping[str, Kind],
        judge: Rule,
        mapping: EventMapping | None = None,
    ) -> JudgedLines:
        self._fit_shuffles(sum(file.size for file in files))
        context = self._session.sparkContext
        ranges = [
            lines
            for number, file in enumerate(files)
            for lines in split(file, _BYTES_PER_TASK, number)
        ]
        folder = self.scratch / "judged"
        folder.mkdir(exist_ok=True)
        task = JudgingTask(pickled_rule(judge), fields, folder, mapping)
        tasks = _packed_together(ranges, _BYTES_PER_TASK)
        done = context.parallelize(tasks, len(tasks)).map(task).collect()
        counts = [LineCount()] * len(files)
        for judged in done:
            if judged.error is not None:
                raise judged.error
            if judged.failure is not None:
                raise self._run_error([judged.failure])
            for number, count in judged.counts.items():
                counts[number] += count
        rows = self._session.read.parquet(*(_pattern(each.path) for each in done))
        return JudgedLines(rows, counts)

    def read_csv(self, path: Path, columns: Sequence[str]) -> DataFrame:
        return self._session.read.csv(
            _pattern(path),
            schema=", ".join(f"`{name}` STRING" for name in columns),
            multiLine=True,
            quote='"',
            escape='"',
        )

    def read(self, table: Table, files: TableFiles) -> DataFrame:
        if not files.files:
            return self._session.createDataFrame([], _schema(table))
        self._fit_shuffles(files.size)
        # With a schema, Spark looks for none, and knows the type of the partition.
        reader = self._session.read.schema(_schema(table))
        return reader.option("basePath", str(files.folder)).parquet(
            *map(_pattern, files.paths)
        )

    def write(self, table: Table, rows: DataFrame, folder: Path) -> list[DataFile]:
        # The hint brings the rows of a partition together. Spark then splits partitions
        # that are too large for a file, and joins those that are too small for a task.
        typed = rows.select(
            *(F.col(c.name).cast(c.type).alias(c.name) for c in table.schema)
        )
        by = [table.partition.name] if table.partition else []
        typed.hint("rebalance", *by).write.partitionBy(by).parquet(str(folder))
        if not any(folder.rglob("*.parquet")):
            no_rows = self._session.createDataFrame([], _schema(table))
            no_rows.write.mode("overwrite").parquet(str(folder))
        with duckdb.connect() as connection:
            return data_files(connection, table, folder)

    def cache(self, rows: DataFrame) -> DataFrame:
        cached = rows.persist(StorageLevel.MEMORY_AND_DISK)
        self._cached.append(cached)
        return cached

    def uncache(self) -> None:
        while self._cached:
            self._cached.pop().unpersist()

    def _collect(self, rows: DataFrame) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in rows.collect()]

    def rewrite(
        self, rows: DataFrame, columns: Mapping[str, TextFunction]
    ) -> DataFrame:
        return rows.withColumns(
            {
                name: F.udf(function, "string", useArrow=False)(
                    F.col(name).cast("string")
                )
                for name, function in columns.items()
            }
        )

    def query(
        self, sql: str, tables: Mapping[Table, TableFiles]
    ) -> list[tuple[Any, ...]]:
        for table, files in tables.items():
            self.read(table, files).createOrReplaceTempView(table.name)
        return self._collect(self._session.sql(sql))

    def create_view(self, table: Table, files: TableFiles) -> None:
        self._session.sql(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        self._session.sql(
            f"CREATE OR REPLACE VIEW {table.layer}.`{table.name}`"
            f" AS {_read_query(table, files)}"
        )

    def sql(self, query: str) -> Any:
        return self._session.sql(query).toPandas()

    def to_run_error(self, error: Exception) -> BaseException:
        is_from_java = thrown(error) is not None
        if isinstance(error, Py4JError | ConnectionError) and not is_from_java:
            return RunError("Spark's JVM is gone: it was killed, or is out of memory")
        messages = [str(cause.toString()) for cause in causes(thrown(error))]
        return self._run_error(messages) if messages else error

    def _run_error(self, messages: Sequence[str]) -> RunError:
        if is_out_of_memory(messages):
            return self.out_of_memory(f"{_LEAST_MEGABYTES}MB")
        return self.out_of_space() if is_out_of_space(messages) else run_error(messages)

    def close(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            # When Java finishes a call that was interrupted, Py4J closes all of its
            # connections, also the one in use here. The next attempt opens a new one.
            # If the JVM is gone, there is nothing to end.
            for _ in range(_ATTEMPTS):
                with suppress(Py4JError, ConnectionError):
                    self._end()
                    break
            else:
                # PySpark's own thread would live on, and DuckDB complain at the end of
                # the process of all that the thread keeps alive.
                self._session.sparkContext._accumulatorServer.shutdown()

    def _end(self) -> None:
        if self._joined:
            self.uncache()
            return
        if self._session.sparkContext._jsc is None:
            # The JVM went away in the attempt before, after the context had ended.
            return
        # Cancelled tasks would log errors, even after the last line of the run.
        self._session.sparkContext.setLogLevel("OFF")
        self._end_tasks()
        self._session.stop()

    def _end_tasks(self) -> None:
        """Cancel the tasks of a run that failed or was stopped, and wait for their end.

        Spark's own stop() does not wait. A task that goes on would write to folders
        that the run removes at the same time.
        """
        context = self._session.sparkContext
        tracker = context._jsc.sc().statusTracker()
        deadline = time.monotonic() + _LAST_TASKS_SECONDS
        while time.monotonic() < deadline and (
            len(tracker.getActiveJobIds())
            or any(each.numRunningTasks() for each in tracker.getExecutorInfos())
        ):
            context.cancelAllJobs()
            time.sleep(0.05)

    def _fit_shuffles(self, size: int) -> None:
        """Set enough shuffle partitions for these bytes; Spark joins small ones."""
        least = self._session.sparkContext.defaultParallelism
        wanted = max(least, size // _BYTES_PER_SHUFFLE_PARTITION)
        key = "spark.sql.shuffle.partitions"
        if wanted > int(self._session.conf.get(key, "0") or 0):
            self._session.conf.set(key, str(wanted))


def _do_nothing(*_: object) -> None: ...


def _packed_together(ranges: Sequence[LineRange], size: int) -> list[list[LineRange]]:
    """The ranges in groups of at least this many bytes; the last may have fewer."""
    groups: list[list[LineRange]] = []
    missing = 0
    for lines in ranges:
        if missing <= 0:
            groups.append([])
            missing = size
        groups[-1].append(lines)
        missing -= lines.end - lines.start
    return groups


def _pattern(path: Path) -> str:
    """A path with escapes, since Spark reads these characters as a glob."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))


def _read_query(table: Table, files: TableFiles) -> str:
    """SQL for the rows of a table's data files, typed as the catalogue says."""
    values = {column.name: f"`{column.name}`" for column in table.columns}
    if not files.files:
        columns = ", ".join(
            f"CAST(NULL AS {c.type}) AS `{c.name}`" for c in table.schema
        )
        return f"SELECT {columns} WHERE false"
    if table.partition:
        name = table.partition.name
        values[name] = f"`{name}`"
        if files.files[0].partition is not None:
            path = f"/{name}=([^/]*)/[^/]*$"
            values[name] = f"regexp_extract(_metadata.file_path, '{path}', 1)"
    columns = ", ".join(
        f"CAST({values[column.name]} AS {column.type}) AS `{column.name}`"
        for column in table.schema
    )
    # SQL can name one path, but the path may be a pattern for several files.
    names = ",".join(_pattern(Path(file.path)) for file in files.files)
    paths = f"{_pattern(files.folder)}/{{{names}}}".replace("`", "``")
    return f"SELECT {columns} FROM parquet.`{paths}`"


def _schema(table: Table) -> str:
    return ", ".join(f"`{column.name}` {column.type}" for column in table.schema)
