"""Settings of a server, from environment variables that begin with ``GSTABLE_``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is the variable ``GSTABLE_<NAME>``; ``DATABASE_URL`` is read as it is."""

    model_config = SettingsConfigDict(env_prefix="GSTABLE_", extra="ignore")

    database_url: str = Field(validation_alias="DATABASE_URL")
    """PostgreSQL 15 or newer."""
    public_url: str = "http://127.0.0.1:8000"
    """Where payers and merchants reach this server; no trailing slash."""
    networks_file: Path = Path("networks.toml")
    """Networks, tokens and contracts (docs/guide/networks.md)."""
    order_signing_key: SecretStr
    """Private key, 32 bytes as hexadecimal: attests payment orders, can move nobody's money."""
    fee_receiver: str
    """The address that receives the platform's fee, on every network."""
    relayer_key: SecretStr | None = None
    """Private key of the account that pays gas for relayed payments, deliveries and sweeps; without
    it payers pay their own gas, and others must finish what crosses networks."""
    solver_key: SecretStr | None = None
    """Private key of the account that fills orders from its own tokens (docs/guide/operate.md)."""
    attestor_key: SecretStr | None = None
    """Private key that attests fills to the escrow rails, so that the solver is paid back."""
    gas_max: int = 3_000_000
    """The most gas that one transaction of the relayer or solver may use."""
    raise_fees_seconds: int = 30
    """How long a transaction may wait to be mined before it is signed again with higher fees."""
    ai_host: str | None = None
    """A host name whose ``/api/v1`` is the AI payment protocol; its messages may name it in their
    domain, beside ``aipay.gstable.io``. Without it the protocol is at ``/aipay/api/v1`` only."""
    agent_payer_per_minute: int = 30
    """Signed messages of one payer that the AI payment protocol takes in a minute."""
    host: str = "127.0.0.1"
    port: int = 8000
    trusted_proxies: str | None = None
    """Addresses and networks of the proxies in front of this server, parted by commas: only what
    they say in ``X-Forwarded-For`` is believed about where a request comes from."""
    database_pool: int = Field(default=10, ge=3)
    """Connections of this process. A worker listens on two of them for good."""
    metrics_port: int | None = None
    """Where ``/metrics`` and the health of this process are shown, in every role; never on the
    public port. Off without it; 0 takes a free one, which the log names."""
    metrics_host: str = "127.0.0.1"
    log_level: str = "info"

    session_seconds: int = 1800
    """Lifetime of a session when the merchant names none, and of link sessions (spec 15)."""
    order_grace_seconds: int = 600
    """How long past a session's expiry its signed order may still be mined: such money reaches
    the merchant and is recorded as late, instead of costing the payer a failed transaction."""
    stall_seconds: int = 120
    """How long a rail may take to deliver a final payment to another network before it is told to
    hang: the session is then ``settlement_pending`` until it goes on."""
    reconcile_seconds: int = 3600
    """How often the book is compared with the networks (docs/operations/reconcile.md)."""
    capture_seconds: int = 7 * 24 * 3600
    """How long after the last second in which it may be paid a merchant can capture a held payment;
    then the payer gets it back. At most 89 days: the contract refuses a hold of more than 90."""
    key_rate_per_second: int = 100
    key_burst: int = 200
    address_rate_per_second: int = 20
    address_burst: int = 60
    open_pages_per_address: int = Field(default=100, ge=1)
    """Payers' pages of one client address that are told of changes at once; others ask now and
    then. A whole office may come from one address."""
    open_pages: int = Field(default=5_000, ge=0)
    """The same of one process."""
    smtp_url: SecretStr | None = None
    """The mail server that receipts go to payers by: ``smtp://user:password@host:587``, or
    ``smtps://``. Without it none are sent."""
    mail_from: str | None = None
    """The address that receipts come from; needed with either way of sending."""
    mail_directory: Path | None = None
    """Where letters are put instead, one ``.eml`` file each; for local development."""
    cjk_font: Path | None = None
    """A font file with Chinese, Japanese and Korean letters for receipts as PDF, for example that
    of Debian's ``fonts-noto-cjk``. Without it such receipts are printed from their page."""
    oidc_issuer: str | None = None
    """Another server that people of the console may sign in with (OpenID Connect), an https://
    address; with it the two below are needed."""
    oidc_client_id: str | None = None
    oidc_secret_file: Path | None = None
    """A file that holds the client's secret, and nothing else."""
    oidc_name: str = "OpenID"
    """What the button calls that server, for example the name of the company."""
    secrets_key: SecretStr | None = None
    """What the secrets of authenticator apps are sealed with in the database: 32 bytes as
    hexadecimal, older keys behind it after commas. Without it nobody can set up such an app."""
    payout_delay_hours: int = Field(default=24, ge=0)
    """How long a live receiving account beside the first waits before it can be used, while the
    team is told of it and can cancel it."""
    walletconnect_project_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_-]+$")
    """The operator's project at WalletConnect's relay: payers are then offered to connect a wallet
    of another device by a QR code (docs/guide/operate.md). Off without it."""
    walletconnect_relay_url: str = Field(
        default="wss://relay.walletconnect.org",
        pattern=r"^wss?://[0-9A-Za-z.:-]+(/[0-9A-Za-z/._-]*)?$",
    )
    """Where that relay is; pages that offer it may connect there and nowhere else."""
    body_bytes_max: int = 512 * 1024
    webhook_timeout_seconds: int = 15
    webhook_concurrency: int = Field(default=100, ge=1)
    """Letters under way at once in one worker process, not counting receivers that take long."""
    webhook_per_endpoint: int = Field(default=10, ge=1)
    """Letters under way at once to one endpoint, from all workers together."""
    webhook_allow_loopback: bool = False
    """Deliver to http://127.0.0.1 in test mode; for local development only."""


class DoctorSettings(BaseSettings):
    """What ``gstable doctor`` takes from the same variables, as far as they are set."""

    model_config = SettingsConfigDict(env_prefix="GSTABLE_", extra="ignore")

    networks_file: Path = Path("networks.toml")
    order_signing_key: SecretStr | None = None
    relayer_key: SecretStr | None = None
    solver_key: SecretStr | None = None
    attestor_key: SecretStr | None = None


class SettingsInvalid(Exception):
    """A variable is missing or wrong; the text names it."""


def load_settings() -> Settings:
    """The settings of this process's environment. Raises ``SettingsInvalid``."""
    try:
        return Settings()
    except ValidationError as failure:
        problems = []
        for error in failure.errors(include_input=False):
            name = str(error["loc"][0])
            variable = name if name.isupper() else f"GSTABLE_{name.upper()}"
            problems.append(f"{variable}: {error['msg'].lower()}")
        raise SettingsInvalid("; ".join(problems)) from None
