"""The dbt models as plain SQL for a quote: compiled once for a state of the project, then read from the cache.

A quote so runs the very statements that the pipeline runs, without dbt's start in every call.
"""

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingestion.console import UserError, err
from ingestion.settings import PROJECT_ROOT, Settings

CLOSED_SCHEMA = "closed"
"""Where the models find what PostgreSQL keeps of closed months: in a quote nothing is closed."""

SELECTED = ("+rated_usage", "+bills", "tag:catalogue")
PROJECT_FOLDERS = ("models", "macros", "snapshots", "seeds", "profiles", "dbt_project", "tests")
PROJECT_FILES = (".sql", ".yml", ".md")
KEPT = 5
"""States of the project whose SQL stays in the cache: two checkouts must not drive each other's out."""


@dataclass(frozen=True)
class Statement:
    """A model or data test: its name, its relation, its query, and the names of the models that the query reads."""

    name: str
    relation: str
    sql: str
    reads: tuple[str, ...]


@dataclass(frozen=True)
class Project:
    """The compiled project: models in an order in which each comes after what it reads."""

    models: tuple[Statement, ...]
    catalogue_tests: tuple[Statement, ...]
    closed_tables: dict[str, dict[str, str]]
    """The relations in `CLOSED_SCHEMA` that models read, each with its columns and Spark types."""

    def models_for(self, names: Iterable[str]) -> list[Statement]:
        """Return these models and all that they read, each after what it reads."""
        wanted = set(names)
        for model in reversed(self.models):
            if model.name in wanted:
                wanted.update(model.reads)
        return [model for model in self.models if model.name in wanted]


def compiled_project(settings: Settings) -> Project:
    """Return the compiled project, from the cache when nothing in the project changed since it was compiled.

    To compile, a Spark session must be active in this process: dbt asks it which tables there are.

    Raises:
        UserError: dbt cannot compile the project.
    """
    cached = settings.cache / "quote" / f"{_digest()}.json"
    try:
        return _from_json(cached.read_text())
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not compiled yet, or half a file of a full disk
    if err.is_terminal:
        err.print("Compiling the dbt models (once after a change of the project) ...")
    project = _compile()
    with contextlib.suppress(OSError):  # without a cache the next quote compiles again, that is all
        _keep(cached, json.dumps(asdict(project)))
    return project


def _digest() -> str:
    """Return a digest of all that the compiled SQL depends on."""
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-spark')}".encode())
    for file in [PROJECT_ROOT / "dbt_project.yml", Path(__file__), *_project_files()]:
        digest.update(f"\0{file.relative_to(PROJECT_ROOT)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:24]


def _project_files() -> Iterator[Path]:
    for folder in PROJECT_FOLDERS:
        yield from sorted(file for file in (PROJECT_ROOT / folder).rglob("*") if file.suffix in PROJECT_FILES)


def _keep(file: Path, text: str) -> None:
    """Write a cache file as a whole or not at all, and drop the oldest beyond `KEPT`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".part", delete=False) as part:
        part.write(text)
    Path(part.name).rename(file)
    by_age = sorted(file.parent.glob("*.json"), key=lambda other: other.stat().st_mtime, reverse=True)
    for old in by_age[KEPT:]:
        old.unlink(missing_ok=True)


def _from_json(text: str) -> Project:
    data = json.loads(text)
    return Project(
        models=tuple(_statement(item) for item in data["models"]),
        catalogue_tests=tuple(_statement(item) for item in data["catalogue_tests"]),
        closed_tables=data["closed_tables"],
    )


def _statement(item: dict[str, Any]) -> Statement:
    return Statement(**(item | {"reads": tuple(item["reads"])}))


def _compile() -> Project:
    """Compile the selected models and tests with dbt, in this process and without a trace of dbt on standard output."""
    from dbt.cli.main import dbtRunner

    with tempfile.TemporaryDirectory(prefix="telecom-dbt-") as scratch, contextlib.redirect_stdout(io.StringIO()):
        result = dbtRunner().invoke(
            ["compile", "--quiet", "--target", "quote", "--select", *SELECTED]
            + ["--project-dir", str(PROJECT_ROOT), "--profiles-dir", str(PROJECT_ROOT / "profiles")]
            + ["--target-path", f"{scratch}/target", "--log-path", f"{scratch}/logs"]
            + ["--vars", json.dumps({"postgres_schema": CLOSED_SCHEMA, "catalogue": "seeds"})]
        )
        manifest = json.loads(Path(scratch, "target", "manifest.json").read_text()) if result.success else {}
    failed = [run.message for run in getattr(result.result, "results", []) if run.status not in ("success", "skipped")]
    if not result.success:
        raise UserError(f"dbt cannot compile the project: {' '.join(str(result.exception or failed).split())[:500]}")
    return _from_manifest(manifest)


def _from_manifest(manifest: dict[str, Any]) -> Project:
    """Return what a quote needs of dbt's manifest: compiled nodes, ephemeral models seen through."""
    nodes: dict[str, dict[str, Any]] = manifest["nodes"]
    compiled = {key: node for key, node in nodes.items() if node.get("compiled_code")}
    stored = {
        key: node
        for key, node in compiled.items()
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
    }

    def reads(key: str) -> set[str]:
        found: set[str] = set()
        for parent in nodes[key]["depends_on"]["nodes"] if key in nodes else ():
            found |= {parent} if parent in stored else reads(parent) if parent.startswith("model.") else set()
        return found

    def statement(key: str) -> Statement:
        node = compiled[key]
        names = tuple(sorted(nodes[parent]["name"] for parent in reads(key)))
        return Statement(node["name"], node.get("relation_name") or "", node["compiled_code"], names)

    order = TopologicalSorter({key: sorted(reads(key)) for key in sorted(stored)}).static_order()
    tests = sorted(key for key, node in compiled.items() if node["resource_type"] == "test")
    closed = [source for source in manifest["sources"].values() if source["schema"] == CLOSED_SCHEMA]
    return Project(
        models=tuple(statement(key) for key in order),
        catalogue_tests=tuple(statement(key) for key in tests if "catalogue" in nodes[key]["config"]["tags"]),
        closed_tables={
            source["relation_name"]: {name: column["data_type"] for name, column in source["columns"].items()}
            for source in closed
        },
    )
