"""What the models call of dbt's own macros, as Spark renders it: sqlfluff reads it, so that it needs no server."""


def type_string() -> str:
    """Return the type of a text."""
    return "string"


def escape_single_quotes(text: str) -> str:
    """Return the text with its quotes escaped."""
    return text.replace("'", "\\'")


def string_literal(text: str) -> str:
    """Return the text as a literal."""
    return f"'{text}'"
