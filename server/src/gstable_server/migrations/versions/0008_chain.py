"""What was seen on the networks."""

from gstable_server.migrations import run_sql

revision = "0008_chain"
down_revision = "0007_webhooks"


def upgrade() -> None:
    run_sql("0008_chain")
