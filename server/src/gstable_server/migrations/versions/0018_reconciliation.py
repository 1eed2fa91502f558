"""What was compared with the chains."""

from gstable_server.migrations import run_sql

revision = "0018_reconciliation"
down_revision = "0017_x402"


def upgrade() -> None:
    run_sql("0018_reconciliation")
