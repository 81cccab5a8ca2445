"""`telecom report`: one page with the figures and pictures of what ran."""

from pathlib import Path
from typing import Annotated

import typer

from ingestion.console import UserError, err, out, run_command
from ingestion.runlog import logged
from ingestion.settings import Settings, settings
from stack import machine


@logged
def report(
    folder: Annotated[Path, typer.Option("--out", help="Folder that the page index.html is written to.")],
) -> None:
    """Write one self-contained page: from record to bill, errors, traffic, revenue, customers, assurance."""
    with err.status("Asking for the figures ..."):
        page = write_report(settings(), folder)
    out.print(f"Report: {page}", soft_wrap=True)


def write_report(settings: Settings, folder: Path) -> Path:
    """Write the page into `folder`, in place of one that is there, and return its path.

    Raises:
        UserError: a server does not answer, or the folder cannot be written.
    """
    from serving.report_data import collect
    from serving.report_page import render

    try:
        is_file = folder.exists() and not folder.is_dir()
    except OSError as error:
        raise UserError(f"--out {folder}: {error.strerror}") from None
    if is_file:
        raise UserError(f"--out {folder} is a file: name a folder")
    machine.require(settings, ("postgres", "thrift"))
    html = render(collect(settings))
    page = folder / "index.html"
    scratch = folder / "index.html.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch.write_text(html, encoding="utf-8")
        scratch.replace(page)
    except OSError as error:
        raise UserError(f"--out {folder}: cannot write {error.filename or page}: {error.strerror}") from None
    return page


if __name__ == "__main__":
    run_command(report)
