"""Refunds above the limit: who has to stand behind them, and what an approval is for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gstable_server.accounts.limits import operations as limits
from gstable_server.accounts.members import store as people
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser, By, Member
from gstable_server.accounts.payouts.operations import Policy
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import MemberId, RefundId
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.roles import Role
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.model import SessionView
from gstable_server.sessions.refunds import approval, approving, operations
from gstable_server.sessions.refunds.approval import Enough, Refuse, Vote, Waits, digest_of
from gstable_server.sessions.refunds.model import Approval, Refund, RefundState
from gstable_server.sessions.refunds.wire import PrepareRefund
from tests.property.test_refunds import NOW, refund_of
from tests.unit.sessions.refunding import OTHER, Refunder, text
from tests.unit.sessions.till import Till

pytestmark = pytest.mark.anyio

POLICY = Policy(timedelta(hours=24), False, "https://pay.example.com")
ANNA, BEN, CARL = (MemberId(f"mem_{letter * 16}") for letter in "abc")
EVERYBODY = frozenset({ANNA, BEN, CARL})


# --- the pure rule --------------------------------------------------------------------------------


def _waiting(by: MemberId | None = ANNA) -> Refund:
    return replace(
        refund_of(1, 5_000_000),
        state=RefundState.AWAITING,
        approval=Approval.AWAITED,
        prepared_by=by,
    )


def _vote(refund: Refund, member_id: MemberId) -> Vote:
    return Vote(member_id, digest_of(refund), NOW)


def _decided(
    refund: Refund,
    member_id: MemberId,
    *votes: Vote,
    able: frozenset[MemberId] = EVERYBODY,
    digest: bytes | None = None,
) -> approval.Decision:
    return approval.decide(refund, votes, able, member_id, digest or digest_of(refund))


def test_dsh_04_the_second_person_is_enough_and_the_first_is_not() -> None:
    refund = _waiting()
    assert _decided(refund, BEN) == Enough()
    own = _decided(refund, ANNA)
    assert isinstance(own, Refuse)
    assert "you prepared this refund yourself" in own.reason


def test_dsh_04_what_a_key_prepared_takes_two_people() -> None:
    refund = _waiting(None)
    assert _decided(refund, BEN) == Waits(1)
    again = _decided(refund, BEN, _vote(refund, BEN))
    assert isinstance(again, Refuse)
    assert _decided(refund, CARL, _vote(refund, BEN)) == Enough()


def test_dsh_04_who_may_no_longer_approve_counts_no_longer() -> None:
    by_key = _waiting(None)
    without_ben = EVERYBODY - {BEN}
    assert _decided(by_key, CARL, _vote(by_key, BEN), able=without_ben) == Waits(1)
    assert isinstance(_decided(by_key, BEN, able=without_ben), Refuse)
    assert _decided(_waiting(BEN), CARL, able=without_ben) == Waits(1)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 5_000_001},
        {"receiver": b"\x09" * 20},
        {"sender": b"\x09" * 20},
        {"token": b"\x09" * 20},
        {"chain_id": 1},
        {"network": "base"},
    ],
)
def test_dsh_04_an_approval_is_of_exactly_the_terms(change: dict[str, Any]) -> None:
    refund = _waiting(None)
    vote = _vote(refund, BEN)
    changed = replace(refund, terms=replace(refund.terms, **change))
    assert digest_of(changed) != digest_of(refund)
    assert isinstance(_decided(changed, BEN, digest=digest_of(refund)), Refuse)
    assert _decided(changed, CARL, vote) == Waits(1)
    assert digest_of(replace(refund, refund_id=RefundId("rfd_2"))) != digest_of(refund)


@pytest.mark.parametrize("state", [one for one in RefundState if one is not RefundState.AWAITING])
def test_nothing_else_is_approved(state: RefundState) -> None:
    assert isinstance(_decided(replace(_waiting(), state=state), BEN), Refuse)


def test_dsh_04_small_parts_of_one_session_are_added_up() -> None:
    part = refund_of(1, 4_000_000)
    needed = approval.is_needed
    assert not needed(None, [part] * 100, MicroUsd(10**12))
    assert not needed(MicroUsd(8_000_000), [part], MicroUsd(4_000_000))
    assert needed(MicroUsd(8_000_000), [part], MicroUsd(4_000_001))
    assert needed(MicroUsd(0), [], MicroUsd(1))
    given = replace(part, approval=Approval.GIVEN)
    cancelled = replace(part, state=RefundState.CANCELLED)
    assert not needed(MicroUsd(8_000_000), [given, cancelled, part], MicroUsd(4_000_000))


# --- with a team ----------------------------------------------------------------------------------


class Team:
    """The owner of a till's merchant, others of the team, and a limit of 4 USD a session."""

    def __init__(self, till: Till, owner: By) -> None:
        self.refunder, self.world = Refunder.at(till), till.world
        self.db: Database = till.world.db
        self.owner = owner

    async def joined(self, name: str, role: Role = Role.FINANCE) -> By:
        _, token = await self.db.run(team.invite, self.owner, f"{name}@example.com", role)
        login = await self.db.run(team.join_anew, token, "correct horse battery", Browser())
        return By(login.member, "")

    async def limit(self, amount: int | None) -> None:
        tenant = self.world.tenant
        await self.db.run(limits.change, self.owner, tenant, POLICY, amount)

    async def prepare(self, view: SessionView, by: By | None, amount: int = 5_000_000) -> Refund:
        body = {"sessionId": view.session.session_id, "amount": amount, "to": text(OTHER)}
        request = PrepareRefund.model_validate(body)
        world = self.world
        return await self.db.run(operations.prepare, world.desk, world.tenant, request, by)

    async def approve(self, refund: Refund, by: By, digest: bytes | None = None) -> Refund:
        wanted = digest_of(refund) if digest is None else digest
        return await self.db.run(approving.approve, self.world.tenant, by, refund.refund_id, wanted)


