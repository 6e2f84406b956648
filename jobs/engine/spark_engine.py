"""The models on Apache Spark: local, or wherever SPARK_MASTER points."""

import logging
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import cloudpickle
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from jobs.engine.base import Engine, Rule, TextFunction
from jobs.engine.store import Store
from jobs.errors import InputError, RunError, SettingError
from jobs.lines.exact import (
    DEEPEST_NESTING,
    ESCAPED_KEY,
    LONGEST_LINE,
    MISTYPED,
    SUSPICIOUS_LENGTH,
    plain_line,
)
from jobs.lines.files import check_unchanged
from jobs.lines.inputs import Inputs
from jobs.settings import RunSettings, megabytes
from jobs.tables import EVENT_FIELDS, TEXT_FIELDS, Table

_OLDEST_JAVA = 17
_LOGGING = Path(__file__).with_name("log4j2.properties")
_LESS_INLINING = Path(__file__).with_name("java.options")
_COLLECTOR = re.compile(r"-XX:\+Use\w+GC")
_CLASS_ARCHIVE = Path(sys.prefix, "spark.jsa")
_DEFAULT_MEMORY = "4GB"
_LEAST_MEGABYTES = 512
_TO_THE_END = 2**30
_BYTE_ORDER_MARK = "\ufeff"
TOO_LONG = "a line is too long"
_UNREADABLE = re.compile(r"reading file file:(//)?(?P<path>/.+?)\. ")
_BYTES_PER_SHUFFLE_PARTITION = 64 * 1024 * 1024

# Jackson, which reads JSON for Spark, is strict with these.
_STRICT = {
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
    "maxStringLen": str(LONGEST_LINE),
    "maxNumLen": str(LONGEST_LINE),
}

# How long a task may take to see that it was cancelled.
_LAST_TASKS_SECONDS = 10

# To end a session whose last call may have been interrupted.
_ATTEMPTS = 3

# Bytes. Beyond, Jackson has limits that are no rules of ours.
_LONG = 10_000

# What a line has in which MISTYPED finds a user_id or value.
_NO_TEXT_FOR_USER_ID = r'"user_id"\s*:\s*[^"n\s]'
_TEXT_FOR_VALUE = r'"value"\s*:\s*"[^"]'

# What Jackson makes of a number with a fraction; what is too large it puts in quotes.
_FRACTION = r'^(-?\d+\.\d+(E-?\d+)?$|")'

_LETTERS = ":"  # and what follows; a number is less

_HALF_SURROGATE = r"\\u[dD][89a-fA-F]"


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
        self._held: list[DataFrame] = []

    def judged(self, inputs: Inputs, judge: Rule) -> DataFrame:
        self._fit_shuffles(inputs.size)
        links = self._links(inputs)
        at_once = self.hold(
            self._lines(inputs, links)
            .transform(_with_fields, F.when(_is_readable("raw"), F.col("raw")))
            .withColumn("is_object", F.col("is_object") & ~_is_strange("raw"))
            .transform(judge)
        )
        # Spark sends all rows through a Python function that stands in their way. So it
        # reads what was refused, of what is held: ordinary lines shall not pay for it,
        # nor is the input read twice.
        held = at_once.withColumn(
            "source_file", _relative("source_file", inputs, links)
        )
        is_refused = F.col("raw").isNotNull()
        text = F.when(F.is_valid_utf8("raw"), F.col("raw"))
        exactly = self.hold(
            held.where(is_refused)
            .select(
                F.make_valid_utf8("raw").alias("raw"),
                "source_file",
                _by_value(plain_line)(text).alias("plain"),
            )
            .transform(_with_fields, F.col("plain"))
            .transform(judge)
        )
        return held.where(~is_refused).unionByName(exactly)

    def check_unchanged(self, inputs: Inputs) -> None:
        # Spark reads a line that has grown past the size that was listed.
        for file in inputs.event_files:
            check_unchanged(file)

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
                name: _by_value(function)(F.col(name).cast("string"))
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
        if any("OutOfMemoryError" in text for text in said):
            return self.out_of_memory(f"{_LEAST_MEGABYTES}MB")
        if any("No space left on device" in text for text in said):
            return self.out_of_space()
        if any(TOO_LONG in text for text in said):
            return InputError(
                f"{self.settings.input_data_path}: a line is longer than"
                f" {LONGEST_LINE:,} bytes"
            )
        for text in said:
            if unreadable := _UNREADABLE.search(text):
                path = unquote(unreadable["path"])
                return InputError(f"{path}: cannot be read: {said[-1].splitlines()[0]}")
        return RunError(said[-1].splitlines()[0]) if said else error

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

    def _lines(self, inputs: Inputs, links: Mapping[Path, Path]) -> DataFrame:
        """Lines that are not blank, as their bytes are, and each one's file's URI."""
        paths = (file.path for file in inputs.event_files)
        readable = [links.get(path, path) for path in paths]
        read = self._session.read.text([_pattern(path) for path in readable])
        line = F.when(
            F.octet_length("value") > LONGEST_LINE, F.raise_error(F.lit(TOO_LONG))
        ).otherwise(F.col("value"))
        without_mark = F.when(
            line.startswith(_BYTE_ORDER_MARK), _without_marks(line)
        ).otherwise(line)
        is_blank = F.trim(F.make_valid_utf8("raw"), F.lit(" \t")) == ""
        return read.select(
            without_mark.alias("raw"), F.col("_metadata.file_path").alias("source_file")
        ).where(F.col("raw").startswith("{") | ~is_blank)

    def _links(self, inputs: Inputs) -> dict[Path, Path]:
        """Another way to each file that Hadoop cannot name: one with a colon."""
        links = {}
        for number, path in enumerate(file.path for file in inputs.event_files):
            if ":" in path.name:
                link = self.store.scratch / f"lines-{number}{path.suffix}"
                link.unlink(missing_ok=True)
                link.symlink_to(path)
                links[path] = link
        return links

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
        # Or what follows an error in a line would be read as if there were none.
        "spark.sql.json.enablePartialResults": "false",
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


