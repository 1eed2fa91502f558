from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from tests.unit.api.notes import Api, app_of, client_of


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with database.begin() as tx:
        merchant = await accounts.create_merchant(tx, "Example Ltd")
    tenant = Tenant(merchant.merchant_id, Mode.LIVE)
    async with client_of(app_of(database)) as client:
        made = Api(client, database, tenant)
        made.secret = await made.key()
        yield made
