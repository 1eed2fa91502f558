"""The database's history: Alembic revisions with plain SQL inside, shipped with the server."""

from __future__ import annotations

from pathlib import Path

from alembic import op

VERSIONS = Path(__file__).parent / "versions"


def run_sql(name: str) -> None:
    """Run ``versions/<name>.sql`` whole, statements and function bodies as they are written."""
    sql = (VERSIONS / f"{name}.sql").read_text()
    raw = op.get_bind().connection.dbapi_connection
    raw.run_async(lambda connection: connection.execute(sql))
