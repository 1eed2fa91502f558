"""How merchants look to payers, and how payers reach them."""

from gstable_server.migrations import run_sql

revision = "0030_branding"
down_revision = "0020_live"


def upgrade() -> None:
    run_sql("0030_branding")
