from __future__ import annotations

import pytest

from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Database
from tests.unit.webhooks.support import new_tenant
from tests.unit.webhooks_api.support import Api


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await new_tenant(database)


@pytest.fixture
def api(database: Database, tenant: Tenant) -> Api:
    return Api(database, tenant)
