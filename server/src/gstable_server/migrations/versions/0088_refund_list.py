"""Whose a refund is, so that a merchant's own can be listed."""

from gstable_server.migrations import run_sql

revision = "0088_refund_list"
down_revision = "0072_ownership"


def upgrade() -> None:
    run_sql("0088_refund_list")
