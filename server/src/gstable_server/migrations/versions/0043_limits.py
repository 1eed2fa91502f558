"""How much may be given back by one person alone."""

from gstable_server.migrations import run_sql

revision = "0043_limits"
down_revision = "0070_webhook_log"


def upgrade() -> None:
    run_sql("0043_limits")
