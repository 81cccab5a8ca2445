"""The one place that reads the environment and the generated secrets.

Every other module takes a `Settings`. A wrong value is reported with the variable's name, all wrong values at once.
"""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, cast
from uuid import UUID, uuid4

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ingestion.console import UserError

PROJECT_ROOT = Path(__file__).resolve().parents[1]

Service = Literal["kafka", "postgres", "thrift"]
SERVICES: tuple[Service, ...] = ("kafka", "postgres", "thrift")
Role = Literal["owner", "loader", "reader"]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(pattern=r"^(/[!-~]*|[!-\-/-~]{1,63}(\.[!-\-/-~]{1,63})*\.?)?$")]
"""A name or address of which a resolver can be asked, or the folder of PostgreSQL's socket."""
DBT_METADATA = "DBT_ENV_CUSTOM_ENV_"
"""What dbt finds in the environment under this prefix it writes into its artefacts, without the prefix."""


class Settings(BaseSettings):
    """Addresses, credentials and paths, by the environment variables that README lists."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    home: Path = Field(PROJECT_ROOT / ".telecom", validation_alias="TELECOM_HOME")
    cache: Path = Field(Path("~/.cache/telecom-usage-pipeline"), validation_alias="TELECOM_CACHE")
    run_id: UUID = Field(default_factory=uuid4, validation_alias="TELECOM_RUN_ID")
    java_home: str = Field("", validation_alias="JAVA_HOME")
    services: Annotated[tuple[Service, ...], NoDecode] = Field(SERVICES, validation_alias="TELECOM_SERVICES")
    country_code: str = Field("212", validation_alias="TELECOM_COUNTRY_CODE", pattern=r"^[1-9][0-9]{0,2}$")

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:19092",
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        pattern=r"^[^:,\s]+:\d+(,[^:,\s]+:\d+)*$",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", validation_alias="KAFKA_SECURITY_PROTOCOL"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", validation_alias="KAFKA_SASL_MECHANISM"
    )
    kafka_sasl_username: str = Field("", validation_alias="KAFKA_SASL_USERNAME")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), validation_alias="KAFKA_SASL_PASSWORD")
    kafka_ssl_cafile: str = Field("", validation_alias="KAFKA_SSL_CAFILE")
    cdr_topic: str = Field("telecom_cdr_topic", validation_alias="TELECOM_CDR_TOPIC", min_length=1)
    clean_topic: str = Field("clean_cdr_topic", validation_alias="TELECOM_CLEAN_TOPIC", min_length=1)
    error_topic: str = Field("error_cdr_topic", validation_alias="TELECOM_ERROR_TOPIC", min_length=1)

    pghost: Host = Field("127.0.0.1", validation_alias="PGHOST")
    pgport: Port = Field(15432, validation_alias="PGPORT")
    pguser: str = Field("telecom_owner", validation_alias="PGUSER")
    pgpassword: SecretStr = Field(SecretStr(""), validation_alias="PGPASSWORD")
    pgdatabase: str = Field("telecom", validation_alias="PGDATABASE")
    pgsslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer", validation_alias="PGSSLMODE"
    )
    pgsslrootcert: str = Field("", validation_alias="PGSSLROOTCERT")

    spark_thrift_host: Host = Field("127.0.0.1", validation_alias="SPARK_THRIFT_HOST")
    spark_thrift_port: Port = Field(10010, validation_alias="SPARK_THRIFT_PORT")
    spark_master: str = Field(
        "local[*]",
        validation_alias="SPARK_MASTER",
        pattern=r"^(yarn|local(-cluster)?(\[[0-9*, ]+\])?|(spark|k8s)://\S+)$",
    )
    dbt_schema: str = Field("telecom", validation_alias="DBT_SCHEMA", pattern=r"^[A-Za-z0-9_]+$")
    landing_path: str = Field("", validation_alias="LANDING_PATH")
    checkpoint_path: str = Field("", validation_alias="CHECKPOINT_PATH")
    warehouse_path: str = Field("", validation_alias="WAREHOUSE_PATH")

    @field_validator("services", mode="before")
    @classmethod
    def _split_services(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("home", "cache")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().resolve()
        except RuntimeError as error:  # a loop of links, or the home of nobody
            raise ValueError(str(error)) from None

    @field_validator("*", mode="before")
    @classmethod
    def _no_broken_text(cls, value: object) -> object:
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:  # bytes that are no UTF-8 come as surrogates, which no server takes
                raise ValueError("this is not UTF-8") from None
        return value

    @property
    def landing_root(self) -> str:
        """The landing zone's folder: a local path or any Hadoop file system address."""
        return self.landing_path or str(self.home / "landing")

    @property
    def landing_table(self) -> str:
        """The Delta table of every record received, by path."""
        return f"{self.landing_root}/cdr"

    @property
    def checkpoint_root(self) -> str:
        """Where the mediation stream keeps its Kafka offsets."""
        return self.checkpoint_path or str(self.home / "checkpoint")

    @property
    def warehouse_root(self) -> str:
        """Where dbt's tables are on Spark: a local path or any Hadoop file system address."""
        return self.warehouse_path or str(self.home / "warehouse")

    @property
    def logs(self) -> Path:
        """The folder of every log file."""
        return self.home / "logs"

    @property
    def secrets_file(self) -> Path:
        """Generated passwords, readable by their owner alone."""
        return self.home / "secrets.json"

    def secret(self, name: str) -> str:
        """Return a generated secret by name, such as `owner`, `loader` or `reader`.

        Raises:
            UserError: nothing was generated yet, because `telecom up` never ran.
        """
        try:
            return cast(str, json.loads(self.secrets_file.read_text())[name])
        except (OSError, ValueError, KeyError):
            raise UserError(f"no password for {name} in {self.secrets_file}: run `telecom up` first") from None

    def postgres_user(self, role: Role = "owner") -> str:
        """Return the login of a role; the owner of a server elsewhere is whoever PGUSER names."""
        return self.pguser if role == "owner" else f"telecom_{role}"

    def postgres_password(self, role: Role = "owner") -> str:
        """Return a role's password: PGPASSWORD for the owner of a server elsewhere, else the generated one."""
        if role == "owner" and "postgres" not in self.services:
            return self.pgpassword.get_secret_value()
        return self.secret(role)

    def postgres_connection(self, role: Role = "owner") -> dict[str, str | int]:
        """Return the keyword arguments of `psycopg.connect` for a role."""
        connection: dict[str, str | int] = {
            "host": self.pghost,
            "port": self.pgport,
            "user": self.postgres_user(role),
            "password": self.postgres_password(role),
            "dbname": self.pgdatabase,
            "sslmode": self.pgsslmode,
            "connect_timeout": 10,
        }
        return connection | ({"sslrootcert": self.pgsslrootcert} if self.pgsslrootcert else {})

    def kafka_client(self) -> dict[str, object]:
        """Return the connection arguments of any kafka-python client."""
        client: dict[str, object] = {
            "bootstrap_servers": self.kafka_bootstrap_servers.split(","),
            "security_protocol": self.kafka_security_protocol,
        }
        if self.kafka_security_protocol.startswith("SASL"):
            client |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": self.kafka_sasl_password.get_secret_value(),
            }
        if self.kafka_ssl_cafile:
            client["ssl_cafile"] = self.kafka_ssl_cafile
        return client

    def exports(self) -> dict[str, str]:
        """Return the variables that point psql, dbt, kcat and BI tools at this stack."""
        return {
            "PGHOST": self.pghost,
            "PGPORT": str(self.pgport),
            "PGUSER": self.postgres_user(),
            "PGPASSWORD": self.postgres_password(),
            "PGDATABASE": self.pgdatabase,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "SPARK_THRIFT_HOST": self.spark_thrift_host,
            "SPARK_THRIFT_PORT": str(self.spark_thrift_port),
            "LANDING_PATH": self.landing_root,
        }

    def child_environment(self) -> dict[str, str]:
        """Return this process's environment with the stack's addresses and the run's id, for a child such as dbt."""
        run_id = str(self.run_id)
        return {**os.environ, **self.exports(), "TELECOM_RUN_ID": run_id, f"{DBT_METADATA}TELECOM_RUN_ID": run_id}


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        UserError: one or more variables are wrong; the message names each of them.
    """
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        wrong = "; ".join(
            f"{part['loc'][0]}: {part['msg'].lower()} (got {part['input']!r})"
            if "PASSWORD" not in str(part["loc"][0])
            else f"{part['loc'][0]}: {part['msg'].lower()}"
            for part in error.errors()
        )
        raise UserError(f"wrong configuration in the environment: {wrong}") from None
