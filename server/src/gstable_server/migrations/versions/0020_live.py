"""Whoever shows a session to its payer is told when something about it has changed."""

from gstable_server.migrations import run_sql

revision = "0020_live"
down_revision = "0019_unmatched"


def upgrade() -> None:
    run_sql("0020_live")