@pytest.fixture
async def crew(till: Till) -> Team:
    world = till.world
    async with world.db.begin() as tx:
        member = Member(
            tx.mint(MemberId), world.tenant.merchant_id, "owner@example.com", Role.OWNER, tx.now
        )
        await people.insert_person(tx, member.member_id, member.email, "no password")
        await people.insert_membership(tx, member)
    crew = Team(till, By(member, ""))
    await crew.limit(4_000_000)
    return crew


async def test_dsh_04_a_large_refund_of_a_key_waits_and_shows_no_transaction(crew: Team) -> None:
    view = await crew.refunder.paid()
    made = await crew.refunder.prepare(view, amount=4_000_001, to=text(OTHER))
    assert made["status"] == "awaiting_approval"
    assert "transaction" not in made
    ben = await crew.joined("ben")
    async with crew.db.read() as tx:
        [refund] = await operations.of_session_id(tx, view.session.session_id)
    assert (await crew.approve(refund, crew.owner)).state is RefundState.AWAITING
    assert await crew.refunder.status(made) == "awaiting_approval"
    approved = await crew.approve(refund, ben)
    assert (approved.state, approved.approval) == (RefundState.PREPARED, Approval.GIVEN)
    detail = await crew.refunder.caller.data(f"/session/refund/detail/{made['refundId']}")
    assert detail["transaction"]["to"]


async def test_dsh_04_up_to_the_limit_one_person_is_enough(crew: Team) -> None:
    view = await crew.refunder.paid()
    small = await crew.prepare(view, crew.owner, 4_000_000)
    assert small.state is RefundState.PREPARED
    assert (await crew.prepare(view, crew.owner, 1)).state is RefundState.AWAITING


