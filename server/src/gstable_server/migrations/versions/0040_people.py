"""Teams of merchants, invitations into them, and the log of what people do."""

from gstable_server.migrations import run_sql

revision = "0040_people"
down_revision = "0031_receipts"


def upgrade() -> None:
    run_sql("0040_people")
