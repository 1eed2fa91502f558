"""What merchants decide once for all their sessions."""

from gstable_server.migrations import run_sql

revision = "0071_preferences"
down_revision = "0060_statistics"


def upgrade() -> None:
    run_sql("0071_preferences")
