"""Whether the catalogue that Spark holds is the one in `seeds/`, loaded and found sound."""

import hashlib

from ingestion.console import UserError
from ingestion.settings import PROJECT_ROOT, Settings
from ingestion.transform import project_variable
from stack import thrift

MARKED_SEED = "rate_plans"
PROPERTY = "telecom.checked_catalogue"
"""A property of the marked seed's table on Spark: `dbt seed` typed by hand makes the table anew and takes it away."""


def is_checked(settings: Settings) -> bool:
    """Return whether these very seeds were loaded and passed the tests; of PostgreSQL's catalogue nothing is known."""
    if project_variable("catalogue") != "seeds":
        return False
    try:
        found = thrift.execute(settings, f"show tblproperties {settings.dbt_schema}.{MARKED_SEED}('{PROPERTY}')")
    except UserError:
        return False
    return bool(found) and found[0][1] == _digest()


def mark_checked(settings: Settings) -> None:
    """Note that these seeds were loaded and passed the tests."""
    table = f"{settings.dbt_schema}.{MARKED_SEED}"
    thrift.execute(settings, f"alter table {table} set tblproperties ('{PROPERTY}' = '{_digest()}')")


def _digest() -> str:
    """Return a digest of every seed and every test of the catalogue."""
    folders = (PROJECT_ROOT / "seeds", PROJECT_ROOT / "tests" / "data" / "catalogue")
    digest = hashlib.sha256()
    for file in sorted(file for folder in folders for file in folder.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
