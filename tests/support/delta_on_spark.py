"""``python -m tests.support.delta_on_spark``: answers queries by Delta Lake on Spark.

The standard input is a JSON array of queries, and the standard output their rows.
"""

import json
import sys

from pyspark.sql import SparkSession

PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
SETTINGS = {
    "spark.jars.packages": PACKAGE,
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": (
        "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    ),
    # Few queries on little data take less time if Spark does not compile their plans.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
}


def main(ivy: str) -> None:
    """Answer the queries.

    Args:
        ivy: a folder for the package, which comes from Maven Central. Ivy's own folder
            may hold only descriptions of packages, with which it fails.
    """
    builder = SparkSession.builder.master("local[2]")
    for key, value in (SETTINGS | {"spark.jars.ivy": ivy}).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    queries = json.load(sys.stdin)
    rows = [[list(row) for row in session.sql(query).collect()] for query in queries]
    json.dump(rows, sys.stdout, default=str)  # of decimals


if __name__ == "__main__":
    main(sys.argv[1])
