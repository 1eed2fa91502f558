"""The job queue's tables, as the pinned PgQueuer version installs them."""

from gstable_server.migrations import run_sql

revision = "0009_jobs"
down_revision = "0008_chain"


def upgrade() -> None:
    run_sql("0009_jobs")
