"""A PostgreSQL database of a test's own on the test run's server, with the whole schema in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from ingestion.settings import Role, Settings
from serving.schema import apply_schema


@contextmanager
def own_database(stack: Settings, name: str) -> Iterator[Settings]:
    """Create the database `name` with the schema in it, and drop it in the end."""
    settings = stack.model_copy(update={"pgdatabase": name})
    administrator = stack.postgres_connection() | {"user": "telecom_admin", "password": stack.secret("admin")}
    owner = sql.Identifier(stack.postgres_user())
    with psycopg.connect(**administrator, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(name), owner))
        try:
            apply_schema(settings)
            yield settings
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def connect(settings: Settings, role: Role = "owner", *, autocommit: bool = True) -> psycopg.Connection:
    """Open a session of a role in the database of `settings`."""
    return psycopg.connect(**settings.postgres_connection(role), autocommit=autocommit)


CUSTOMER = """
insert into customers values
('C1', '212612000001', 'Amal', 'postpaid', 'consumer', 'POSTPAID_START', 'active', 'Rabat', '2024-01-01', null, now()),
('C2', '212612000002', 'Badr', 'prepaid', 'student', 'PREPAID_SALAM', 'active', null, '2024-01-01', null, now())
"""

USAGE_COLUMNS = (
    "record_id, customer_id, msisdn, peer_msisdn, record_type, event_time, rate_plan_id, product_id, zone, time_band, "
    "quantity, billed_units, connect_fee, usage_charge, promotion_id, promotion_amount, cost, currency, rating_status, "
    "status_reason, rated_at"
)


def usage_rows(first: int, last: int, cost: str = "0.5") -> str:
    """Return a query of rated voice records `r<first>` to `r<last>` of customer C1 in the order of USAGE_COLUMNS."""
    return f"""
    select
        'r' || n, 'C1', '212612000001', '212633000009', 'voice', timestamptz '2025-06-01' + n * interval '1 minute',
        'POSTPAID_START', 'VOICE_NATIONAL', 'off_net', 'peak', n % 600, n % 600, 0, {cost}, null, 0, {cost}, 'MAD',
        'rated', null, timestamptz '2025-07-01'
    from generate_series({first}, {last}) as n
    """
