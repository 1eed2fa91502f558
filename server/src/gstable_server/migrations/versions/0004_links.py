"""Payment links."""

from gstable_server.migrations import run_sql

revision = "0004_links"
down_revision = "0003_catalog"


def upgrade() -> None:
    run_sql("0004_links")
