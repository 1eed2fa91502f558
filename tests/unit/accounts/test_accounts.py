from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts import routes as account_routes
from gstable_server.accounts.model import ACCOUNTS_MAX, ReceivingAccount
from gstable_server.chain.networks import Networks
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import AccountId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.api.notes import app_with, client_of

pytestmark = pytest.mark.anyio

WALLET = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


async def _create(
    db: Database, tenant: Tenant, networks: Networks, name: str = "Main", address: str = WALLET
) -> ReceivingAccount:
    return await db.run(accounts.create_account, tenant, networks, name, address)


async def _events(db: Database) -> list[Any]:
    async with db.read() as tx:
        return await tx.fetch("SELECT type, object_id, payload FROM events ORDER BY sequence")


async def _get(db: Database, networks: Networks, tenant: Tenant, path: str) -> Any:
    async with db.begin() as tx:
        _, secret = await accounts.issue_key(tx, tenant, Access.READ, "reader")
    async with client_of(app_with(db, account_routes.routes(networks))) as client:
        answer = await client.get(path, headers={"authorization": f"Bearer {secret}"})
        return answer.json()


async def test_the_api_shows_an_account_as_the_contract_says(
    database: Database, tenant: Tenant, networks: Networks
) -> None:
    account = await _create(database, tenant, networks, "  Main wallet ", WALLET.lower())
    shown = {
        "accountId": account.account_id,
        "accountName": "Main wallet",
        "accountAddress": WALLET,
        "accountType": "EVM::ADDR",
        "settlementCurrencies": ["base::usdc", "polygon::usdc", "polygon::usdt"],
        "version": account.version,
        "status": "normal",
        "createAt": "2026-01-01 12:00:00",
        "updateAt": "2026-01-01 12:00:00",
    }
    detail = await _get(database, networks, tenant, f"/api/v1/account/detail/{account.account_id}")
    assert detail == {"code": 0, "message": "success", "data": shown}
    # The list is a bare array (spec 2, Pagination).
    listed = await _get(database, networks, tenant, "/payment/v1/account/list")
    assert listed["data"] == [shown]


async def test_the_list_is_newest_first_and_of_one_tenant(
    database: Database, tenant: Tenant, networks: Networks
) -> None:
    for name in ("one", "two", "three"):
        await _create(database, tenant, networks, name)
    await _create(database, Tenant(tenant.merchant_id, Mode.LIVE), networks, "live")
    listed = await _get(database, networks, tenant, "/api/v1/account/list")
    assert [account["accountName"] for account in listed["data"]] == ["three", "two", "one"]


async def test_aut_02_accounts_of_another_tenant_are_not_found(
    database: Database, tenant: Tenant, networks: Networks
) -> None:
    account = await _create(database, tenant, networks)
    async with database.begin() as tx:
        stranger = await accounts.create_merchant(tx, "Stranger")
    for other in (
        Tenant(tenant.merchant_id, Mode.LIVE),
        Tenant(stranger.merchant_id, tenant.mode),
    ):
        answer = await _get(
            database, networks, other, f"/api/v1/account/detail/{account.account_id}"
        )
        unknown = await _get(database, networks, other, "/api/v1/account/detail/acc_unknown")
        assert answer == unknown
        assert answer == {"code": 100401, "message": "Account not found", "data": None}
    assert (await _get(database, networks, tenant, "/api/v1/account/detail/'; --"))[
        "code"
    ] == 100401


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("", "must be 0x followed by 40 hexadecimal digits"),
        (WALLET[2:], "must be 0x followed by 40 hexadecimal digits"),
        (WALLET + "0", "must be 0x followed by 40 hexadecimal digits"),
        ("0x" + "g" * 40, "must be 0x followed by 40 hexadecimal digits"),
        (WALLET.replace("aAeb", "AAeb"), "has a wrong checksum (EIP-55)"),
        ("0x" + "0" * 40, "must not be the zero address"),
        ("0x00000000000000000000000000000000000000a1", "must not be a token's or the router's"),
        ("0x00000000000000000000000000000000000000b3", "must not be a token's or the router's"),
    ],
)
async def test_an_address_that_would_lose_money_is_refused(
    database: Database, tenant: Tenant, networks: Networks, address: str, problem: str
) -> None:
    with pytest.raises(Refused) as refusal:
        await _create(database, tenant, networks, address=address)
    assert refusal.value.code is Code.FIELD_INVALID
    assert refusal.value.detail.startswith(f"accountAddress {problem}")
    async with database.read() as tx:
        assert await accounts.list_accounts(tx, tenant) == []


async def test_a_name_has_1_to_100_storable_characters(
    database: Database, tenant: Tenant, networks: Networks
) -> None:
    for name in ("", "   ", "x" * 101, "a\0b"):
        with pytest.raises(Refused, match="accountName"):
            await _create(database, tenant, networks, name)


async def test_20_accounts_are_the_limit_also_in_a_race(
    database: Database, tenant: Tenant, networks: Networks
) -> None:
    outcomes = await asyncio.gather(
        *(_create(database, tenant, networks, f"n{n}") for n in range(ACCOUNTS_MAX + 12)),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(outcomes) - len(refused) == ACCOUNTS_MAX == 20
    assert {refusal.code for refusal in refused} == {Code.ACCOUNT_LIMIT}
    async with database.read() as tx:
        first = (await accounts.list_accounts(tx, tenant))[0]
    await database.run(accounts.remove_account, tenant, networks, first.account_id)
    await _create(database, tenant, networks, "room again")
    # The other mode counts for itself.
    await _create(database, Tenant(tenant.merchant_id, Mode.LIVE), networks, "live")


async def test_the_life_of_an_account_is_told(
    database: Database, tenant: Tenant, networks: Networks, clock: FakeClock
) -> None:
    account = await _create(database, tenant, networks)
    clock.advance(60)
    renamed = await database.run(
        accounts.rename_account, tenant, networks, account.account_id, "Other"
    )
    assert (renamed.name, renamed.address) == ("Other", account.address)
    await database.run(accounts.remove_account, tenant, networks, account.account_id)
    events = await _events(database)
    assert [event["type"] for event in events] == [
        "account.created",
        "account.updated",
        "account.removed",
    ]
    assert {event["object_id"] for event in events} == {account.account_id}
    data = [event["payload"]["accountData"] for event in events]
    assert [one["accountName"] for one in data] == ["Main", "Other", "Other"]
    assert data[1]["updateAt"] == "2026-01-01 12:01:00"
    again = await _create(database, tenant, networks)
    assert again.address == account.address
    assert again.version != account.version


async def test_a_removed_account_is_gone_for_every_verb(
    database: Database, tenant: Tenant, networks: Networks
) -> None:
    account = await _create(database, tenant, networks)
    await database.run(accounts.remove_account, tenant, networks, account.account_id)
    for attempt in (
        database.run(accounts.require_account, tenant, account.account_id),
        database.run(accounts.rename_account, tenant, networks, account.account_id, "x"),
        database.run(accounts.remove_account, tenant, networks, account.account_id),
    ):
        with pytest.raises(Refused) as refusal:
            await attempt
        assert refusal.value.code is Code.ACCOUNT_REMOVED
    with pytest.raises(Refused) as refusal:
        await database.run(accounts.require_account, tenant, AccountId("acc_unknown"))
    assert refusal.value.code is Code.ACCOUNT_NOT_FOUND
    async with database.read() as tx:
        assert await accounts.list_accounts(tx, tenant) == []
