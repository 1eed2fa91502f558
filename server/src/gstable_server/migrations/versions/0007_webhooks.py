"""Webhook endpoints, messages and attempts."""

from gstable_server.migrations import run_sql

revision = "0007_webhooks"
down_revision = "0006_ledger"


def upgrade() -> None:
    run_sql("0007_webhooks")
