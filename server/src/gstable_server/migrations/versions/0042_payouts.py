"""Wallets that wait to become receiving accounts."""

from gstable_server.migrations import run_sql

revision = "0042_payouts"
down_revision = "0041_second_factors"


def upgrade() -> None:
    run_sql("0042_payouts")
