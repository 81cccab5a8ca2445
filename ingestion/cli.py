"""The command line `telecom`: each command is a function of the module that does the work."""

from typing import NoReturn

import typer

from ingestion.console import run_app
from stack import commands

app = typer.Typer(
    name="telecom",
    help="Usage records from the network to the invoice: generate, mediate, rate, bill.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (commands.up, commands.status, commands.down, commands.env):
    app.command()(command)


def main() -> NoReturn:
    """Run the command line."""
    run_app(app)
