"""The command line `telecom`: each command is a function of the module that does the work."""

from typing import NoReturn

import typer

from ingestion import generate_cdr, producer, replay, run, stream_mediation
from ingestion.console import run_app
from serving import close, invoices, purge, quote, report
from stack import commands

app = typer.Typer(
    name="telecom",
    help="Usage records from the network to the invoice: generate, mediate, rate, bill.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    run.demo,
    commands.up,
    commands.status,
    commands.down,
    commands.env,
    generate_cdr.generate,
    generate_cdr.customers,
    producer.produce,
    stream_mediation.mediate,
    replay.replay,
    run.run,
    close.close,
    invoices.invoices,
    quote.quote,
    report.report,
    purge.purge,
):
    app.command()(command)


def main() -> NoReturn:
    """Run the command line."""
    run_app(app)
