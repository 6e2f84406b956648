"""Runs a little of all that a run does in Spark, to load the classes of a run.

scripts/class-archive runs it: ``spark-submit scripts/warm_spark.py FOLDER``, with an
empty folder. It shares no code with the jobs, since changes of that code would make the
archive stale.
"""

import sys
from pathlib import Path

import duckdb
from pyspark.sql import Column, SparkSession, Window, WindowSpec
from pyspark.sql import functions as F

LINES = """
    SELECT 'line ' || n AS raw, 'file' AS source_file, 'event' AS event,
        if(n = 9, 'no JSON', NULL) AS reason, n AS value, 'u' || n % 2 AS user_id,
        make_timestamptz(2021, 1, 1 + n::int % 3, 10, 0, n::double) AS instant
    FROM range(10) t(n)
"""


def main(folder: Path) -> None:
    spark = (
        SparkSession.builder.config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.sql.inMemoryColumnarStorage.compressed", "false")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.execution.arrow.pyspark.enabled", "false")
        .getOrCreate()
    )
    spark.conf.set("spark.sql.session.timeZone", "UTC")

    # Tasks in Python have DuckDB judge lines, and Spark reads what that has written.
    def judge(number: int) -> str:
        path = f"{folder}/judged-{number}.parquet"
        duckdb.sql(f"COPY ({LINES}) TO '{path}' (FORMAT parquet)")
        return path

    written = spark.sparkContext.parallelize([0, 1], 2).map(judge).collect()
    judged = spark.read.parquet(*written)
    outcome = F.when(F.col("reason").isNotNull(), F.lit("rejected"))
    judged.select(outcome.otherwise(F.col("event")).alias("outcome")).groupBy(
        "outcome"
    ).agg(F.count(F.lit(1)).alias("lines")).collect()

    def write(name: str, *by: str) -> None:
        rows = tables[name].hint("rebalance", *by)
        rows.write.partitionBy(*by).parquet(str(folder / name))

    tables = {"rejected": judged.where("reason IS NOT NULL").distinct()}
    write("rejected", "reason")
    events = (
        judged.where("reason IS NULL")
        .select("event", F.col("instant").alias("time"), "value", "user_id")
        .distinct()
        .withColumn("day", day_of("time"))
    )
    tables["events"] = events
    write("events", "day")
    events = spark.read.schema(events.schema).parquet(str(folder / "events"))
    pause = F.unix_micros("time") - F.lag(F.unix_micros("time")).over(
        order := Window.partitionBy("user_id").orderBy("time")
    )
    running = order.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    opening = F.when(F.coalesce(pause > 10, F.lit(True)), F.unix_micros("time"))
    sessions = (
        events.withColumn("opening", opening)
        .withColumn("opened", F.max("opening").over(running).cast("string"))
        .withColumn("session", F.concat_ws("-", "user_id", "opened"))
        .groupBy("user_id", "session")
        .agg(
            F.min("time").alias("start"),
            F.min(F.struct("time", "value"))["value"].alias("first"),
            F.sum(F.col("value").cast("decimal(38, 0)")).cast("bigint").alias("total"),
            F.count(F.lit(1)).alias("events"),
        )
        .withColumn("number", F.row_number().over(order_of("start")))
        .withColumn("next", F.lead("start").over(order_of("start")))
        .withColumn("day", day_of("start"))
        .persist()
    )
    tables["sessions"] = sessions
    write("sessions", "day")
    source = folder / "users.csv"
    source.write_text('"id","born"\n"u1","2000-01-01"\n')
    users = spark.read.csv(
        str(source), "id STRING, born STRING", multiLine=True, quote='"', escape='"'
    )
    same = F.udf(lambda text: text, "string", useArrow=False)
    users = users.withColumn("id", same("id")).select(
        "id", F.expr("try_cast(born AS date)").alias("born")
    )
    newest = events.agg(F.max("time").alias("newest"))
    tables["facts"] = (
        sessions.join(users, F.col("user_id") == F.col("id"), "left")
        .crossJoin(newest)
        .withColumn("week", F.trunc(day_of("start"), "week"))
        .withColumn("name", F.lpad(F.weekofyear("week").cast("string"), 2, "0"))
    )
    write("facts", "day")
    sessions.unpersist()
    weeks = F.explode(F.sequence(F.lit(0), F.lit(3)))
    tables["weeks"] = (
        spark.read.schema(tables["facts"].schema)
        .parquet(str(folder / "facts"))
        .groupBy("week")
        .agg(F.countDistinct("user_id").alias("users"))
        .withColumn("later", weeks)
        .where(F.date_add("week", F.col("later") * 7) <= "2021-02-01")
    )
    write("weeks")
    for name in ("facts", "sessions"):
        schema = tables[name].schema
        stored = spark.read.schema(schema).parquet(str(folder / name))
        stored.createOrReplaceTempView(name)
    spark.sql(
        "SELECT s.user_id, count(*) FROM sessions s LEFT ANTI JOIN facts f"
        " ON s.user_id = f.user_id AND s.number = f.number GROUP BY 1"
        " HAVING count(*) > 1 UNION ALL SELECT user_id, 1 FROM facts"
        " WHERE total NOT BETWEEN 0 AND 9 ORDER BY 1 LIMIT 1"
    ).collect()
    spark.stop()


def order_of(name: str) -> WindowSpec:
    return Window.partitionBy("user_id").orderBy(name)


def day_of(name: str) -> Column:
    days = F.expr(f"cast((unix_micros({name}) + 1) div 86400000000 as int)")
    return F.date_add(F.lit("1970-01-01").cast("date"), days)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
