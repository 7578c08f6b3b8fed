"""Settings of one service, read once from its environment (``NOTIFIER_KAFKA__BOOTSTRAP``) and files, and frozen.

A service derives from ``ServiceSettings``, names its ``env_prefix`` and adds its few own fields. A misspelt name is an
error, not a default. No error shows a value: it might be a secret.
"""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator
from pydantic_settings import SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from chassis.secret_files import SettingsWithSecretFiles, secret_names
from schemas.ids import ProgramCode, TenantCode


class Settings(BaseModel):
    """Base of the nested groups: frozen, strict about names, silent about values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Security(StrEnum):
    """How Kafka is reached."""

    PLAINTEXT = "plaintext"
    SASL_PLAINTEXT = "sasl_plaintext"
    SSL = "ssl"
    SASL_SSL = "sasl_ssl"


class KafkaSettings(Settings):
    """``instance`` makes membership static (``<group>-<instance>``): stable per replica, unique among them.

    ``embedded`` is the broker of ``upright up``: it keeps nothing, so outbox rows stay, and it knows neither static
    members nor idempotent producers.
    """

    bootstrap: str
    security: Security = Security.PLAINTEXT
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    embedded: bool = False
    instance: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")] | None = None
    replication: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _sasl_has_credentials(self) -> Self:
        sasl = self.security in (Security.SASL_PLAINTEXT, Security.SASL_SSL)
        if sasl != (self.username is not None) or sasl != (self.password is not None):
            raise ValueError("username and password go with the sasl securities, and only with them")
        return self


DRIVERS = {"postgres": "asyncpg", "postgresql": "asyncpg", "sqlite": "aiosqlite"}


def _async_url(value: str) -> str:
    """The URL with its asynchronous driver, and libpq's ``sslmode`` under asyncpg's name."""
    try:
        url = make_url(value)
    except ArgumentError:
        raise ValueError("is no database URL") from None
    backend, _, driver = url.drivername.partition("+")
    if backend not in DRIVERS or driver not in ("", DRIVERS[backend]):
        raise ValueError("only postgresql+asyncpg and sqlite+aiosqlite are supported")
    if backend == "sqlite":
        _on_disk(url)
    name = "sqlite" if backend == "sqlite" else "postgresql"
    query = {"ssl" if key == "sslmode" else key: text for key, text in url.query.items()}
    return url.set(drivername=f"{name}+{DRIVERS[backend]}", query=query).render_as_string(hide_password=False)


def _on_disk(url: URL) -> None:
    if url.database in (None, "", ":memory:"):
        raise ValueError("SQLite needs a file: connections don't share a memory database")


class StoreSettings(Settings):
    """``schema`` is PostgreSQL's, reached through the search path. The URL holds a password: never shown.

    ``ca_file`` asks for TLS with a certificate that this authority signed for the URL's host, whatever the URL says.
    """

    url: Annotated[str, AfterValidator(_async_url), Field(repr=False)]
    # pydantic's own attribute has the name that everybody would look for, so it is the alias
    schema_name: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] | None = Field(
        None, alias="schema"
    )
    ca_file: Path | None = None
    migrate_at_start: bool = False
    connections: int = Field(10, ge=1)

    @model_validator(mode="after")
    def _schema_is_postgresql(self) -> Self:
        if (self.schema_name or self.ca_file) and not self.url.startswith("postgresql"):
            raise ValueError("a schema and a CA file go with PostgreSQL only")
        return self


class ApiKeySetting(Settings):
    """One caller's key: only the SHA-256 of its secret is kept. ``programs`` None means all of the tenant."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Field(repr=False)]
    tenant: TenantCode
    programs: frozenset[ProgramCode] | None = None
    roles: frozenset[str] = frozenset()


class HttpSettings(Settings):
    """Where HTTP listens and what it takes. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    body_limit_bytes: int = Field(1024 * 1024, ge=1)
    api_keys: tuple[ApiKeySetting, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        if len({key.id for key in self.api_keys}) != len(self.api_keys):
            raise ValueError("two API keys have the same id")
        return self


class LogLevel(StrEnum):
    """What is logged at least."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ObservabilitySettings(Settings):
    """Traces leave the process only where ``otlp_endpoint`` says."""

    log_level: LogLevel = LogLevel.INFO
    log_json: bool = True
    otlp_endpoint: str | None = None


# A Kubernetes service named like the prefix puts these into every pod of its namespace.
_KUBERNETES = re.compile(r"(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")


class ServiceSettings(SettingsWithSecretFiles):
    """Base of every service's settings; ``shutdown_seconds`` is the supervisor's deadline."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_nested_delimiter="__", hide_input_in_errors=True, env_ignore_empty=True
    )

    kafka: KafkaSettings
    store: StoreSettings
    http: HttpSettings = HttpSettings()
    observability: ObservabilitySettings = ObservabilitySettings()
    shutdown_seconds: float = Field(20.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_variables(cls, values: Any) -> Any:
        """pydantic-settings looks for names it knows; a name it doesn't know would be silently ignored."""
        unknown = sorted(name for name in {*os.environ, *secret_names()} if cls._is_unknown(name))
        if unknown:
            raise ValueError(f"unknown settings in the environment: {', '.join(unknown)}")
        return values

    @classmethod
    def _is_unknown(cls, name: str) -> bool:
        prefix = str(cls.model_config.get("env_prefix") or "").upper()
        if not prefix or not name.upper().startswith(prefix):
            return False
        rest = name.upper().removeprefix(prefix)
        return rest.split("__")[0].lower() not in cls.model_fields and not _KUBERNETES.fullmatch(rest)
