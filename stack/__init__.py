"""The one-machine stack: Kafka, PostgreSQL and Spark Thrift as local processes."""
