"""Runs the revisions: every statement waits at most five seconds for a lock, so that a migration
gives way to live traffic instead of stopping it."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        connection.execute(text("SET lock_timeout = '5s'"))
        context.run_migrations()


async def _main() -> None:
    engine = create_async_engine(context.config.attributes["engine_url"], poolclass=NullPool)
    async with engine.connect() as connection:
        # Two servers started together: one migrates, the other waits and finds nothing to do.
        await connection.execute(text("SELECT pg_advisory_lock(7121)"))
        await connection.commit()
        await connection.run_sync(_migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(_main())
