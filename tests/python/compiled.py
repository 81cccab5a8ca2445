"""The SQL that dbt makes of a selection, and views in a local Spark session to run it on; no server is asked."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DBT = [str(Path(sys.executable).with_name("dbt"))]
NO_SERVER = ["--no-populate-cache", "--no-introspect", "--indirect-selection", "empty"]
SCHEMA = "compiled"
PLACES = {f"{SCHEMA}.": "", "pg.public.": "served_", "pg.export.": "totals_", "landing.cdr": "landing_cdr"}


def compile_nodes(folder: Path, *selection: str) -> dict[str, str]:
    """Return the compiled SQL of the selected models and tests by name.

    It reads views: `NAME` for a model or seed, `served_NAME` and `totals_NAME` for PostgreSQL's tables and totals, and
    `landing_cdr`.
    """
    own = {"DBT_TARGET_PATH": str(folder), "DBT_LOG_PATH": str(folder), "DBT_SCHEMA": SCHEMA}
    result = subprocess.run(
        [*DBT, "compile", *NO_SERVER, "--select", *selection],
        cwd=PROJECT_ROOT,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    compiled = {}
    for file in (folder / "compiled" / "telecom").rglob("*.sql"):
        sql = file.read_text()
        for place, prefix in PLACES.items():
            sql = sql.replace(place, prefix)
        compiled[file.stem] = sql
    return compiled


def view(spark: "SparkSession", name: str, rows: "DataFrame | str") -> None:
    """Make a DataFrame, or the result of a query, the view `name`."""
    (spark.sql(rows) if isinstance(rows, str) else rows).createOrReplaceTempView(name)
