"""What paying agents signed."""

from gstable_server.migrations import run_sql

revision = "0016_agents"
down_revision = "0015_request_log"


def upgrade() -> None:
    run_sql("0016_agents")
