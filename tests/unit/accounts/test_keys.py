from __future__ import annotations

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ApiKeyId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database

pytestmark = pytest.mark.anyio


async def test_a_key_says_its_access_and_mode_and_proves_both(
    database: Database, tenant: Tenant
) -> None:
    seen = set()
    for mode in Mode:
        for access, prefix in ((Access.WRITE, "sk"), (Access.READ, "rk")):
            its_tenant = Tenant(tenant.merchant_id, mode)
            key, secret = await database.run(accounts.issue_key, its_tenant, access, "Shop")
            assert secret.startswith(f"{prefix}_{mode.value}_")
            assert len(secret) == len(f"{prefix}_{mode.value}_") + 40
            assert key.hint == f"{secret[:8]}…{secret[-4:]}"
            caller = await database.run(accounts.authenticate, secret)
            assert (caller.tenant, caller.key_id, caller.access) == (its_tenant, key.key_id, access)
            seen.add(secret)
    assert len(seen) == 4


async def test_the_secret_is_stored_nowhere(database: Database, tenant: Tenant) -> None:
    _, secret = await database.run(accounts.issue_key, tenant, Access.WRITE, "Shop")
    async with database.read() as tx:
        row = await tx.fetchrow("SELECT * FROM api_keys")
        assert row is not None
        stored = repr(dict(row))
    assert secret[12:-4] not in stored
    assert secret not in stored


async def test_what_is_no_key_is_refused(database: Database, tenant: Tenant) -> None:
    _, secret = await database.run(accounts.issue_key, tenant, Access.WRITE, "Shop")
    for text in ("", secret[:-1], secret + "x", secret.swapcase(), f" {secret}", "a\0b", "é" * 48):
        with pytest.raises(Refused) as refusal:
            await database.run(accounts.authenticate, text)
        assert refusal.value.code is Code.KEY_INVALID


async def test_a_revoked_key_stays_in_the_list_and_opens_nothing(
    database: Database, tenant: Tenant
) -> None:
    first, secret = await database.run(accounts.issue_key, tenant, Access.WRITE, "First")
    second, _ = await database.run(accounts.issue_key, tenant, Access.READ, "Second")
    stranger = await database.run(accounts.create_merchant, "Stranger")
    other_mode = Tenant(tenant.merchant_id, Mode.LIVE)
    for other in (Tenant(stranger.merchant_id, tenant.mode), other_mode):
        assert not await database.run(accounts.revoke_key, other, first.key_id)
    assert not await database.run(accounts.revoke_key, tenant, ApiKeyId("key_unknown"))
    assert await database.run(accounts.revoke_key, tenant, first.key_id)
    assert not await database.run(accounts.revoke_key, tenant, first.key_id)
    with pytest.raises(Refused) as refusal:
        await database.run(accounts.authenticate, secret)
    assert refusal.value.code is Code.KEY_REVOKED
    listed = await database.run(accounts.list_keys, tenant)
    assert [key.key_id for key in listed] == [second.key_id, first.key_id]
    assert [key.revoked_at is None for key in listed] == [True, False]
    assert await database.run(accounts.list_keys, other_mode) == []
