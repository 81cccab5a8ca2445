"""What PostgreSQL holds for others: tables, export views and roles, from the versioned files in `serving/schema`."""

import hashlib
from pathlib import Path

import psycopg
from psycopg import sql

from ingestion.console import UserError
from ingestion.settings import Role, Settings

SCHEMA_FOLDER = Path(__file__).parent / "schema"
LOGIN_ROLES: tuple[Role, ...] = ("loader", "reader")
HMAC_BLOCK = 64

LEDGER = """
create table if not exists schema_versions (
    version text primary key,
    digest text not null,
    applied_at timestamptz not null default now()
)"""


def apply_schema(settings: Settings) -> list[str]:
    """Bring the database to the newest schema and return the versions that were new.

    Everything happens in one transaction under a lock: a second caller waits and finds nothing to do. The roles'
    passwords and the pseudonyms' key are set each time, so that they follow the generated secrets.

    Raises:
        UserError: the server refuses the login or a statement, or a file changed after it was applied.
    """
    try:
        with psycopg.connect(**settings.postgres_connection("owner")) as connection:  # type: ignore[arg-type]
            connection.execute("select pg_advisory_xact_lock(hashtext('telecom schema'))")
            for role in LOGIN_ROLES:
                _ensure_role(connection, settings.postgres_user(role), settings.postgres_password(role))
            applied = _apply_files(connection)
            _set_pseudonym_key(connection, settings.secret("pseudonym"))
            return applied
    except psycopg.Error as error:
        address = f"{settings.pghost}:{settings.pgport}/{settings.pgdatabase}"
        raise UserError(f"PostgreSQL at {address}: {error}") from None


def _apply_files(connection: psycopg.Connection) -> list[str]:
    """Run the files that the ledger does not have, in the order of their names."""
    connection.execute(LEDGER)
    known: dict[str, str] = dict(connection.execute("select version, digest from schema_versions").fetchall())
    applied: list[str] = []
    for file in sorted(SCHEMA_FOLDER.glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        if file.stem in known:
            if known[file.stem] != digest:
                raise UserError(
                    f"serving/schema/{file.name} changed after it was applied to this database: "
                    "put the change into a new file with the next number"
                )
            continue
        connection.execute(text)
        connection.execute("insert into schema_versions (version, digest) values (%s, %s)", (file.stem, digest))
        applied.append(file.stem)
    return applied


def _ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    """Create the login role where it is missing, and set its password.

    The server gets a SCRAM verifier computed here, so that no password can come into its log.
    """
    if not connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone():
        connection.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("alter role {} login password {}")
    connection.execute(statement.format(sql.Identifier(role), verifier))


def _set_pseudonym_key(connection: psycopg.Connection, key: str) -> None:
    """Store the two padded keys of HMAC-SHA-256, which the reporting views hash numbers with."""
    padded = hashlib.sha256(key.encode()).digest().ljust(HMAC_BLOCK, b"\0")
    connection.execute(
        """
        insert into private.pseudonym_key (inner_pad, outer_pad) values (%s, %s)
        on conflict (only_row) do update set inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad
        """,
        (bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)),
    )
