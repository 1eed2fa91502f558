"""The language that a person reads the console and its letters in."""

from gstable_server.migrations import run_sql

revision = "0081_member_language"
down_revision = "0085_request_refusals"


def upgrade() -> None:
    run_sql("0081_member_language")