def _by_value(function: TextFunction) -> Callable[..., Column]:
    """A column function whose code the workers of a cluster need not have."""
    module = sys.modules[function.__module__]
    cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    udf: Callable[..., Column] = F.udf(function, "string", useArrow=False)
    return udf


def _thrown(error: Exception) -> Any:
    """The Java exception behind a Python one, or None."""
    return getattr(error, "java_exception", None) or getattr(error, "_origin", None)


def _causes(thrown: Any) -> Iterator[Any]:
    """A Java exception and what caused it, the root last."""
    while thrown is not None:
        yield thrown
        thrown = thrown.getCause()


def _relative(uri: str, inputs: Inputs, links: Mapping[Path, Path]) -> Column:
    """The path of an event file, relative to the input's root."""
    # Percent-encoded, with one slash or three after its scheme.
    encoded = F.replace(F.col(uri), F.lit("+"), F.lit("%2B"))
    path = F.regexp_replace(F.url_decode(encoded), "^file:(//)?", "")
    relative = F.substring(path, len(f"{inputs.root}/") + 1, _TO_THE_END)
    for original, link in links.items():
        name = F.lit(str(original.relative_to(inputs.root)))
        relative = F.when(path == str(link), name).otherwise(relative)
    return relative


def _without_marks(line: Column) -> Column:
    """A line without the byte order marks at its start, its other bytes as they are."""
    # Spark's own trimming takes any single byte of a mark as well.
    as_latin = F.decode(line.cast("binary"), "ISO-8859-1")
    marks = f"^({_BYTE_ORDER_MARK.encode().decode('latin-1')})+"
    rest = F.regexp_replace(as_latin, marks, "")
    return F.encode(rest, "ISO-8859-1").cast("string")


def _is_readable(line: str) -> Column:
    """Whether a line is text, and takes Jackson over no limit."""
    length = F.octet_length(line)
    brackets = length - F.octet_length(F.translate(line, "[{", ""))
    may_nest_too_deep = (length > SUSPICIOUS_LENGTH) & (brackets > DEEPEST_NESTING)
    return (length <= _LONG) & ~may_nest_too_deep & F.is_valid_utf8(line)


def _with_fields(lines: DataFrame, text: Column) -> DataFrame:
    """The rows that a rule judges, of lines and what is to be read of each.

    Spark ignores what follows an object. So it stands in an array before an object that
    no line can guess: whatever breaks out of the array breaks the array.

    What leads to the parser's text has a column of its own, since Spark compiles none
    of a parser's arguments. Parsing and looking up is then one projection: it parses
    once, and keeps no map of a line for the next. Of repeated names the first counts.
    """
    end = secrets.token_hex(8)
    array = F.concat(F.lit("["), text, F.lit(f',{{"":"{end}"}}]'))
    both = F.from_json("array", "ARRAY<MAP<STRING, STRING>>", _STRICT)
    pairs = F.when((F.size(both) == 2) & (both[1][""] == end), both[0])
    return lines.withColumn("array", array).select(
        "raw",
        "source_file",
        pairs.isNotNull().alias("is_object"),
        *(pairs[field].alias(field) for field in EVENT_FIELDS),
    )


def _is_strange(line: str) -> Column:
    """Whether these may be other fields than those that ``plain_line`` reads."""
    # A line is searched only where a field may be of the wrong type. What is no text
    # for a timestamp is no time either.
    texts = (name for name in TEXT_FIELDS if name != "timestamp")
    value = F.col("value")
    may_be_mistyped = reduce(
        or_,
        map(_may_be_no_text, texts),
        (_may_be_a_token("user_id") & F.col(line).rlike(_NO_TEXT_FOR_USER_ID))
        | (F.coalesce(value != "", F.lit(False)) & F.col(line).rlike(_TEXT_FOR_VALUE))
        | F.coalesce(F.col("initiator_id").startswith("-"), F.lit(False)),
    )
    may_hide = F.col(line).rlike(f"{ESCAPED_KEY}|{_HALF_SURROGATE}")
    return (may_be_mistyped & F.col(line).rlike(MISTYPED)) | (
        F.col(line).contains("\\u") & may_hide
    )


def _may_be_no_text(name: str) -> Column:
    """Whether a field is what Jackson writes for a fraction, an array or an object."""
    text = F.col(name)
    may_be_a_fraction = (text < _LETTERS) & text.rlike(_FRACTION)
    return F.coalesce(may_be_a_fraction | _is_nested(text), F.lit(False))


def _may_be_a_token(name: str) -> Column:
    """Whether a field is what Jackson writes for what is neither text nor null."""
    text = F.col(name)
    may_be = (text < _LETTERS) | text.isin("true", "false") | _is_nested(text)
    return F.coalesce(may_be, F.lit(False))


def _is_nested(text: Column) -> Column:
    return text.startswith("[") | text.startswith("{")


def _pattern(path: Path) -> str:
    """A path for Spark, which takes these characters for a glob."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))
