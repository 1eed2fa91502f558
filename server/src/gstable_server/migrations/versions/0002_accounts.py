"""Merchants, members, API keys and receiving accounts."""

from gstable_server.migrations import run_sql

revision = "0002_accounts"
down_revision = "0001_events"


def upgrade() -> None:
    run_sql("0002_accounts")
