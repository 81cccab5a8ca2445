"""Running dbt for the pipeline: the same commands that a person types, with progress and one clear line on failure."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import yaml

from ingestion.console import UserError, progress
from ingestion.runlog import log_event, seconds_since
from ingestion.settings import PROJECT_ROOT, Settings
from stack import thrift

SHOWN_ROWS = 3
PUBLISHED = "select usage_records, bills, bill_lines from publications where run_id = %s"


def run_dbt(settings: Settings, arguments: Sequence[str], title: str) -> int:
    """Run dbt against the stack and return how many nodes it ran; `arguments` are dbt's own, such as `["seed"]`.

    Artefacts go to `target/` and the full log to `logs/dbt.log` below the stack's home.

    Raises:
        UserError: dbt could not start, or nodes failed; the line names the first of them, with the rows that a data
            test found, and the log.
    """
    command = [sys.executable, "-m", "dbt.cli.main", "--log-format", "json", "--log-path", str(settings.logs)]
    (target_path(settings) / "run_results.json").unlink(missing_ok=True)
    failures: list[str] = []
    ran, began, invocation_id = 0, time.monotonic(), ""
    with progress() as bars:
        task = bars.add_task(title, total=None)
        for event in _events(settings, [*command, *arguments]):
            data, info = event["data"], event["info"]
            if not invocation_id and "invocation_id" in info:
                invocation_id = info["invocation_id"]
                log_event("dbt began", arguments=arguments, invocation_id=invocation_id)
            node = data.get("node_info") or {}
            if info["name"] == "LogStartLine" and data.get("total"):
                bars.update(task, total=data["total"], description=f"{title}: {node.get('node_name', '')}")
            elif node.get("node_finished_at") and info["name"].startswith("Log"):
                ran += 1
                bars.advance(task)
            elif info["level"] == "error" and info["msg"].strip():
                failures.append(_one_line(info["msg"]))
            if info["name"] == "DbtExitCode":
                _log_end(settings, invocation_id, data["code"], seconds_since(began))
                if data["code"]:
                    raise UserError(_failure(settings, title, failures))
    return ran


def _events(settings: Settings, command: list[str]) -> Iterator[dict[str, Any]]:
    """Yield dbt's log events as they come, and at the end one with its exit code."""
    environment = {**settings.child_environment(), "DBT_TARGET_PATH": str(target_path(settings))}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=PROJECT_ROOT,
        env=environment,
        text=True,
        close_fds=False,
    ) as child:
        for line in child.stdout or ():
            try:
                event = json.loads(line)
            except ValueError:
                continue  # a warning of some library, not of dbt
            yield event
    yield {"data": {"code": child.returncode}, "info": {"name": "DbtExitCode", "level": "info", "msg": ""}}


def _log_end(settings: Settings, invocation_id: str, exit_status: int, seconds: float) -> None:
    """Log how a run of dbt ended and, where it published, what PostgreSQL took: the row that bears the same id."""
    results = _results(settings)
    log_event(
        "dbt ended",
        invocation_id=invocation_id,
        exit_status=exit_status,
        seconds=seconds,
        results=Counter(result["status"] for result in results),
    )
    if not any(_name(result) == "export_publication" and result["status"] == "success" for result in results):
        return
    try:
        with psycopg.connect(**settings.postgres_connection()) as connection:  # type: ignore[arg-type]
            for usage_records, bills, bill_lines in connection.execute(PUBLISHED, [invocation_id]):
                log_event(
                    "run published",
                    invocation_id=invocation_id,
                    usage_records=usage_records,
                    bills=bills,
                    bill_lines=bill_lines,
                )
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL at {settings.pghost}:{settings.pgport}/{settings.pgdatabase}: {error}") from None


def project_variable(name: str) -> str:
    """Return the value that `dbt_project.yml` gives a variable of the project."""
    project = yaml.safe_load((PROJECT_ROOT / "dbt_project.yml").read_text(encoding="utf-8"))
    return str(project["vars"][name])


def target_path(settings: Settings) -> Path:
    """Return the folder of dbt's artefacts for the pipeline's own runs."""
    return settings.home / "target"


def _failure(settings: Settings, title: str, errors: list[str]) -> str:
    """Return one line on what failed: each failed node with its message, and the rows a data test found."""
    log = settings.logs / "dbt.log"
    results = _results(settings)
    failed = [result for result in results if result["status"] in ("error", "fail", "runtime error")]
    if not failed:
        return f"{title} failed: {'; '.join(errors[:3]) or 'dbt did not start'} (log: {log})"
    skipped = sum(result["status"] == "skipped" for result in results)
    parts = [_describe(settings, result) for result in failed[:5]]
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    stopped = f", {skipped} that depend on them were not run" if skipped else ""
    return f"{title}: {len(failed)} of {len(results)} failed{stopped}: {'; '.join(parts)}{more} (log: {log})"


def _results(settings: Settings) -> list[dict[str, Any]]:
    """Return what the last run of dbt wrote of each node; nothing where it did not come that far."""
    try:
        results: list[dict[str, Any]] = json.loads((target_path(settings) / "run_results.json").read_text())["results"]
    except (OSError, ValueError, KeyError):
        return []
    return results


def _name(result: dict[str, Any]) -> str:
    name: str = result["unique_id"].split(".")[2]
    return name


def _describe(settings: Settings, result: dict[str, Any]) -> str:
    kind, name = result["unique_id"].split(".")[0], _name(result)
    message = _one_line(result.get("message") or "")
    if kind != "test" or result["status"] != "fail" or not result.get("compiled_code"):
        return f"{kind} {name}: {message}"
    try:
        rows = thrift.execute(settings, f"select * from ({result['compiled_code']}) limit {SHOWN_ROWS}")  # noqa: S608
    except UserError:
        return f"{kind} {name}: {message}"
    return f"{kind} {name}: {message}, such as {' and '.join(str(tuple(map(str, row))) for row in rows)}"


def _one_line(message: str) -> str:
    return " ".join(message.split())[:400]
