"""Which of the compiled models a quote runs, and how it finds them again."""

from dataclasses import asdict
from pathlib import Path

import pytest

from ingestion.settings import Settings
from serving import quote_models
from serving.quote_models import Project, Statement, compiled_project


def model(name: str, *reads: str) -> Statement:
    return Statement(name, f"telecom.{name}", f"select '{name}'", reads)


PROJECT = Project(
    models=(model("calendar"), model("rated", "calendar"), model("months", "rated"), model("bills", "months", "rated")),
    catalogue_tests=(model("keys_are_unique"),),
    closed_tables={"closed.bills": {"bill_id": "string"}},
)


def test_a_model_comes_after_what_it_reads_and_nothing_else_comes() -> None:
    assert [found.name for found in PROJECT.models_for(["rated"])] == ["calendar", "rated"]
    assert [found.name for found in PROJECT.models_for(["bills"])] == ["calendar", "rated", "months", "bills"]


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Project]:
    """Count compilations instead of starting dbt."""
    made: list[Project] = []

    def compile_once() -> Project:
        made.append(PROJECT)
        return PROJECT

    monkeypatch.setattr(quote_models, "_compile", compile_once)
    return made


def test_the_project_is_compiled_once(tmp_path: Path, compilations: list[Project]) -> None:
    settings = Settings(TELECOM_CACHE=tmp_path)  # type: ignore[call-arg]
    assert asdict(compiled_project(settings)) == asdict(compiled_project(settings)) == asdict(PROJECT)
    assert len(compilations) == 1


def test_a_change_of_the_project_compiles_it_again_and_the_cache_does_not_grow(
    tmp_path: Path, compilations: list[Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(TELECOM_CACHE=tmp_path)  # type: ignore[call-arg]
    monkeypatch.setattr(quote_models, "KEPT", 2)
    for folder in ("models", "macros", "snapshots"):
        monkeypatch.setattr(quote_models, "PROJECT_FOLDERS", (folder,))
        compiled_project(settings)
    assert len(compilations) == 3
    assert len(list((tmp_path / "quote").iterdir())) == 2


def test_a_broken_or_read_only_cache_is_no_obstacle(tmp_path: Path, compilations: list[Project]) -> None:
    (tmp_path / "quote").write_text("a file where the cache should be")
    assert compiled_project(Settings(TELECOM_CACHE=tmp_path)) == PROJECT  # type: ignore[call-arg]
    assert len(compilations) == 1
