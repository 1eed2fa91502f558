"""What sessions are looked for by: few, narrow and partial indexes."""

from gstable_server.migrations import run_sql

revision = "0051_lists"
down_revision = "0046_key_uses"


def upgrade() -> None:
    run_sql("0051_lists")
