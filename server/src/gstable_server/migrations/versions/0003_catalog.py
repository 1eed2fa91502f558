"""Products."""

from gstable_server.migrations import run_sql

revision = "0003_catalog"
down_revision = "0002_accounts"


def upgrade() -> None:
    run_sql("0003_catalog")
