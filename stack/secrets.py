"""Passwords, generated at the first start and kept in a file that only its owner can read."""

import json
import os
import secrets

from ingestion.console import UserError
from ingestion.settings import Settings

NAMES = ("admin", "owner", "loader", "reader", "pseudonym")


def ensure_secrets(settings: Settings) -> None:
    """Write the secrets file with one random value a name, keeping the values that are there.

    Raises:
        UserError: the stack's home cannot be written, or the file is damaged.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        settings.home.chmod(0o711)
        known = json.loads(settings.secrets_file.read_text()) if settings.secrets_file.exists() else {}
    except OSError as error:
        raise UserError(f"TELECOM_HOME={settings.home}: {error.strerror}: name a folder that can be written") from None
    except ValueError:
        raise UserError(
            f"{settings.secrets_file} is damaged: put back a copy, or begin anew with `telecom down --purge`"
        ) from None
    missing = {name: secrets.token_urlsafe(24) for name in NAMES if name not in known}
    if missing:
        scratch = settings.secrets_file.with_suffix(".new")
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(known | missing, file)
        scratch.rename(settings.secrets_file)
