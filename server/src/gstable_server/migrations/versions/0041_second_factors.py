"""Codes of authenticator apps beside passwords, and links that set a forgotten password anew."""

from gstable_server.migrations import run_sql

revision = "0041_second_factors"
down_revision = "0040_people"


def upgrade() -> None:
    run_sql("0041_second_factors")
