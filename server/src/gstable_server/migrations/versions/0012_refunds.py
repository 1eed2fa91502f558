"""Money that merchants give back."""

from gstable_server.migrations import run_sql

revision = "0012_refunds"
down_revision = "0011_settlement"


def upgrade() -> None:
    run_sql("0012_refunds")
