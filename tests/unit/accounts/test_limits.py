"""The limit of refunds: lower at once, higher by a second person or later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.operations import Filter
from gstable_server.accounts.limits import operations as limits
from gstable_server.accounts.limits.model import (
    End,
    Fact,
    LimitChange,
    Outcome,
    Refuse,
    decide,
    is_higher,
)
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser, By
from gstable_server.accounts.payouts.operations import Policy
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import LimitChangeId, MemberId, MerchantId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.roles import Role
from gstable_server.kernel.tenant import Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock

pytestmark = pytest.mark.anyio

DAY = Policy(timedelta(hours=24), True, "https://pay.example.com")
ANNA, BEN = (MemberId(f"mem_{letter * 16}") for letter in "ab")
LOW, HIGH = MicroUsd(5_000_000), MicroUsd(50_000_000)


@pytest.fixture
async def by(database: Database) -> By:
    owner = await database.run(
        members.register_owner, "Example Ltd", "owner@example.com", "correct horse battery"
    )
    return By(owner, "192.0.2.1")


async def _joined(db: Database, by: By, role: Role, name: str = "second") -> By:
    _, token = await db.run(team.invite, by, f"{name}@example.com", role)
    login = await db.run(team.join_anew, token, "correct horse battery", Browser())
    return By(login.member, "")


def _live(by: By) -> Tenant:
    return Tenant(by.member.merchant_id, Mode.LIVE)


async def _change(db: Database, by: By, amount: int | None, policy: Policy = DAY) -> bool:
    return await db.run(limits.change, by, _live(by), policy, amount)


async def _state(db: Database, by: By) -> tuple[int | None, LimitChange | None]:
    async with db.read() as tx:
        return await limits.current(tx, _live(by)), await limits.waiting(tx, _live(by))


async def _waiting(db: Database, by: By) -> LimitChange:
    _, change = await _state(db, by)
    assert change is not None
    return change


def test_every_fact_of_a_limit_that_waits_has_its_answer(clock: FakeClock) -> None:
    now = clock.now()
    tenant = Tenant(MerchantId("a" * 64), Mode.LIVE)
    change = LimitChange(LimitChangeId(f"lch_{'a' * 16}"), tenant, None, ANNA, now, now)
    both, only_ben = frozenset({ANNA, BEN}), frozenset({BEN})
    assert decide(change, Fact.APPROVED, both, BEN) == End(Outcome.APPROVED, counts=True)
    for able, actor in ((both, ANNA), (only_ben, BEN), (frozenset({ANNA}), BEN)):
        assert isinstance(decide(change, Fact.APPROVED, able, actor), Refuse)
    assert decide(change, Fact.TIME_PASSED, both) == End(Outcome.DUE, counts=True)
    assert decide(change, Fact.TIME_PASSED, only_ben) == End(Outcome.CANCELLED, counts=False)
    assert decide(change, Fact.CANCELLED, both) == End(Outcome.CANCELLED, counts=False)
    assert decide(change, Fact.REPLACED, both) == End(Outcome.REPLACED, counts=False)


@pytest.mark.parametrize(
    ("now", "wanted", "higher"),
    [
        (None, None, False),
        (None, LOW, False),
        (LOW, LOW, False),
        (HIGH, LOW, False),
        (LOW, HIGH, True),
        (LOW, None, True),
    ],
)
def test_what_is_a_higher_limit(
    now: MicroUsd | None, wanted: MicroUsd | None, higher: bool
) -> None:
    assert is_higher(now, wanted) is higher


async def test_dsh_04_a_lower_limit_counts_at_once_and_a_higher_one_later(
    database: Database, by: By, clock: FakeClock
) -> None:
    assert not await _change(database, by, HIGH)
    assert not await _change(database, by, LOW)
    assert await _change(database, by, HIGH)
    assert (await _state(database, by))[0] == LOW
    clock.advance(24 * 3600 - 1)
    await database.run(limits.carry_out, sends_mail=True)
    assert (await _state(database, by))[0] == LOW
    clock.advance(1)
    for _ in range(2):
        await database.run(limits.carry_out, sends_mail=True)
    assert await _state(database, by) == (HIGH, None)
    async with database.read() as tx:
        bodies = [row["body"] for row in await tx.fetch("SELECT body FROM notices")]
        log = await audit.entries(tx, by.member.merchant_id, Filter(action="limits.change"))
    assert len(bodies) == 4
    assert "from 5.00 USD to 50.00 USD" in bodies[2]
    assert "https://pay.example.com/dashboard/live/limits" in bodies[2]
    assert [one.act.note.what for one in log] == ["limit.asked", "limit.changed", "limit.changed"]


async def test_dsh_04_a_second_owner_or_admin_approves_it_and_nobody_else(
    database: Database, by: By
) -> None:
    await _change(database, by, LOW)
    await _change(database, by, None)
    change = await _waiting(database, by)
    admin = await _joined(database, by, Role.ADMIN)
    finance = await _joined(database, by, Role.FINANCE, "finance")
    for one, reason in ((by, "you asked for it"), (finance, "owners and admins")):
        with pytest.raises(Refused, match=reason):
            await database.run(limits.approve, one, _live(by), DAY, change.change_id)
    approvals = await asyncio.gather(
        *(database.run(limits.approve, admin, _live(by), DAY, change.change_id) for _ in range(2)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, LimitChange) for one in approvals) == 1
    assert await _state(database, by) == (None, None)


async def test_dsh_04_what_a_removed_member_asked_for_never_counts(
    database: Database, by: By, clock: FakeClock
) -> None:
    thief = await _joined(database, by, Role.ADMIN)
    await _change(database, by, LOW)
    await _change(database, thief, None)
    change = await _waiting(database, by)
    await database.run(team.remove, by, thief.member.member_id)
    with pytest.raises(Refused, match="may no longer change it"):
        await database.run(limits.approve, by, _live(by), DAY, change.change_id)
    clock.advance(24 * 3600)
    await database.run(limits.carry_out, sends_mail=True)
    assert await _state(database, by) == (LOW, None)


async def test_dsh_04_it_is_cancelled_and_replaced(
    database: Database, by: By, clock: FakeClock
) -> None:
    await _change(database, by, LOW)
    await _change(database, by, None)
    change = await _waiting(database, by)
    finance = await _joined(database, by, Role.FINANCE)
    test_mode = replace(_live(by), mode=Mode.TEST)
    with pytest.raises(Refused):
        await database.run(limits.cancel, finance, test_mode, DAY, change.change_id)
    await database.run(limits.cancel, finance, _live(by), DAY, change.change_id)
    with pytest.raises(Refused):
        await database.run(limits.cancel, finance, _live(by), DAY, change.change_id)
    await _change(database, by, None)
    assert not await _change(database, by, 0)
    assert await _state(database, by) == (0, None)
    clock.advance(48 * 3600)
    await database.run(limits.carry_out, sends_mail=True)
    assert (await _state(database, by))[0] == 0


async def test_without_a_delay_and_in_test_mode_nothing_waits(database: Database, by: By) -> None:
    at_once = replace(DAY, delay=timedelta(0), sends_mail=False)
    for amount in (LOW, None):
        assert not await _change(database, by, amount, at_once)
    tenant = replace(_live(by), mode=Mode.TEST)
    for amount in (LOW, HIGH):
        assert not await database.run(limits.change, by, tenant, DAY, amount)
    with pytest.raises(Refused, match="limit must be between"):
        await _change(database, by, -1)
