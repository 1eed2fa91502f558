"""Indexes and counts of the console's statistics."""

from gstable_server.migrations import run_sql

revision = "0060_statistics"
down_revision = "0051_lists"


def upgrade() -> None:
    run_sql("0060_statistics")
