"""HTML from templates in which every value is text: escaped, and without signs that could turn a line around."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ingestion.console import plain


def page_environment() -> Environment:
    """Return what renders the templates of this package."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_safe,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _safe(value: object) -> object:
    """Make whatever a template writes plain; Jinja escapes it afterwards."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
