"""A wallet to be paid to that a thief adds waits, is told of, and is cancelled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.operations import Filter
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser, By
from gstable_server.accounts.model import ReceivingAccount
from gstable_server.accounts.payouts import operations as payouts
from gstable_server.accounts.payouts.model import PayoutChange
from gstable_server.accounts.payouts.operations import Policy
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.roles import Role
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.web.shop import new_desk

pytestmark = pytest.mark.anyio

OURS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
THIEFS = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
NETWORKS = new_desk().networks
DAY = Policy(timedelta(hours=24), True, "https://pay.example.com")


@pytest.fixture
async def by(database: Database) -> By:
    owner = await database.run(
        members.register_owner, "Example Ltd", "owner@example.com", "correct horse battery"
    )
    return By(owner, "192.0.2.1")


def _live(by: By) -> Tenant:
    return Tenant(by.member.merchant_id, Mode.LIVE)


async def _add(
    db: Database, by: By, address: str, policy: Policy = DAY, mode: Mode = Mode.LIVE
) -> ReceivingAccount | PayoutChange:
    tenant = Tenant(by.member.merchant_id, mode)
    return await db.run(payouts.add_account, by, tenant, NETWORKS, policy, "Wallet", address)


async def _addresses(db: Database, by: By) -> set[str]:
    async with db.read() as tx:
        held = await accounts.list_accounts(tx, _live(by))
    return {f"0x{one.address.hex()}" for one in held}


async def test_dsh_04_a_further_live_wallet_waits_a_day_and_the_team_is_told(
    database: Database, by: By, clock: FakeClock
) -> None:
    assert isinstance(await _add(database, by, OURS), ReceivingAccount)
    change = await _add(database, by, THIEFS)
    assert isinstance(change, PayoutChange)
    clock.advance(24 * 3600 - 1)
    await database.run(payouts.carry_out, NETWORKS, sends_mail=True)
    assert await _addresses(database, by) == {OURS.lower()}
    async with database.read() as tx:
        [letter] = await tx.fetch("SELECT * FROM notices")
    assert letter["email"] == "owner@example.com"
    assert THIEFS in letter["body"]
    assert "https://pay.example.com/dashboard/live/accounts" in letter["body"]
    clock.advance(1)
    await database.run(payouts.carry_out, NETWORKS, sends_mail=True)
    await database.run(payouts.carry_out, NETWORKS, sends_mail=True)
    assert await _addresses(database, by) == {OURS.lower(), THIEFS.lower()}
    async with database.read() as tx:
        assert await payouts.waiting(tx, _live(by)) == []
        assert await tx.fetchval("SELECT count(*) FROM notices") == 2


async def test_dsh_04_what_was_cancelled_never_becomes_an_account(
    database: Database, by: By, clock: FakeClock
) -> None:
    await _add(database, by, OURS)
    change = await _add(database, by, THIEFS)
    assert isinstance(change, PayoutChange)
    other = replace(_live(by), merchant_id=MerchantId("f" * 64))
    for tenant in (other, replace(_live(by), mode=Mode.TEST)):
        with pytest.raises(Refused):
            await database.run(payouts.cancel, by, tenant, DAY, change.change_id)
    await database.run(payouts.cancel, by, _live(by), DAY, change.change_id)
    with pytest.raises(Refused) as twice:
        await database.run(payouts.cancel, by, _live(by), DAY, change.change_id)
    assert twice.value.code is Code.ROUTE_UNKNOWN
    clock.advance(48 * 3600)
    await database.run(payouts.carry_out, NETWORKS, sends_mail=True)
    assert await _addresses(database, by) == {OURS.lower()}
    async with database.read() as tx:
        log = await audit.entries(tx, by.member.merchant_id, Filter(about=change.change_id))
    assert [one.act.note.what for one in log] == ["payout.cancelled", "payout.asked"]


async def test_dsh_04_what_a_member_asked_for_who_was_removed_never_becomes_an_account(
    database: Database, by: By, clock: FakeClock
) -> None:
    await _add(database, by, OURS)
    _, token = await database.run(team.invite, by, "thief@example.com", Role.ADMIN)
    browser = Browser("192.0.2.2", "Test")
    login = await database.run(team.join_anew, token, "correct horse battery", browser)
    await _add(database, By(login.member, "192.0.2.2"), THIEFS)
    await database.run(team.remove, by, login.member.member_id)
    clock.advance(24 * 3600)
    await database.run(payouts.carry_out, NETWORKS, sends_mail=True)
    assert await _addresses(database, by) == {OURS.lower()}
    async with database.read() as tx:
        assert await payouts.waiting(tx, _live(by)) == []
        assert await tx.fetchval("SELECT outcome FROM payout_changes") == "cancelled"


async def test_dsh_04_removing_the_first_wallet_makes_no_way_around_the_delay(
    database: Database, by: By
) -> None:
    first = await _add(database, by, OURS)
    assert isinstance(first, ReceivingAccount)
    await database.run(accounts.remove_account, _live(by), NETWORKS, first.account_id)
    assert isinstance(await _add(database, by, THIEFS), PayoutChange)


async def test_of_several_first_wallets_at_once_one_is_the_first(
    database: Database, by: By
) -> None:
    outcomes = await asyncio.gather(*(_add(database, by, OURS) for _ in range(4)))
    assert sum(isinstance(one, ReceivingAccount) for one in outcomes) == 1


async def test_test_mode_and_a_delay_of_nothing_wait_for_nothing(
    database: Database, by: By
) -> None:
    at_once = replace(DAY, delay=timedelta(0))
    for _ in range(2):
        assert isinstance(await _add(database, by, OURS, at_once), ReceivingAccount)
        assert isinstance(await _add(database, by, OURS, mode=Mode.TEST), ReceivingAccount)


async def test_what_cannot_be_paid_to_is_refused_at_once_and_few_may_wait(
    database: Database, by: By
) -> None:
    await _add(database, by, OURS)
    with pytest.raises(Refused, match="accountAddress"):
        await _add(database, by, THIEFS[:-1] + "d")
    for _ in range(5):
        await _add(database, by, THIEFS)
    with pytest.raises(Refused, match="accountAddress is one too many: 5 are waiting"):
        await _add(database, by, THIEFS)


async def test_one_that_is_refused_in_the_end_keeps_none_behind_it_waiting(
    database: Database, by: By, clock: FakeClock
) -> None:
    await _add(database, by, OURS)
    for _ in range(2):
        await _add(database, by, THIEFS)
    at_once = replace(DAY, delay=timedelta(0))
    for _ in range(18):
        await _add(database, by, OURS, at_once)
    clock.advance(24 * 3600)
    await database.run(payouts.carry_out, NETWORKS, sends_mail=False)
    async with database.read() as tx:
        rows = await tx.fetch("SELECT outcome FROM payout_changes ORDER BY outcome")
    assert [row["outcome"] for row in rows] == ["done", "refused"]
