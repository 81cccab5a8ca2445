"""The pipeline on servers that ask for TLS and a login, and its secrets where somebody might look for them."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
import pytest
from own_machine import free_port
from pydantic import SecretStr
from secured_servers import (
    PASSWORD,
    UNESCAPED,
    USER,
    Certificates,
    environment_of,
    secured_kafka,
    secured_postgres,
    tls_binaries,
)

from ingestion.console import UserError
from ingestion.producer import produce_files
from ingestion.senders import Client
from ingestion.settings import Settings
from serving.schema import apply_schema
from stack import kafka

pytestmark = pytest.mark.stack

HANDMADE = Path(__file__).with_name("handmade_cdr.jsonl")
TELECOM = Path(sys.executable).with_name("telecom")


class Secured(NamedTuple):
    settings: Settings
    certificates: Certificates


@pytest.fixture(scope="module")
def secured(test_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    binaries = tls_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL with TLS on this machine (Debian: apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("secured")
    certificates = Certificates(folder / "certificates")
    settings = test_settings.model_copy(
        update={
            "home": folder / "home",
            "services": ("thrift",),
            "kafka_bootstrap_servers": f"127.0.0.1:{free_port()}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_username": USER,
            "kafka_sasl_password": SecretStr(PASSWORD),
            "kafka_ssl_cafile": str(certificates.authority),
            "pgport": free_port(),
            "pgsslmode": "verify-full",
            "pgsslrootcert": str(certificates.authority),
            "spark_thrift_port": free_port(),
        }
    )
    with secured_kafka(settings, certificates), secured_postgres(settings, certificates, binaries):
        password = SecretStr(settings.secret("owner"))
        yield Secured(settings.model_copy(update={"pgpassword": password}), certificates)


@pytest.mark.parametrize("client", Client)
def test_both_clients_log_in_to_kafka_over_tls(secured: Secured, client: Client, tmp_path: Path):
    kafka.ensure_topics(secured.settings)
    (tmp_path / "cdr.json").write_bytes(b"{}\n{}\n")
    assert produce_files(secured.settings, [str(tmp_path / "cdr.json")], client=client) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"kafka_sasl_password": SecretStr("guessed")},
        {"kafka_security_protocol": "PLAINTEXT", "kafka_ssl_cafile": ""},
        {"kafka_ssl_cafile": ""},
    ],
    ids=["password", "no tls", "unknown authority"],
)
def test_kafka_lets_nobody_else_in(secured: Secured, wrong: dict[str, object], tmp_path: Path):
    (tmp_path / "cdr.json").write_bytes(b"{}\n")
    with pytest.raises(UserError, match="KAFKA_SECURITY_PROTOCOL"):
        produce_files(secured.settings.model_copy(update=wrong), [str(tmp_path / "cdr.json")])


def test_postgresql_is_asked_who_it_is(secured: Secured, tmp_path: Path):
    apply_schema(secured.settings)
    with psycopg.connect(**secured.settings.postgres_connection()) as connection:
        assert connection.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone() == (True,)
    with pytest.raises(UserError, match="no encryption"):
        apply_schema(secured.settings.model_copy(update={"pgsslmode": "disable"}))
    stranger = Certificates(tmp_path).authority
    with pytest.raises(UserError, match="certificate verify failed"):
        apply_schema(secured.settings.model_copy(update={"pgsslrootcert": str(stranger)}))


class Watch(threading.Thread):
    """Looks at every process's arguments until it is told to stop."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__(daemon=True)
        self.secrets, self.over, self.found = secrets, threading.Event(), set[str]()

    def run(self) -> None:
        while not self.over.wait(0.3):
            for process in psutil.process_iter(["cmdline"]):
                arguments = " ".join(process.info["cmdline"] or ())
                self.found |= {arguments for secret in self.secrets if secret in arguments}


@pytest.mark.slow
def test_a_run_on_secured_servers_tells_nobody_a_secret(secured: Secured):
    settings, home = secured.settings, secured.settings.home
    environment = environment_of(settings, secured.certificates)
    secrets = [UNESCAPED, *(settings.secret(name) for name in ("admin", "owner", "loader", "reader", "pseudonym"))]
    watch, said = Watch(secrets), ""
    watch.start()

    def telecom(*arguments: str) -> str:
        result = subprocess.run(
            [TELECOM, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
        return result.stdout + result.stderr

    said += telecom("up")
    try:
        said += telecom("produce", str(HANDMADE))
        said += telecom("run")
        with psycopg.connect(**settings.postgres_connection()) as connection:
            assert connection.execute("select count(*) from usage_records").fetchone() == (10,)
    finally:
        said += telecom("down")
        watch.over.set()
        watch.join()
    assert watch.found == set()
    assert [secret for secret in secrets if secret in said] == []
    kept_for_their_owner = {home / "secrets.json", home / "thrift" / "spark-defaults.conf"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in kept_for_their_owner)
    servers = (home / "kafka", home / "postgres")
    for file in home.rglob("*"):
        if file.is_file() and file not in kept_for_their_owner and not any(s in file.parents for s in servers):
            content = file.read_bytes()
            assert [secret for secret in secrets if secret.encode() in content] == [], file
