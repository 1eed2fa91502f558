"""What the server sends to the chain: intents, nonces, attempts."""

from gstable_server.migrations import run_sql

revision = "0010_executor"
down_revision = "0009_jobs"


def upgrade() -> None:
    run_sql("0010_executor")
