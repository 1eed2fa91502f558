"""Events, outbox and idempotency keys."""

from gstable_server.migrations import run_sql

revision = "0001_events"
down_revision = None


def upgrade() -> None:
    run_sql("0001_events")
