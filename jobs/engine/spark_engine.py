"""The models on Apache Spark: local, or wherever SPARK_MASTER points."""

import logging
import re
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from jobs.engine.base import Engine, Rule, TextFunction
from jobs.engine.spark_tasks import JudgingTask, pickled_rule
from jobs.engine.store import Store
from jobs.errors import InputError, RunError, SettingError
from jobs.fields import Kind
from jobs.lines.files import LineRange, split
from jobs.lines.inputs import Inputs
from jobs.settings import RunSettings, megabytes
from jobs.tables import Table

_OLDEST_JAVA = 17
_LOGGING = Path(__file__).with_name("log4j2.properties")
_LESS_INLINING = Path(__file__).with_name("java.options")
_COLLECTOR = re.compile(r"-XX:\+Use\w+GC")
_CLASS_ARCHIVE = Path(sys.prefix, "spark.jsa")
_DEFAULT_MEMORY = "4GB"
_LEAST_MEGABYTES = 512
_UNREADABLE = re.compile(r"reading file file:(//)?(?P<path>/.+?)\. ")
_RAISED_IN_PYTHON = re.compile(r"(?m)^[\w.]+(?:Error|Exception): .+$")
_BYTES_PER_TASK = 48_000_000
_BYTES_PER_SHUFFLE_PARTITION = 64 * 1024 * 1024

# How long a task may take to see that it was cancelled.
_LAST_TASKS_SECONDS = 10

# To end a session whose last call may have been interrupted.
_ATTEMPTS = 3


