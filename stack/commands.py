"""`telecom up`, `status`, `down` and `env`."""

import shlex
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from ingestion.console import err, out
from ingestion.settings import settings


def up() -> None:
    """Start Kafka, PostgreSQL and Spark Thrift on this machine and wait until each answers."""
    from stack import machine

    with err.status("Starting the stack ..."):
        machine.up(settings(), out.print)
    out.print('Ready. `eval "$(telecom env)"` points psql, dbt and BI tools at it.')


def status() -> None:
    """Show the servers, where they listen, their memory and logs; exit code 1 when one does not answer."""
    from stack import machine

    states = machine.status(settings())
    table = Table("server", "address", "state", "pid", "memory", Column("log", overflow="fold"))
    for state in states:
        table.add_row(
            state.title,
            state.address,
            Text("answers", style="green") if state.answers else Text("no answer", style="red"),
            str(state.pid or "-"),
            f"{state.memory_mib} MiB" if state.memory_mib is not None else "-",
            state.log,
        )
    out.print(table)
    silent = [state.title for state in states if not state.answers]
    if silent:
        err.print(f"telecom: no answer from {', '.join(silent)}: run `telecom up`")
        raise typer.Exit(1)


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Also delete the stack's data, logs and passwords.")] = False,
) -> None:
    """Stop what `telecom up` started; the data stay unless --purge is given."""
    from stack import machine

    machine.down(settings(), out.print)
    if purge:
        machine.purge(settings())
        out.print(f"Data, logs and passwords in {settings().home}: deleted")


def env() -> None:
    """Print the stack's addresses and credentials as shell exports, for `eval "$(telecom env)"`."""
    for name, value in settings().exports().items():
        print(f"export {name}={shlex.quote(value)}")
