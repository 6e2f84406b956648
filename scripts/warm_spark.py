"""Runs a little of all that a run does in Spark, to load the classes of a run.

scripts/class-archive runs it: ``spark-submit scripts/warm_spark.py FOLDER``, with an
empty folder. It shares no code with the jobs, since changes of that code would make the
archive stale.
"""

import sys
from pathlib import Path

from pyspark.sql import Observation, SparkSession, Window
from pyspark.sql import functions as F

LINE = '{"event": "a", "timestamp": "2021-01-01 10:00:00.5", "value": "7"}\n'
SCHEMA = "ARRAY<STRUCT<event STRING, timestamp STRING, value STRING>>"


def main(folder: Path) -> None:
    source = folder / "lines.jsonl"
    source.write_text(LINE * 10 + "no event\n")
    spark = (
        SparkSession.builder.config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.sql.parquet.compression.codec", "zstd")
        .getOrCreate()
    )
    text = spark.read.text(str(source)).select(
        F.col("value").alias("raw"),
        F.url_decode(F.col("_metadata.file_path")).alias("file"),
    )
    same = F.udf(lambda line: line, "string", useArrow=False)
    others = text.where(~F.col("raw").startswith("{")).withColumn("raw", same("raw"))
    lines = text.where(F.col("raw").startswith("{")).unionByName(others)
    array = F.concat(F.lit("["), F.col("raw"), F.lit("]"))
    event = F.from_json(array, SCHEMA, {"allowSingleQuotes": "false"})[0]
    instant = F.expr("try_cast(event.timestamp as timestamp)")
    events = (
        lines.withColumn("event", event)
        .withColumn("keys", F.size(F.array_distinct(F.json_object_keys("raw"))))
        .select(
            "file",
            "keys",
            F.nullif(F.col("event.event"), F.lit("")).alias("name"),
            instant.alias("instant"),
            F.to_date(instant).alias("day"),
            F.floor(F.expr("try_cast(event.value as double)")).alias("value"),
            F.date_format(F.date_trunc("week", instant), "yyyy-MM-dd").alias("week"),
        )
        .persist()
    )
    order = Window.partitionBy("name").orderBy("instant", "value")
    running = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    sessions = (
        events.groupBy("name", "day", "week", "value", "instant")
        .agg(F.count("*").alias("count"), F.min("file").alias("file"))
        .withColumn("before", F.lag("instant").over(order))
        .withColumn("number", F.sum("count").over(running))
        .withColumn("rank", F.row_number().over(order))
    )
    for number, rows in enumerate((sessions, events.limit(0))):
        counted = Observation()
        rows.hint("rebalance", "day").observe(
            counted, F.count(F.lit(1)).alias("rows")
        ).write.partitionBy("day").parquet(str(folder / f"table-{number}"))
        assert counted.get["rows"] >= 0
    stored = spark.read.schema(sessions.schema).parquet(str(folder / "table-0"))
    stored.createOrReplaceTempView("stored")
    users = spark.read.schema("name STRING, born DATE").csv(str(source))
    stored.join(F.broadcast(users), "name", "left").groupBy("week").agg(
        F.max(F.struct("instant", "born")), F.countDistinct("name"), F.avg("value")
    ).collect()
    spark.sql(
        "SELECT s.name, count(*) FROM stored s LEFT ANTI JOIN stored t"
        " ON s.name = t.name AND s.rank < t.rank GROUP BY 1 HAVING count(*) > 1"
        " UNION ALL SELECT name, 1 FROM stored WHERE value IS NULL ORDER BY 1 LIMIT 1"
    ).collect()
    events.unpersist()
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