class SparkEngine(Engine):
    def __init__(self, settings: RunSettings, store: Store) -> None:
        """Start a session, or join the one that runs, which then outlives this engine.

        Raises:
            SettingError: MEMORY_LIMIT is less than Spark takes.
            RunError: there is no Java that Spark runs on, or Spark does not start.
        """
        super().__init__(settings, store)
        limit = settings.memory_limit
        if limit and megabytes(limit) < _LEAST_MEGABYTES:
            raise SettingError(
                f"MEMORY_LIMIT={limit}: Spark takes {_LEAST_MEGABYTES}MB or more"
            )
        require_java()
        if settings.log_level != "DEBUG":
            # Py4J logs what it raises with its traceback, unless somebody listens.
            logging.getLogger().addHandler(logging.NullHandler())
        self._joined = SparkSession.getActiveSession() is not None
        builder = SparkSession.builder.appName(settings.app_name).master(
            settings.spark_master
        )
        for key, value in _configuration(settings, store.scratch).items():
            builder = builder.config(key, value)
        try:
            self._session = builder.getOrCreate()
        except Exception as error:
            causes = list(_causes(_thrown(error)))
            told = str(causes[-1].getMessage()) if causes else str(error)
            raise RunError(
                f"Spark does not start: {told.splitlines()[0]} (its settings:"
                f" SPARK_MASTER={settings.spark_master}, SPARK_PROPERTIES)"
            ) from error
        if settings.log_level != "DEBUG":
            # It prints a traceback when the JVM is gone, which explain() tells of.
            server = self._session.sparkContext._accumulatorServer
            server.handle_error = _do_nothing  # type: ignore[method-assign, assignment]
        self._session.conf.set(
            "spark.sql.session.timeZone", settings.reporting_timezone
        )
        # Otherwise PySpark has its workers run whatever ``python3`` is there.
        context = self._session.sparkContext
        context.pythonExec = str(context.getConf().get("spark.pyspark.python"))
        self._held: list[DataFrame] = []

    @property
    def session(self) -> SparkSession:
        return self._session

    def judged(
        self, inputs: Inputs, fields: Mapping[str, Kind], judge: Rule
    ) -> DataFrame:
        self._fit_shuffles(inputs.size)
        context = self._session.sparkContext
        ranges = [
            lines
            for file in inputs.event_files
            for lines in split(file, _BYTES_PER_TASK)
        ]
        folder = self.store.scratch / "judged"
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
                raise self._explained([judged.failure])
        return self._session.read.parquet(*(_pattern(each.path) for each in done))

    def hold(self, rows: DataFrame) -> DataFrame:
        held = rows.persist(StorageLevel.MEMORY_AND_DISK)
        self._held.append(held)
        return held

    def release(self) -> None:
        while self._held:
            self._held.pop().unpersist()

    def collect(self, rows: DataFrame) -> list[tuple[Any, ...]]:
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

    def query(self, sql: str, tables: Iterable[Table]) -> list[tuple[Any, ...]]:
        for table in tables:
            self.read(table).createOrReplaceTempView(table.name)
        return self.collect(self._session.sql(sql))

    def name(self, table: Table, folder: Path) -> None:
        columns = ", ".join(
            f"CAST(`{column.name}` AS {column.type}) AS `{column.name}`"
            for column in table.schema
        )
        files = _pattern(folder).replace("`", "``")
        self._session.sql(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
        self._session.sql(
            f"CREATE OR REPLACE VIEW {table.layer}.`{table.name}`"
            f" AS SELECT {columns} FROM parquet.`{files}`"
        )

    def ask(self, query: str) -> Any:
        return self._session.sql(query).toPandas()

    def explain(self, error: Exception) -> BaseException:
        is_from_java = _thrown(error) is not None
        if isinstance(error, Py4JError | ConnectionError) and not is_from_java:
            return RunError("Spark's JVM is gone: it was killed, or is out of memory")
        said = [str(cause.toString()) for cause in _causes(_thrown(error))]
        return self._explained(said) if said else error

    def _explained(self, said: Sequence[str]) -> RunError:
        """What to tell the user of an error, by what it and its causes say."""
        if any("OutOfMemory" in text for text in said):
            return self.out_of_memory(f"{_LEAST_MEGABYTES}MB")
        if any("No space left on device" in text for text in said):
            return self.out_of_space()
        for text in said:
            if unreadable := _UNREADABLE.search(text):
                path = unquote(unreadable["path"])
                return InputError(f"{path}: cannot be read: {said[-1].splitlines()[0]}")
            if raised := _RAISED_IN_PYTHON.findall(text):
                return RunError(f"in a worker of Spark: {raised[-1]}")
        return RunError(said[-1].splitlines()[0])

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

    def _end(self) -> None:
        if self._joined:
            self.release()
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

    def _read(self, table: Table, folder: Path) -> DataFrame:
        self._fit_shuffles(sum(f.stat().st_size for f in folder.rglob("*.parquet")))
        # Given a schema, Spark looks for none, and takes the partition's type from it.
        schema = ", ".join(f"`{column.name}` {column.type}" for column in table.schema)
        return self._session.read.schema(schema).parquet(_pattern(folder))

    def _read_tidy(self, table: Table, tidy: Path) -> DataFrame:
        return self._session.read.csv(
            _pattern(tidy),
            schema=", ".join(f"`{name}` STRING" for name in table.column_names),
            multiLine=True,
            quote='"',
            escape='"',
        )

    def _write(self, table: Table, rows: DataFrame, folder: Path) -> int:
        shutil.rmtree(folder, ignore_errors=True)
        # Rebalancing brings a partition's rows together, splits what is too large for a
        # file, and joins what is too small for a task.
        typed = rows.select(
            *(F.col(c.name).cast(c.type).alias(c.name) for c in table.schema)
        )
        by = [table.partition.name] if table.partition else []
        # Counted after the exchange, in the tasks that write: one that is done again,
        # since a worker was lost, counts once.
        written = Observation()
        counted = typed.hint("rebalance", *by).observe(
            written, F.count(F.lit(1)).alias("rows")
        )
        counted.write.partitionBy(by).parquet(str(folder))
        return int(written.get["rows"])

    def _write_empty(self, table: Table, folder: Path) -> None:
        schema = ", ".join(f"`{column.name}` {column.type}" for column in table.schema)
        empty = self._session.createDataFrame([], schema)
        empty.write.mode("overwrite").parquet(str(folder))

    def _fit_shuffles(self, size: int) -> None:
        """Enough shuffle partitions for these bytes; adaptive execution joins them."""
        least = self._session.sparkContext.defaultParallelism
        wanted = max(least, size // _BYTES_PER_SHUFFLE_PARTITION)
        key = "spark.sql.shuffle.partitions"
        if wanted > int(self._session.conf.get(key, "0") or 0):
            self._session.conf.set(key, str(wanted))


def require_java() -> None:
    """Raise RunError with what to install unless a Java that Spark takes is there."""
    # The shell finds Java as Spark's own scripts do.
    asked = '"${JAVA_HOME:+$JAVA_HOME/bin/}java" -version'
    shown = subprocess.run(["sh", "-c", asked], capture_output=True, text=True)
    version = re.search(r'version "(\d+)', shown.stderr)
    if not version or int(version.group(1)) < _OLDEST_JAVA:
        raise RunError(
            f"ENGINE=spark needs Java {_OLDEST_JAVA} or later: install"
            " openjdk-17-jre-headless (Debian) or set JAVA_HOME;"
            " ENGINE=duckdb needs none"
        )


def _configuration(settings: RunSettings, scratch: Path) -> dict[str, str]:
    configuration = {
        "spark.pyspark.python": sys.executable,
        "spark.sql.adaptive.enabled": "true",
        # Java compiles no longer method: Spark then has smaller ones of it.
        "spark.sql.codegen.hugeMethodLimit": "8000",
        # A path is one of this machine, whatever a cluster's default is.
        "spark.hadoop.fs.defaultFS": "file:///",
        "spark.sql.shuffle.partitions": "1",  # grows with what is read
        # What is held is read a few times, and then gone.
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        # A week such as 2021-01 would be taken for a day.
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        # It takes PyArrow, and what comes to Python is small.
        "spark.sql.execution.arrow.pyspark.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Beside extraJavaOptions, which are the user's.
        "spark.driver.defaultJavaOptions": shlex.join(
            _java_options(dict(settings.spark_properties))
        ),
        # Folders of a file system are listed sooner than tasks are started for them.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    }
    if settings.spark_master.startswith("local"):
        # Nobody on the network has to reach this driver.
        configuration |= dict.fromkeys(
            ("spark.driver.bindAddress", "spark.driver.host"), "127.0.0.1"
        )
        # Hadoop's default puts a file of checksums beside each, which nobody reads, and
        # starts a process to set the mode of that file, too.
        configuration["spark.hadoop.fs.file.impl"] = (
            "org.apache.hadoop.fs.RawLocalFileSystem"
        )
    memory = settings.memory_limit or _DEFAULT_MEMORY
    configuration["spark.driver.memory"] = memory.removesuffix("B")
    return configuration | dict(settings.spark_properties)


def _java_options(properties: Mapping[str, str]) -> Iterator[str]:
    # Nobody waits for an answer in between, so that the faster collector may pause. The
    # user's is in its place, since Java takes no two.
    if not _COLLECTOR.search(properties.get("spark.driver.extraJavaOptions", "")):
        yield "-XX:+UseParallelGC"
    # Java's second compiler takes a quarter of a long run's processor time: less, if it
    # copies fewer methods into their callers.
    yield from _LESS_INLINING.read_text().split()
    yield f"-Dlog4j2.configurationFile={_LOGGING}"
    if _CLASS_ARCHIVE.exists():
        # One of another Java is left alone, which the JVM would tell of.
        yield f"-XX:SharedArchiveFile={_CLASS_ARCHIVE}"
        yield "-Xlog:disable"


def _do_nothing(*_: object) -> None: ...


def _thrown(error: Exception) -> Any:
    """The Java exception behind a Python one, or None."""
    return getattr(error, "java_exception", None) or getattr(error, "_origin", None)


def _causes(thrown: Any) -> Iterator[Any]:
    """A Java exception and what caused it, the root last."""
    while thrown is not None:
        yield thrown
        thrown = thrown.getCause()


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
