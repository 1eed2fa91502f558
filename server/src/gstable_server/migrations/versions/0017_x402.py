"""Payments that x402 clients signed."""

from gstable_server.migrations import run_sql

revision = "0017_x402"
down_revision = "0016_agents"


def upgrade() -> None:
    run_sql("0017_x402")
