"""The database's history: Alembic revisions with plain SQL inside, shipped with the server."""

from __future__ import annotations

from pathlib import Path

from alembic import command, op
from alembic.config import Config

VERSIONS = Path(__file__).parent / "versions"


def run_sql(name: str) -> None:
    """Run ``versions/<name>.sql`` whole, statements and function bodies as they are written."""
    sql = (VERSIONS / f"{name}.sql").read_text()
    raw = op.get_bind().connection.dbapi_connection
    assert raw is not None, "a migration runs on an open connection"
    raw.run_async(lambda connection: connection.execute(sql))


def upgrade(database_url: str) -> None:
    """Bring the database to the newest revision. Not callable from a running event loop.

    Safe to run from several processes at once: the second waits for the first (``env.py``).
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    scheme, rest = database_url.split("://", 1)
    assert scheme in {"postgresql", "postgres"}, "a PostgreSQL address"
    config.attributes["engine_url"] = f"postgresql+asyncpg://{rest}"
    command.upgrade(config, "head")
