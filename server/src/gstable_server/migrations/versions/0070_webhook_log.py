"""What is kept of each try to deliver an event."""

from gstable_server.migrations import run_sql

revision = "0070_webhook_log"
down_revision = "0050_ledger_days"


def upgrade() -> None:
    run_sql("0070_webhook_log")
