"""The server's settings: read once from the environment (`MLREG_…`), typed, never defaulted secret.

| variable | meaning |
|---|---|
| `MLREG_DATABASE_URL` | PostgreSQL ≥ 15, as the service's role |
| `MLREG_DATABASE_OWNER_URL` | the same database as the role that migrates; by default the above |
| `MLREG_ARTIFACTS_URL` | `file:///folder` or `s3://bucket/prefix` |
| `MLREG_S3_ENDPOINT_URL`, `_REGION`, `_ACCESS_KEY_ID`, `_SECRET_ACCESS_KEY` | the S3 endpoint |
| `MLREG_S3_PUBLIC_ENDPOINT_URL`, `MLREG_S3_DIRECT` | where clients reach it; `false`: they do not |
| `MLREG_MODE` | `default`, or `production`: refuses the virtual clock |
| `MLREG_HOST`, `MLREG_PORT` | where the API listens: 127.0.0.1 and 8000 |
| `MLREG_ALLOWED_HOSTS` | further names under which clients reach the API, by commas |
| `MLREG_TRUSTED_PROXIES` | proxies whose `X-Forwarded-For` and `-Proto` count, by commas; none |
| `MLREG_CONNECTIONS_FILE` | what may be read beside the feedback log, with secrets: YAML, 0600 |
| `MLREG_WORK_FOLDER` | where runs keep their files while they run |
| `MLREG_WORKER_LABELS` | of a worker, by commas: it takes jobs that ask for one of them as well |
| `MLREG_PRICE_PER_SECOND`, `MLREG_CURRENCY` | what a second of this worker costs: none, and EUR |
| `MLREG_JOB_DAYS` | ended jobs are forgotten after so many days: 30 |
| `MLREG_LEASE_SECONDS` | a job is taken back from a worker that says nothing for so long: 30 |
| `MLREG_LEADER_SECONDS` | another controller leads when the first says nothing for so long: 10 |
| `MLREG_TRAINER_COMMANDS` | programs that runs may train with, by name: YAML, 0600 |
| `MLREG_EXCHANGE_URL` | where workers and clusters exchange files: `file:///…` or `s3://…` |
| `MLREG_RAY_ADDRESS` | a Ray cluster that may train: `http://host:8265` |
| `MLREG_EXECUTORS_FILE` | all that is to be said of Ray and Kubernetes: YAML, 0600 |
| `MLREG_SIGNING_KEY` | the Ed25519 key (a file) that workers sign with what they train |
| `MLREG_CHECKPOINT_FOLDER` | keeps signed checkpoints of the audit log, and the key |
| `MLREG_CHECKPOINT_KEY` | the key that signs them, where it shall not lie in that folder |
| `MLREG_CHECKPOINT_URL`, `_RETENTION_DAYS` | an S3 place that keeps them too; its Object Lock |
| `MLREG_CHECKPOINT_SYSLOG` | a system log that keeps them too: `/dev/log`, or `host:port` |
| `MLREG_WEBHOOK_ALLOW` | internal hosts that webhooks may call: `host` or `host:port`, by commas |
| `MLREG_NOTIFICATIONS_FILE` | services that are told through Apprise, with secrets: YAML, 0600 |
| `MLREG_NOTIFY_URLS` | or their Apprise URLs, by spaces |
| `MLREG_SILENT_AFTER_SECONDS` | the controller is silent after so long without a tick; 0: never |
| `MLREG_HEARTBEAT_URL` | called each minute by the controller that leads, while it ticks |
| `MLREG_OPENLINEAGE_URL`, `_KEY` | a receiver of lineage events, and its bearer token |
| `MLREG_OPENLINEAGE_FILE` | or a file to append them to |
| `MLREG_OPENLINEAGE_NAMESPACE` | of their jobs and datasets: mlreg |
| `MLREG_WEBHOOK_CA_FILE` | certificates that webhooks' hosts may be signed by besides |
| `MLREG_REQUESTS_PER_SECOND`, `MLREG_REQUESTS_BURST` | what one token may ask of one API process |
"""

from __future__ import annotations

import re
import tempfile
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mlreg.registry.artifacts.settings import S3Settings
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.garbage import Retention
from mlreg.registry.domain.names import Name
from mlreg.registry.domain.targets import InvalidTargetError, parse_target
from mlreg.registry.domain.upkeep import UpkeepSettings
from mlreg.registry.services.posting import PostSettings
from mlreg.registry.services.rates import Rate

PREFIX = "MLREG_"
_POSTGRES = re.compile(r"postgres(ql)?(\+psycopg)?://[^\s]*/[^\s]+$")


class SettingsError(InvalidError):
    """A setting is missing or cannot be read; names the variable."""

    code = "invalid_settings"
    hint = "See `docs/reference/settings.md`; on one machine, `mlreg up` needs none of them."


