"""What merchants' API keys asked, for those who write the shop."""

from gstable_server.migrations import run_sql

revision = "0015_request_log"
down_revision = "0014_deposits"


def upgrade() -> None:
    run_sql("0015_request_log")
