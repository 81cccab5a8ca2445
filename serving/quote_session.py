"""A Spark of its own for one quote: everything it holds lies in one temporary folder that goes with it."""

import json
import logging
import signal
import tempfile
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ingestion.console import UserError
from ingestion.settings import Settings
from stack.java import java
from stack.spark import LOG_CONFIG

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUICK_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Xshare:auto"
"""A JVM that lives for seconds: compiled quickly rather than well, and without its files in the system's /tmp."""


class Workbench:
    """The Spark session of a quote and the folder of its tables."""

    def __init__(self, spark: "SparkSession", folder: Path) -> None:
        self.spark = spark
        self._folder = folder

    def create_table(self, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]] = ()) -> None:
        """Create `schema.table` with these columns (names and Spark types) and rows of Python values."""
        schema, table = name.replace("`", "").split(".")
        self.spark.sql(f"create database if not exists `{schema}`")
        file = self._folder / schema / table / "rows.json"
        file.parent.mkdir(parents=True)
        with file.open("w", encoding="utf-8") as handle:
            handle.writelines(f"{json.dumps(dict(zip(columns, map(_json_value, row), strict=True)))}\n" for row in rows)
        declared = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
        location = _quoted(file.parent)
        self.spark.sql(
            f"create table `{schema}`.`{table}` ({declared}) using json options (mode 'FAILFAST') location '{location}'"
        )

    def create_model(self, relation: str, sql: str) -> None:
        """Run a model's query and keep its rows as the table that other models read."""
        path = self._folder / "models" / relation
        self.spark.sql(sql).write.parquet(str(path))
        self.spark.sql(f"create table {relation} using parquet location '{_quoted(path)}'")


@contextmanager
def workbench(settings: Settings) -> Iterator[Workbench]:
    """Give a Spark session without servers, metastore or Delta; afterwards its process and files are gone.

    That holds for Ctrl-C and a polite kill (SIGTERM) as well.

    Raises:
        UserError: Java is missing or too old, Spark does not start, or it cannot run a query.
    """
    java(settings)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="telecom-quote-", ignore_cleanup_errors=True) as folder,
            _session(Path(folder)) as spark,
        ):
            yield Workbench(spark, Path(folder))
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _session(folder: Path) -> Iterator["SparkSession"]:
    """Run a JVM with a Spark session; it has ended when the context ends, and cannot write into `folder` any more."""
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException, PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    # what a query's error says comes as an exception; PySpark would print it on standard error as well
    logging.getLogger("SQLQueryContextLogger").disabled = True
    conf = SparkConf().setAll(list(_properties(folder).items()))
    log = folder / "spark.log"
    with log.open("wb") as handle:
        try:
            gateway = launch_gateway(conf, {"stderr": handle})
        except PySparkRuntimeError:
            raise UserError(f"Spark did not start: {log.read_text(errors='replace').strip()[-300:]}") from None
    try:
        context = SparkContext(conf=conf, gateway=gateway)
        context.setLogLevel("ERROR")
        yield SparkSession(context)
        context.stop()
    except PySparkException as error:
        raise UserError(f"Spark cannot compute this quote: {' '.join(str(error).split())[:300]}") from None
    finally:
        gateway.shutdown()
        gateway.proc.kill()
        gateway.proc.wait()


def _properties(folder: Path) -> dict[str, str]:
    return {
        "spark.app.name": "telecom-quote",
        "spark.master": "local[2]",
        "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"{QUICK_JVM} -Duser.timezone=UTC -Djava.io.tmpdir={folder}"
        f" -Dlog4j2.configurationFile={LOG_CONFIG}",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.json.enablePartialResults": "false",  # as mediation has it: what is cut off within is no record
        # with tables of this size the work is planning, not computing
        "spark.sql.shuffle.partitions": "1",
        "spark.default.parallelism": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _quoted(path: Path) -> str:
    """Return a path as it stands between the quotes of a SQL literal."""
    return str(path).replace("\\", "\\\\").replace("'", "\\'")


def _json_value(value: object) -> Any:
    """Return a value as JSON that Spark reads back into the column's type unchanged."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return b64encode(value).decode() if isinstance(value, bytes) else value
