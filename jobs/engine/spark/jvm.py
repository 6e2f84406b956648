"""The JVM that Spark's driver runs in: which Java, and with what settings."""

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


def configuration(settings: RunSettings, scratch: Path) -> dict[str, str]:
    """The settings of Spark, which SPARK_PROPERTIES overrides."""
    of_spark = {
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
        of_spark |= dict.fromkeys(
            ("spark.driver.bindAddress", "spark.driver.host"), "127.0.0.1"
        )
        # Hadoop's default puts a file of checksums beside each, which nobody reads, and
        # starts a process to set the mode of that file, too.
        of_spark["spark.hadoop.fs.file.impl"] = (
            "org.apache.hadoop.fs.RawLocalFileSystem"
        )
    memory = settings.memory_limit or _DEFAULT_MEMORY
    of_spark["spark.driver.memory"] = memory.removesuffix("B")
    return of_spark | dict(settings.spark_properties)


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
