"""What the dbt project says of itself is complete and true: every name described, every column there, with its type."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from compiled import compile_nodes, view

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

SHORTEST = 10
"""Characters of a description that can say something."""
VIEW_PREFIXES = {"pg.public": "served_", "pg.export": "totals_", "landing": "landing_"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def compiled(folder: Path) -> dict[str, str]:
    """All models but the incremental one: dbt would ask a server whether its table is there."""
    return compile_nodes(folder, "resource_type:model", "--exclude", "rated_usage")


@pytest.fixture(scope="module")
def manifest(folder: Path, compiled: dict[str, str]) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def _of_project(manifest: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    resources = [*manifest["nodes"].values(), *manifest["sources"].values(), *manifest["macros"].values()]
    return [one for one in resources if one["package_name"] == "telecom" and one["resource_type"] in kinds]


def _declared(node: dict[str, Any]) -> dict[str, str]:
    """Return the columns of a model, seed, snapshot or source with their Spark types."""
    types = node["config"].get("column_types", {})
    return {
        name: re.sub(r"\s", "", column["data_type"] or types[name]).lower() for name, column in node["columns"].items()
    }


def test_every_column_is_described(manifest: dict[str, Any]) -> None:
    nodes = _of_project(manifest, "model", "seed", "snapshot", "source")
    assert len(nodes) > 70
    silent = [
        f"{node['name']}.{name}"
        for node in nodes
        for name, column in node["columns"].items()
        if len(column["description"]) < SHORTEST
    ]
    assert silent == []
    assert [node["name"] for node in nodes if not node["columns"]] == []


def test_every_argument_of_a_macro_is_described(manifest: dict[str, Any]) -> None:
    silent = []
    for macro in _of_project(manifest, "macro"):
        described = {argument["name"] for argument in macro["arguments"] if argument["description"]}
        signature = re.search(r"{%-?\s*(?:macro|test)\s+\w+\((.*?)\)", macro["macro_sql"], re.DOTALL)
        real = re.findall(r"\w+", signature[1]) if signature else []
        silent += [f"{macro['name']}({name})" for name in set(real) ^ described]
    assert silent == []


def test_the_grain_of_every_catalogue_table_is_asked(manifest: dict[str, Any]) -> None:
    """dbt-bouncer asks the other models for a test of their own: these share one, which names file and id."""
    asked = set(manifest["nodes"]["test.telecom.catalogue_keys_are_unique"]["depends_on"]["nodes"])
    models = {key for key in manifest["nodes"] if key.startswith("model.telecom.stg_catalogue__")}
    assert len(models) == 12
    assert models <= asked


def test_models_make_the_columns_that_they_declare(
    spark: "SparkSession", compiled: dict[str, str], manifest: dict[str, Any]
) -> None:
    """Spark says what each query makes of inputs of the declared types; no other test reads exports and ephemerals."""
    session = spark.newSession()  # whose views are its own
    tables: dict[str, dict[str, str]] = defaultdict(dict)  # two sources may declare columns of one table
    for node in _of_project(manifest, "model", "seed", "snapshot", "source"):
        prefix = VIEW_PREFIXES[node["schema"]] if node["resource_type"] == "source" else ""
        tables[prefix + node["name"]] |= _declared(node)
    for name, columns in tables.items():
        nulls = [f"cast(null as {kind}) as `{column}`" for column, kind in columns.items()]
        view(session, name, f"select {', '.join(nulls)}")
    declared = {node["name"]: _declared(node) for node in _of_project(manifest, "model") if node["name"] in compiled}
    assert len(declared) > 30
    made = {name: dict(session.sql(compiled[name]).dtypes) for name in declared}
    assert made == declared
