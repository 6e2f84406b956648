"""The JVM of Spark's driver: its version of Java and its settings."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from jobs.errors import RunError
from jobs.settings import RunSettings

_OLDEST_JAVA = 17
_LOGGING = Path(__file__).with_name("log4j2.properties")
_LESS_INLINING = Path(__file__).with_name("java.options")
_COLLECTOR = re.compile(r"-XX:\+Use\w+GC")
_CLASS_ARCHIVE = Path(sys.prefix, "spark.jsa")
_DEFAULT_MEMORY = "4GB"


def require_java() -> None:
    """Check that there is a version of Java that Spark runs on.

    Raises:
        RunError: there is none; the message says what to install.
    """
    # The shell finds Java as Spark's own scripts do.
    command = '"${JAVA_HOME:+$JAVA_HOME/bin/}java" -version'
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    version = re.search(r'version "(\d+)', ended.stderr)
    if not version or int(version.group(1)) < _OLDEST_JAVA:
        raise RunError(
            f"ENGINE=spark needs Java {_OLDEST_JAVA} or later: install"
            " openjdk-17-jre-headless (Debian) or set JAVA_HOME;"
            " ENGINE=duckdb needs none"
        )


def configuration(settings: RunSettings, scratch: Path) -> dict[str, str]:
    """The settings of Spark; SPARK_PROPERTIES overrides them."""
    properties = {
        "spark.pyspark.python": sys.executable,
        "spark.sql.adaptive.enabled": "true",
        # Java does not compile longer methods. Spark then generates smaller ones.
        "spark.sql.codegen.hugeMethodLimit": "8000",
        # Paths are local, whatever the default of a cluster is.
        "spark.hadoop.fs.defaultFS": "file:///",
        "spark.sql.shuffle.partitions": "1",  # _fit_shuffles() raises it
        # Cached rows are read a few times only, so compressing them does not pay.
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        # Otherwise Spark takes a week such as 2021-01 for a date.
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        # Arrow needs PyArrow, and only small results come to Python.
        "spark.sql.execution.arrow.pyspark.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # The user may set extraJavaOptions, which Spark adds to these.
        "spark.driver.defaultJavaOptions": shlex.join(
            _java_options(dict(settings.spark_properties))
        ),
        # Listing folders takes less time than starting Spark tasks that list them.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        # Hadoop's default writes a checksum file beside each file, which nobody reads.
        # It also starts a process to set the mode of the checksum file.
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    }
    if settings.spark_master.startswith("local"):
        # No other machine has to reach this driver.
        properties |= dict.fromkeys(
            ("spark.driver.bindAddress", "spark.driver.host"), "127.0.0.1"
        )
    memory = settings.memory_limit or _DEFAULT_MEMORY
    properties["spark.driver.memory"] = memory.removesuffix("B")
    return properties | dict(settings.spark_properties)


def _java_options(properties: Mapping[str, str]) -> Iterator[str]:
    # This collector takes less time in all, but pauses longer, which does not matter to
    # a batch job. If the user sets a collector, Java gets only that one.
    if not _COLLECTOR.search(properties.get("spark.driver.extraJavaOptions", "")):
        yield "-XX:+UseParallelGC"
    # Java's second compiler takes a quarter of a long run's processor time. It takes
    # less if it inlines fewer methods.
    yield from _LESS_INLINING.read_text().split()
    yield f"-Dlog4j2.configurationFile={_LOGGING}"
    if _CLASS_ARCHIVE.exists():
        # Java ignores an archive of another Java version; this hides its warning.
        yield f"-XX:SharedArchiveFile={_CLASS_ARCHIVE}"
        yield "-Xlog:disable"
