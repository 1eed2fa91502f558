"""What the sealed part of the book adds up to, by day."""

from gstable_server.migrations import run_sql

revision = "0050_ledger_days"
down_revision = "0042_payouts"


def upgrade() -> None:
    run_sql("0050_ledger_days")
