"""Payments that merchants capture later."""

from gstable_server.migrations import run_sql

revision = "0013_holds"
down_revision = "0012_refunds"


def upgrade() -> None:
    run_sql("0013_holds")
