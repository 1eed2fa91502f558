"""When and from where API keys were used last."""

from gstable_server.migrations import run_sql

revision = "0046_key_uses"
down_revision = "0045_passkeys"


def upgrade() -> None:
    run_sql("0046_key_uses")
