"""The SQL as people read it: sqlfluff with dbt's own templating, which asks the stack what exists."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.settings import PROJECT_ROOT, Settings

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def test_sqlfluff_finds_nothing(stack: Settings):
    folders = ["models", "tests/data", "snapshots", "dbt_project/analyses"]
    result = subprocess.run(
        [Path(sys.executable).with_name("sqlfluff"), "lint", *folders],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT_ROOT,
        env={**os.environ, **stack.exports()},
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