async def test_dsh_04_of_two_approvals_at_once_one_moves_it(crew: Team) -> None:
    refund = await crew.prepare(await crew.refunder.paid(), crew.owner)
    others = [await crew.joined(name) for name in ("ben", "carl")]
    answers = await asyncio.gather(
        *(crew.approve(refund, one) for one in others), return_exceptions=True
    )
    assert sum(isinstance(one, Refund) for one in answers) == 1
    [refused] = [one for one in answers if isinstance(one, Refused)]
    assert "waits for nobody's approval" in refused.detail


async def test_dsh_04_an_approver_who_was_removed_does_not_count(crew: Team) -> None:
    refund = await crew.prepare(await crew.refunder.paid(), None)
    ben, carl = await crew.joined("ben"), await crew.joined("carl")
    await crew.approve(refund, ben)
    await crew.db.run(team.remove, crew.owner, ben.member.member_id)
    with pytest.raises(Refused, match="owners, admins and finance"):
        await crew.approve(refund, ben)
    assert (await crew.approve(refund, carl)).state is RefundState.AWAITING
    async with crew.db.read() as tx:
        standing = await approving.standing_of(tx, crew.world.tenant, refund)
    assert (standing.approved_by, standing.missing) == (("carl@example.com",), 1)
    await crew.db.run(team.change_role, crew.owner, carl.member.member_id, Role.VIEWER)
    assert (await crew.approve(refund, crew.owner)).state is RefundState.AWAITING


async def test_dsh_04_approvals_and_a_removal_at_once_are_one_after_the_other(crew: Team) -> None:
    refund = await crew.prepare(await crew.refunder.paid(), crew.owner)
    ben = await crew.joined("ben")
    approved, _ = await asyncio.gather(
        crew.approve(refund, ben),
        crew.db.run(team.remove, crew.owner, ben.member.member_id),
        return_exceptions=True,
    )
    # Whoever came second saw what the first had done.
    async with crew.db.read() as tx:
        [now] = await operations.of_session_id(tx, refund.session_id)
        votes = await tx.fetchval("SELECT count(*) FROM refund_approvals")
    is_in_time = isinstance(approved, Refund)
    assert (now.state is RefundState.PREPARED) is is_in_time
    assert votes == int(is_in_time)


async def test_dsh_04_terms_that_were_changed_are_not_what_was_approved(crew: Team) -> None:
    """Nothing of ours changes them; somebody with a hand in the database might."""
    refund = await crew.prepare(await crew.refunder.paid(), None)
    ben, carl = await crew.joined("ben"), await crew.joined("carl")
    await crew.approve(refund, ben)
    async with crew.db.begin() as tx:
        await tx.execute("UPDATE refunds SET receiver = $1", bytes(19) + b"\x09")
    with pytest.raises(Refused, match="was for other terms"):
        await crew.approve(refund, carl)
    async with crew.db.read() as tx:
        [now] = await operations.of_session_id(tx, refund.session_id)
    assert (await crew.approve(now, carl)).state is RefundState.AWAITING


async def test_what_waits_is_given_up_and_ends_by_itself(crew: Team, clock: FakeClock) -> None:
    view = await crew.refunder.paid()
    first = await crew.prepare(view, crew.owner)
    await crew.db.run(operations.cancel, crew.world.tenant, first.refund_id)
    second = await crew.prepare(view, crew.owner)
    ben = await crew.joined("ben")
    clock.advance(24 * 3600)
    assert await crew.db.run(operations.expire_due) == 1
    for one in (first, second):
        with pytest.raises(Refused, match="waits for nobody's approval"):
            await crew.approve(one, ben)


async def test_who_could_approve_gets_a_letter(crew: Team) -> None:
    await crew.joined("ben")
    await crew.joined("vera", Role.VIEWER)
    crew.world.desk = replace(crew.world.desk, sends_mail=True)
    await crew.prepare(await crew.refunder.paid(), crew.owner)
    async with crew.db.read() as tx:
        letters = await tx.fetch("SELECT email, body FROM notices")
    assert [one["email"] for one in letters] == ["ben@example.com"]
    assert text(OTHER) in letters[0]["body"]
