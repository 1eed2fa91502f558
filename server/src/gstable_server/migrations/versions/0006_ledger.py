"""The double-entry ledger."""

from gstable_server.migrations import run_sql

revision = "0006_ledger"
down_revision = "0005_sessions"


def upgrade() -> None:
    run_sql("0006_ledger")
