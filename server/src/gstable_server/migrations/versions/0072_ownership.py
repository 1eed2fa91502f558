"""Proofs that receiving accounts are the merchant's own."""

from gstable_server.migrations import run_sql

revision = "0072_ownership"
down_revision = "0071_preferences"


def upgrade() -> None:
    run_sql("0072_ownership")
