"""Passkeys, sign-ins elsewhere, and secrets that are kept sealed."""

from gstable_server.migrations import run_sql

revision = "0045_passkeys"
down_revision = "0044_approvals"


def upgrade() -> None:
    run_sql("0045_passkeys")
