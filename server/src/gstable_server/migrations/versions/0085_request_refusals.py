"""What the refusal of a request named."""

from gstable_server.migrations import run_sql

revision = "0085_request_refusals"
down_revision = "0080_sign_in_answers"


def upgrade() -> None:
    run_sql("0085_request_refusals")
