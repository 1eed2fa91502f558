"""Money that pays nothing as asked, and what was decided about it."""

from gstable_server.migrations import run_sql

revision = "0019_unmatched"
down_revision = "0018_reconciliation"


def upgrade() -> None:
    run_sql("0019_unmatched")
