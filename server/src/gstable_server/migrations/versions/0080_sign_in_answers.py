"""Which sign-ins by a passkey or another server were completed."""

from gstable_server.migrations import run_sql

revision = "0080_sign_in_answers"
down_revision = "0088_refund_list"


def upgrade() -> None:
    run_sql("0080_sign_in_answers")
