"""The models on Apache Spark: local, or wherever SPARK_MASTER points."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark import cloudpickle
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from jobs.engine import json_lines
from jobs.engine.base import Engine
from jobs.engine.inputs import Inputs, csv_positions
from jobs.engine.json_lines import ESCAPED_KEY, MISTYPED
from jobs.engine.store import Store
from jobs.errors import RunError
from jobs.settings import RunSettings
from jobs.tables import EVENT_FIELDS, Table

_OLDEST_JAVA = 17
_LOGGING = Path(__file__).with_name("log4j2.properties")
_DEFAULT_MEMORY = "4GB"
_TO_THE_END = 2**30
_BYTES_PER_SHUFFLE_PARTITION = 64 * 1024 * 1024

# Jackson, which reads JSON for Spark, is strict with these.
_STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}
_HALF_SURROGATE = r"\\u[dD][89a-fA-F]"


class SparkEngine(Engine):
    def __init__(self, settings: RunSettings, store: Store) -> None:
        """Start a session, or join the one that runs, which then outlives this engine.

        Raises:
            RunError: there is no Java that Spark runs on.
        """
        super().__init__(settings, store)
        require_java()
        self._joined = SparkSession.getActiveSession() is not None
        builder = SparkSession.builder.appName(settings.app_name).master(
            settings.spark_master
        )
        for key, value in _configuration(settings).items():
            builder = builder.config(key, value)
        self._session = builder.getOrCreate()
        self._session.conf.set(
            "spark.sql.session.timeZone", settings.reporting_timezone
        )
        self._held: list[DataFrame] = []

    def read_events(self, inputs: Inputs) -> DataFrame:
        self._fit_shuffles(inputs.size)
        lines = self._lines(inputs)
        is_strange = _is_strange(F.col("raw"))
        # Sent by value: the workers of a cluster need not have this package.
        cloudpickle.register_pickle_by_value(json_lines)  # type: ignore[no-untyped-call]
        exactly = F.udf(json_lines.plain_line, "string", useArrow=False)
        # Two branches, since Spark would send every line through a Python function that
        # stands in one, and ordinary lines shall not pay for it.
        plain = lines.where(~is_strange).withColumn("plain", F.col("raw"))
        strange = lines.where(is_strange).withColumn("plain", exactly("raw"))
        return _with_objects(plain.unionByName(strange))

    def read_attributes(self, table: Table, path: Path | None) -> DataFrame:
        names = [column.name for column in table.columns]
        if path is None:
            schema = ", ".join(f"{name} STRING" for name in names)
            return self._session.createDataFrame([], schema)
        width, positions = csv_positions(path, names)
        rows = self._session.read.csv(
            _pattern(path),
            schema=", ".join(f"_{i} STRING" for i in range(width)),
            header=True,
            multiLine=True,
            quote='"',
            escape='"',
        )
        return rows.select(
            *(
                (F.lit(None).cast("string") if i is None else F.col(f"_{i}")).alias(
                    name
                )
                for name, i in zip(names, positions, strict=True)
            )
        )

    def hold(self, rows: DataFrame) -> DataFrame:
        held = rows.persist(StorageLevel.MEMORY_AND_DISK)
        self._held.append(held)
        return held

    def collect(self, rows: DataFrame) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in rows.collect()]

    def close(self) -> None:
        for held in self._held:
            held.unpersist()
        if not self._joined:
            self._session.stop()

    def _read(self, table: Table, files: Sequence[Path]) -> DataFrame:
        self._fit_shuffles(sum(file.stat().st_size for file in files))
        # Given a schema, Spark looks for none, and takes the partition's type from it.
        schema = ", ".join(f"`{column.name}` {column.type}" for column in table.schema)
        return self._session.read.schema(schema).parquet(
            _pattern(self.store.live(table))
        )

    def _write(self, table: Table, rows: DataFrame, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        # Rebalancing brings a partition's rows together, splits what is too large for a
        # file, and joins what is too small for a task.
        typed = rows.select(
            *(F.col(c.name).cast(c.type).alias(c.name) for c in table.schema)
        )
        if table.partition:
            name = table.partition.name
            typed.hint("rebalance", name).write.partitionBy(name).parquet(str(folder))
        else:
            typed.hint("rebalance").write.parquet(str(folder))

    def _write_empty(self, table: Table, folder: Path) -> None:
        schema = ", ".join(f"`{column.name}` {column.type}" for column in table.schema)
        empty = self._session.createDataFrame([], schema)
        empty.write.mode("overwrite").parquet(str(folder))

    def _count(self, folder: Path) -> int:
        return self._session.read.parquet(_pattern(folder)).count()

    def _lines(self, inputs: Inputs) -> DataFrame:
        if not inputs.event_files:
            return self._session.createDataFrame([], "raw STRING, source_file STRING")
        read = self._session.read.text([_pattern(path) for path in inputs.event_files])
        # A URI: percent-encoded, with one slash or three after its scheme.
        uri = F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B"))
        path = F.regexp_replace(F.url_decode(uri), "^file:(//)?", "")
        source_file = F.substring(path, len(f"{inputs.root}/") + 1, _TO_THE_END)
        line = F.col("value")
        without_mark = F.when(
            line.startswith("\ufeff"), F.substring(line, 2, _TO_THE_END)
        ).otherwise(line)
        return read.select(
            without_mark.alias("raw"), source_file.alias("source_file")
        ).where(F.trim(F.col("raw"), F.lit(" \t")) != "")

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


def _configuration(settings: RunSettings) -> dict[str, str]:
    configuration = {
        "spark.pyspark.python": sys.executable,
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.shuffle.partitions": "1",  # grows with what is read
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        "spark.sql.warehouse.dir": os.devnull,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOGGING}",
    }
    if settings.spark_master.startswith("local"):
        # Nobody on the network has to reach this driver.
        configuration |= dict.fromkeys(
            ("spark.driver.bindAddress", "spark.driver.host"), "127.0.0.1"
        )
    memory = settings.memory_limit or _DEFAULT_MEMORY
    configuration["spark.driver.memory"] = memory.removesuffix("B")
    return configuration | dict(settings.spark_properties)


def _is_strange(line: Column) -> Column:
    """Whether Spark may read this line otherwise than ``plain_line`` does."""
    keys = F.json_object_keys(line)
    # Of a repeated key Jackson takes the last.
    has_repeated_key = F.size(keys) != F.size(F.array_distinct(keys))
    return (
        line.rlike(MISTYPED)
        | (line.contains("\\u") & line.rlike(f"{ESCAPED_KEY}|{_HALF_SURROGATE}"))
        | F.coalesce(has_repeated_key, F.lit(False))
    )


def _with_objects(lines: DataFrame) -> DataFrame:
    """Parse the column ``plain``, refusing a line with anything after its object.

    Spark ignores what follows the object. So the line stands in an array before an
    object that no line can guess: whatever breaks out of the array breaks the array.
    """
    end = secrets.token_hex(16)
    fields = ", ".join(f"`{field}` STRING" for field in (*EVENT_FIELDS, end))
    array = F.concat(F.lit("["), F.col("plain"), F.lit(f', {{"{end}": "{end}"}}]'))
    pair = F.col("pair")
    return (
        lines.withColumn(
            "pair", F.from_json(array, f"ARRAY<STRUCT<{fields}>>", _STRICT)
        )
        .withColumn(
            "object", F.when((F.size(pair) == 2) & (pair[1][end] == end), pair[0])
        )
        .select(
            "raw",
            "source_file",
            F.col("object").isNotNull().alias("is_object"),
            *(F.col("object")[field].alias(field) for field in EVENT_FIELDS),
        )
    )


def _pattern(path: Path) -> str:
    """A path for Spark, which takes these characters for a glob."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))
