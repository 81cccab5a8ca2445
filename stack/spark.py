"""Spark as this project uses it: UTC, ANSI, Delta; for our own sessions and for the Thrift server alike."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.settings import Settings
from stack.jars import class_path
from stack.java import java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JVM = "-Duser.timezone=UTC -XX:+UseParallelGC -XX:ReservedCodeCacheSize=512m"
"""Options of every JVM that runs Spark.

Throughput counts here, not pauses: G1 took a tenth more processor time. The machine code of what Spark generates in a
few runs of dbt comes near to the usual 240 MB.
"""
LOG_CONFIG = Path(__file__).with_name("spark-log4j2.properties")


def spark_properties(settings: Settings) -> dict[str, str]:
    """Return the Spark properties that every process of the pipeline shares.

    What is not among them on a cluster is its administrator's: SPARK_CONF_DIR says it.
    """
    jars = class_path(settings, "spark")
    if re.match(r"local(\[|$)", settings.spark_master):
        place = {"spark.sql.shuffle.partitions": "8"}
    else:  # executors get the jars from the driver
        place = {"spark.jars": jars.replace(":", ","), "spark.executor.extraJavaOptions": JVM}
    return place | {
        "spark.master": settings.spark_master,
        "spark.driver.extraClassPath": jars,
        "spark.driver.extraJavaOptions": f"{JVM} -Dlog4j2.configurationFile={LOG_CONFIG}",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        # with what could be read of it, a record cut off within a field would be rated without that field
        "spark.sql.json.enablePartialResults": "false",
        "spark.sql.warehouse.dir": settings.warehouse_root,
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def spark_session(settings: Settings, app_name: str, memory: str = "1g") -> "SparkSession":
    """Return a Spark session of this process; `memory` is the driver's heap, such as `1g`.

    Raises:
        UserError: Java is missing or too old, or the jars cannot be fetched.
    """
    from pyspark.sql import SparkSession

    java(settings)
    builder = SparkSession.builder.appName(app_name).config("spark.driver.memory", memory)
    for key, value in spark_properties(settings).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    # what fails comes as an exception too, of which the command makes its one line
    session.sparkContext.setLogLevel("FATAL")
    return session
