"""Who stands behind a large refund."""

from gstable_server.migrations import run_sql

revision = "0044_approvals"
down_revision = "0043_limits"


def upgrade() -> None:
    run_sql("0044_approvals")
