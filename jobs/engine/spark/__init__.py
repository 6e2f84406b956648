"""The Spark engine: local, or on the cluster that SPARK_MASTER names."""
