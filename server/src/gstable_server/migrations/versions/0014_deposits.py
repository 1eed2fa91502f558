"""Deposit addresses, and what was seen and done there."""

from gstable_server.migrations import run_sql

revision = "0014_deposits"
down_revision = "0013_holds"


def upgrade() -> None:
    run_sql("0014_deposits")