class Settings(BaseSettings):
    """What a server process is told by its environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    database_url: SecretStr
    database_owner_url: SecretStr | None = None
    artifacts_url: str
    s3_endpoint_url: str | None = None
    s3_region: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_public_endpoint_url: str | None = None
    s3_direct: bool = True
    mode: Literal["default", "production"] = "default"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    allowed_hosts: Annotated[list[str], NoDecode] = []
    trusted_proxies: Annotated[list[str], NoDecode] = []
    connections_file: FilePath | None = None
    work_folder: Path = Path(tempfile.gettempdir())
    worker_labels: Annotated[list[Name], NoDecode] = []
    price_per_second: Decimal | None = Field(default=None, ge=0, le=10_000, decimal_places=9)
    currency: str = Field(default="EUR", pattern=r"^[^\s].{0,18}[^\s]$|^[^\s]$")
    job_days: int = Field(default=30, ge=1, le=36_500)
    lease_seconds: float = Field(default=30, ge=1, le=3_600)
    leader_seconds: float = Field(default=10, ge=0.5, le=300)
    trainer_commands: FilePath | None = None
    exchange_url: str | None = Field(default=None, pattern=r"^(file:///|s3://)[^\s?#@]+$")
    ray_address: str | None = Field(default=None, pattern=r"^https?://[^\s/@]+(/[^\s]*)?$")
    executors_file: FilePath | None = None
    signing_key: FilePath | None = None
    checkpoint_folder: Path | None = None
    checkpoint_key: SecretStr | None = None
    checkpoint_url: str | None = None
    checkpoint_retention_days: int | None = Field(default=None, ge=1, le=36_500)
    checkpoint_syslog: str | None = None
    webhook_allow: Annotated[list[str], NoDecode] = []
    webhook_ca_file: Path | None = None
    notifications_file: FilePath | None = None
    notify_urls: SecretStr | None = None
    silent_after_seconds: float = Field(default=120, ge=0, le=86_400)
    heartbeat_url: SecretStr | None = None
    openlineage_url: str | None = None
    openlineage_key: SecretStr | None = None
    openlineage_file: Path | None = None
    openlineage_namespace: str = Field(default="mlreg", min_length=1, max_length=200)
    scrub_days: float = Field(default=14, gt=0, le=3650)
    scrub_bytes_per_second: int = Field(default=32 * 2**20, ge=2**16)
    retention_days: int = Field(default=365, ge=0, le=36_500)
    trigger_record_days: int = Field(default=90, ge=1, le=36_500)
    requests_per_second: float = Field(default=1_000, ge=0, le=1e6)
    requests_burst: int = Field(default=5_000, ge=1, le=10**7)

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _names_postgres(cls, given: SecretStr | None) -> SecretStr | None:
        """Refuse another dialect, and what is no URL, without showing the password in it."""
        if given is not None and not _POSTGRES.match(given.get_secret_value()):
            message = "it is not of the form postgresql://user:password@host:port/database"
            raise ValueError(message)
        return given

    @field_validator("heartbeat_url")
    @classmethod
    def _is_https(cls, given: SecretStr | None) -> SecretStr | None:
        """Refuse what is no https URL, without showing the secret in it."""
        try:
            parse_target(given.get_secret_value() if given else "https://nobody/")
        except InvalidTargetError as error:
            raise ValueError(str(error)) from None
        return given

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, given: list[str]) -> list[str]:
        """Refuse what is no address or network: `*` would let anybody choose their address."""
        for network in given:
            ip_network(network, strict=False)
        return given

    @field_validator(
        "allowed_hosts", "trusted_proxies", "webhook_allow", "worker_labels", mode="before"
    )
    @classmethod
    def _by_commas(cls, given: object) -> object:
        return by_commas(given) if isinstance(given, str) else given

    @property
    def s3(self) -> S3Settings:
        """How the S3 endpoint is reached."""
        secret = self.s3_secret_access_key
        return S3Settings(
            endpoint_url=self.s3_endpoint_url,
            region=self.s3_region,
            access_key_id=self.s3_access_key_id,
            secret_access_key=secret.get_secret_value() if secret else None,
            public_endpoint_url=self.s3_public_endpoint_url,
            direct=self.s3_direct,
        )

    @property
    def upkeep(self) -> UpkeepSettings:
        """What is said about keeping bytes."""
        return UpkeepSettings(
            scrub_within=timedelta(days=self.scrub_days),
            scrub_bytes_per_second=self.scrub_bytes_per_second,
            retention=Retention(served_within=timedelta(days=self.retention_days)),
        )

    @property
    def posts(self) -> PostSettings:
        """Whom webhooks may call."""
        allow = frozenset(name.lower() for name in self.webhook_allow)
        return PostSettings(allow=allow, ca_file=self.webhook_ca_file)

    @property
    def rate(self) -> Rate:
        """How many requests one sender may send to one process."""
        return Rate(self.requests_per_second, self.requests_burst)

    @property
    def owner_url(self) -> str:
        """The URL of the role that migrates."""
        return (self.database_owner_url or self.database_url).get_secret_value()


def by_commas(given: str) -> list[str]:
    """Return what stands between commas, without the spaces around it."""
    return [name.strip() for name in given.split(",")]


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: names every variable that is missing or wrong, and never its value.
    """
    try:
        return Settings()  # type: ignore[call-arg]  # the environment fills it
    except ValidationError as error:
        wrong = (
            f"{PREFIX}{'_'.join(map(str, item['loc'])).upper()}: {item['msg'].lower()}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError("; ".join(wrong).replace("value error, ", "")) from None
