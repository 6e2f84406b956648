"""Spark's session, and what it does with rows."""

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

from jobs.engine.base import DataFile, Engine, Rule, TableFiles, TextFunction
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
from jobs.lines.files import EventFile, LineRange, split
from jobs.settings import RunSettings, megabytes
from jobs.tables import Table

_LEAST_MEGABYTES = 512
_BYTES_PER_TASK = 48_000_000
_BYTES_PER_SHUFFLE_PARTITION = 64 * 1024 * 1024

# How long a task may take to see that it was cancelled.
_LAST_TASKS_SECONDS = 10

# To end a session whose last call may have been interrupted.
_ATTEMPTS = 3


class SparkEngine(Engine):
    def __init__(self, settings: RunSettings, scratch: Path) -> None:
        """Start a session, or join the one that runs, which then outlives this engine.

        Raises:
            SettingError: MEMORY_LIMIT is less than Spark takes.
            RunError: there is no Java that Spark runs on, or Spark does not start.
        """
        super().__init__(settings, scratch)
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
            told = str(root.getMessage() if root else error)
            raise RunError(
                f"Spark does not start: {told.splitlines()[0]} (its settings:"
                f" SPARK_MASTER={settings.spark_master}, SPARK_PROPERTIES)"
            ) from error
        if settings.log_level != "DEBUG":
            # It prints a traceback when the JVM is gone, which to_run_error() tells of.
            server = self._session.sparkContext._accumulatorServer
            server.handle_error = _do_nothing  # type: ignore[method-assign, assignment]
        self._session.conf.set(
            "spark.sql.session.timeZone", settings.reporting_timezone
        )
        # Otherwise PySpark has its workers run whatever ``python3`` is there.
        context = self._session.sparkContext
        context.pythonExec = str(context.getConf().get("spark.pyspark.python"))
        self._cached: list[DataFrame] = []

    @property
    def session(self) -> SparkSession:
        return self._session

    def bind_models(self) -> None:
        # ``pyspark.sql`` is Spark's own, and needs nothing.
        if self.settings.log_level != "DEBUG":
            # Py4J logs what it raises with its traceback, unless somebody listens.
            logging.getLogger().addHandler(logging.NullHandler())

    def read_lines(
        self, files: Sequence[EventFile], fields: Mapping[str, Kind], judge: Rule
    ) -> DataFrame:
        self._fit_shuffles(sum(file.size for file in files))
        context = self._session.sparkContext
        ranges = [lines for file in files for lines in split(file, _BYTES_PER_TASK)]
        folder = self.scratch / "judged"
        folder.mkdir(exist_ok=True)
        task = JudgingTask(
            pickled_rule(judge), fields, folder, self.settings.reporting_timezone
        )
        tasks = _packed_together(ranges, _BYTES_PER_TASK)
        done = context.parallelize(tasks, len(tasks)).map(task).collect()
        for judged in done:
            if judged.error is not None:
                raise judged.error
            if judged.failure is not None:
                raise self._run_error([judged.failure])
        return self._session.read.parquet(*(_pattern(each.path) for each in done))

    def read_csv(self, path: Path, columns: Sequence[str]) -> DataFrame:
        return self._session.read.csv(
            _pattern(path),
            schema=", ".join(f"`{name}` STRING" for name in columns),
            multiLine=True,
            quote='"',
            escape='"',
        )

    def read(self, table: Table, files: TableFiles) -> DataFrame:
        self._fit_shuffles(files.size)
        # Given a schema, Spark looks for none, and takes the partition's type from it.
        reader = self._session.read.schema(_schema(table))
        return reader.option("basePath", str(files.folder)).parquet(
            *map(_pattern, files.paths)
        )

    def write(self, table: Table, rows: DataFrame, folder: Path) -> list[DataFile]:
        # Rebalancing brings a partition's rows together, splits what is too large for a
        # file, and joins what is too small for a task.
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
        columns = ", ".join(
            f"CAST(`{column.name}` AS {column.type}) AS `{column.name}`"
            for column in table.schema
        )
        # A view in a schema is a text, which names no list of files.
        folder = _pattern(files.folder).replace("`", "``")
        self._session.sql(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        self._session.sql(
            f"CREATE OR REPLACE VIEW {table.layer}.`{table.name}`"
            f" AS SELECT {columns} FROM parquet.`{folder}`"
        )

    def sql(self, query: str) -> Any:
        return self._session.sql(query).toPandas()

    def to_run_error(self, error: Exception) -> BaseException:
        is_from_java = thrown(error) is not None
        if isinstance(error, Py4JError | ConnectionError) and not is_from_java:
            return RunError("Spark's JVM is gone: it was killed, or is out of memory")
        said = [str(cause.toString()) for cause in causes(thrown(error))]
        return self._run_error(said) if said else error

    def _run_error(self, said: Sequence[str]) -> RunError:
        if is_out_of_memory(said):
            return self.out_of_memory(f"{_LEAST_MEGABYTES}MB")
        return self.out_of_space() if is_out_of_space(said) else run_error(said)

    def close(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            # Once Java is done with a call that was interrupted, Py4J cuts all of its
            # connections, new ones as well: then it has to be asked again. A JVM that
            # is gone has nothing to release.
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
        # What is cut short would tell of it, even after the run's last word.
        self._session.sparkContext.setLogLevel("OFF")
        self._end_tasks()
        self._session.stop()

    def _end_tasks(self) -> None:
        """Cancel what a run that failed or was stopped has left at work.

        Spark's own end does not wait for tasks, and one that goes on writes where the
        run cleans up behind itself.
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
        """Enough shuffle partitions for these bytes; adaptive execution joins them."""
        least = self._session.sparkContext.defaultParallelism
        wanted = max(least, size // _BYTES_PER_SHUFFLE_PARTITION)
        key = "spark.sql.shuffle.partitions"
        if wanted > int(self._session.conf.get(key, "0") or 0):
            self._session.conf.set(key, str(wanted))


def _do_nothing(*_: object) -> None: ...


def _packed_together(ranges: Sequence[LineRange], size: int) -> list[list[LineRange]]:
    """The ranges in groups, each of at least this many bytes but for the last."""
    groups: list[list[LineRange]] = []
    left = 0
    for lines in ranges:
        if left <= 0:
            groups.append([])
            left = size
        groups[-1].append(lines)
        left -= lines.end - lines.start
    return groups


def _pattern(path: Path) -> str:
    """A path for Spark, which takes these characters for a glob."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))


def _schema(table: Table) -> str:
    return ", ".join(f"`{column.name}` {column.type}" for column in table.schema)
