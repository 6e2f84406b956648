"""The models on Apache Spark: local, or wherever SPARK_MASTER points."""
