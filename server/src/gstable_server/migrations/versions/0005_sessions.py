"""Checkout sessions, their signed orders and their payments."""

from gstable_server.migrations import run_sql

revision = "0005_sessions"
down_revision = "0004_links"


def upgrade() -> None:
    run_sql("0005_sessions")
