"""Receipts that are sent to payers."""

from gstable_server.migrations import run_sql

revision = "0031_receipts"
down_revision = "0030_branding"


def upgrade() -> None:
    run_sql("0031_receipts")
