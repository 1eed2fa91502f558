"""Payments that cross to another network."""

from gstable_server.migrations import run_sql

revision = "0011_settlement"
down_revision = "0010_executor"


def upgrade() -> None:
    run_sql("0011_settlement")
