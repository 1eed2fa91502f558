"""Every step of an escrow, and what the chains must say before it is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.checksum import address_from_text, to_checksum
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.facts import DeliveryLog, PaymentLog, RailName
from gstable_server.chain.rails.escrow import UNLIMITED, EscrowRail
from gstable_server.chain.rails.escrow_terms import (
    EscrowState,
    FillAttestor,
    escrow_of,
    escrow_terms,
)
from gstable_server.chain.rails.port import Crossing, Done, Send, Step, Wait
from gstable_server.chain.rpc import ProviderLied
from gstable_server.chain.testing import FakeChain, event_log
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import from_unix_seconds
from gstable_server.kernel.tenant import Mode
from tests.unit.chain.rails.crossings import (
    FAR,
    FILL_DEADLINE,
    MERCHANT,
    NEAR,
    NETWORKS,
    RECLAIM_AFTER,
    SESSION,
    SOLVER,
    address,
    chains,
    crossing,
    escrowed,
)

STRANGER = Address(b"\x66" * 20)
NEAR_ESCROW, FAR_ESCROW = address("near", "escrow"), address("far", "escrow")
PAYMENT = escrowed()
TERMS = escrow_terms(PAYMENT, NEAR_ESCROW)
ATTESTOR = FillAttestor(b"\x42" * 32)
USDC = FAR.tokens[0].address


class World:
    """The chains as they are when a payment has just become final."""

    def __init__(self) -> None:
        self.chains = chains()
        self.order_id = TERMS.order_id
        self.solver: Address | None = SOLVER
        self.attestor: FillAttestor | None = ATTESTOR
        self.filled_by(ZERO_ADDRESS)
        self.state(EscrowState.OPEN)
        self.funds(balance=10**9, allowance=10**9)
        self.listed(1)
        self.attests(1)

    @property
    def near(self) -> FakeChain:
        return self.chains["near"]

    @property
    def far(self) -> FakeChain:
        return self.chains["far"]

    def know(self, payment: PaymentLog) -> None:
        """An order of other terms is escrowed, too."""
        self.order_id = escrow_terms(payment, NEAR_ESCROW).order_id
        self.filled_by(ZERO_ADDRESS)
        self.state(EscrowState.OPEN)

    def filled_by(self, solver: Address) -> None:
        call = abi.call_data(rails_abi.FILLED_BY, self.order_id)
        self.far.returns[FAR_ESCROW, call] = abi.address_word(solver)

    def state(self, state: EscrowState, started_at: int = 2) -> None:
        words = [abi.number_word(each) for each in (1, started_at, 3, state, 5, 6, 7)]
        call = abi.call_data(rails_abi.ESCROWS, self.order_id)
        self.near.returns[NEAR_ESCROW, call] = b"".join(words)

    def funds(self, *, balance: int, allowance: int) -> None:
        account = abi.address_word(SOLVER)
        self.far.returns[USDC, abi.call_data(abi.BALANCE_OF, account)] = abi.number_word(balance)
        allowed = abi.call_data(abi.ALLOWANCE, account, abi.address_word(FAR_ESCROW))
        self.far.returns[USDC, allowed] = abi.number_word(allowance)

    def listed(self, since: int) -> None:
        call = abi.call_data(rails_abi.SOLVER_SINCE, abi.address_word(SOLVER))
        self.near.returns[NEAR_ESCROW, call] = abi.number_word(since)

    def attests(self, since: int) -> None:
        call = abi.call_data(rails_abi.ATTESTOR_SINCE, abi.address_word(ATTESTOR.address))
        self.near.returns[NEAR_ESCROW, call] = abi.number_word(since)

    def rail(self) -> EscrowRail:
        return EscrowRail(NETWORKS, self.chains, solver=self.solver, attestor=self.attestor)

    async def finish(self, of: Crossing) -> Step:
        return await self.rail().finish(of)


@pytest.fixture
def world() -> World:
    return World()


def delivery(order_id: bytes = TERMS.order_id) -> DeliveryLog:
    members = (order_id, SESSION, SOLVER, MERCHANT, USDC, 9_990_000, NEAR.chain_id)
    log = event_log(rails_abi.FILLED, FAR_ESCROW, b"\x99" * 32, *members)
    far = chains()["far"]
    header = far.mine_logs([log])
    found = EscrowRail(NETWORKS, {}).observe(FAR, header, far.blocks[-1].logs[0])
    assert isinstance(found, DeliveryLog)
    return found


def filled(*, final: bool = True, released: bool = False) -> Crossing:
    return replace(crossing(PAYMENT), delivery=delivery(), delivery_final=final, released=released)


@pytest.mark.anyio
async def test_final_payment_is_filled_by_the_solver(world: World) -> None:
    step = await world.finish(crossing(PAYMENT))
    assert isinstance(step, Send)
    assert (step.network, step.sender, step.purpose) == ("far", Sender.SOLVER, "fill")
    assert step.cause == f"fill:{PAYMENT.object_id}"
    assert step.call.to == FAR_ESCROW
    assert step.call.data == abi.call_data(rails_abi.FILL, TERMS.encoded)


@pytest.mark.anyio
async def test_payment_that_may_be_taken_back_is_not_filled(world: World) -> None:
    early = replace(crossing(PAYMENT), source_final=False)
    assert await world.finish(early) == Wait("the payment is not final yet")


@pytest.mark.anyio
async def test_filled_order_is_not_filled_again(world: World) -> None:
    world.filled_by(STRANGER)
    assert await world.finish(crossing(PAYMENT)) == Wait("filled; the block is being read")


@pytest.mark.anyio
@pytest.mark.parametrize("state", [EscrowState.NONE, EscrowState.RELEASED, EscrowState.RECLAIMED])
async def test_solver_pays_for_no_empty_escrow(world: World, state: EscrowState) -> None:
    world.state(state)
    assert await world.finish(crossing(PAYMENT)) == Wait(f"the escrow is {state.name.lower()}")


@pytest.mark.anyio
async def test_fill_must_be_in_time_by_the_chain_s_own_clock(world: World) -> None:
    world.far.mine(timestamp=FILL_DEADLINE - 1)
    assert isinstance(await world.finish(crossing(PAYMENT)), Send)
    world.far.mine(timestamp=FILL_DEADLINE)
    over = Wait("the time to fill is over; the payer can take the money back")
    assert await world.finish(crossing(PAYMENT)) == over


@pytest.mark.anyio
async def test_without_a_solver_or_its_money_somebody_else_may_fill(world: World) -> None:
    world.funds(balance=PAYMENT.merchant_amount - 1, allowance=10**9)
    poor = Wait("the solver has too little of the merchant's token")
    assert await world.finish(crossing(PAYMENT)) == poor
    world.solver = None
    step = await world.finish(crossing(PAYMENT))
    assert step == Wait("no solver is configured here; another one may fill")


@pytest.mark.anyio
async def test_con_16_solver_does_not_pay_on_a_stolen_signer_s_word(world: World) -> None:
    refused = Wait("the escrow is worth less than the fill")
    dear = replace(PAYMENT, merchant_amount=PAYMENT.amount)
    unknown = address("near", "thief's token")
    testnet = replace(crossing(PAYMENT), source=replace(NEAR, mode=Mode.LIVE))
    for payment in (replace(dear, merchant_amount=dear.amount + 1), replace(dear, token=unknown)):
        world.know(payment)
        assert await world.finish(crossing(payment)) == refused
    world.know(dear)
    assert isinstance(await world.finish(crossing(dear)), Send)
    assert await world.finish(testnet) == refused


@pytest.mark.anyio
async def test_solver_pays_only_where_it_is_paid_back(world: World) -> None:
    refused = Wait("the escrow would not pay the solver back: see who is listed there")
    for since in (0, 2, 3):
        world.listed(since)
        assert await world.finish(crossing(PAYMENT)) == refused
    world.listed(1)
    for since in (0, 2, 3):
        world.attests(since)
        assert await world.finish(crossing(PAYMENT)) == refused
    world.attestor = None
    assert isinstance(await world.finish(crossing(PAYMENT)), Send), "others prove it"


@pytest.mark.anyio
async def test_escrow_that_nobody_filled_is_given_back(world: World) -> None:
    world.solver = None
    world.far.mine(timestamp=RECLAIM_AFTER)
    world.near.mine(timestamp=RECLAIM_AFTER - 1)
    over = Wait("the time to fill is over; the payer can take the money back")
    assert await world.finish(crossing(PAYMENT)) == over
    world.near.mine(timestamp=RECLAIM_AFTER)
    step = await world.finish(crossing(PAYMENT))
    assert isinstance(step, Send)
    assert (step.network, step.sender, step.purpose) == ("near", Sender.RELAYER, "recover")
    assert step.cause == f"recover:{PAYMENT.object_id}"
    assert step.call.data == abi.call_data(rails_abi.ESCROW_RECLAIM, TERMS.order_id)
    world.state(EscrowState.RECLAIMED)
    assert await world.finish(crossing(PAYMENT)) == over
    # A fill that nobody has told us of yet: the money is the solver's.
    world.state(EscrowState.OPEN)
    world.filled_by(STRANGER)
    assert await world.finish(crossing(PAYMENT)) == Wait("filled; the block is being read")


@pytest.mark.anyio
@pytest.mark.parametrize(("allowance", "approved"), [(0, UNLIMITED), (9_989_999, 0)])
async def test_allowance_comes_before_the_fill(world: World, allowance: int, approved: int) -> None:
    world.funds(balance=10**9, allowance=allowance)
    step = await world.finish(crossing(PAYMENT))
    assert isinstance(step, Send)
    assert (step.network, step.sender, step.purpose) == ("far", Sender.SOLVER, "approve")
    assert step.call.to == USDC
    assert step.call.data == abi.call_data(
        abi.APPROVE, abi.address_word(FAR_ESCROW), abi.number_word(approved)
    )
    assert step.cause.endswith(f":{allowance}")


@pytest.mark.anyio
async def test_final_fill_is_proven_to_the_source(world: World) -> None:
    step = await world.finish(filled())
    assert isinstance(step, Send)
    assert (step.network, step.sender, step.purpose) == ("near", Sender.RELAYER, "release")
    assert (step.call.to, step.cause) == (NEAR_ESCROW, f"release:{PAYMENT.object_id}")
    proof = ATTESTOR.prove(TERMS, SOLVER)
    assert step.call.data == abi.call_data(
        rails_abi.RELEASE, TERMS.order_id, abi.address_word(SOLVER), abi.Dynamic(proof)
    )


@pytest.mark.anyio
async def test_release_waits_for_what_it_needs(world: World) -> None:
    assert await world.finish(filled(final=False)) == Wait("the fill is not final yet")
    world.listed(0)
    assert await world.finish(filled()) == Wait("the solver who filled is not listed")
    world.attestor = None
    missing = Wait("no attestor is configured here; another one may prove the fill")
    assert await world.finish(filled()) == missing
    world.state(EscrowState.RELEASED)
    assert await world.finish(filled()) == Wait("released; the block is being read")


@pytest.mark.anyio
async def test_released_or_reclaimed_escrow_needs_nothing(world: World) -> None:
    assert await world.finish(filled(released=True)) == Done()
    world.state(EscrowState.RECLAIMED)
    assert await world.finish(filled()) == Done()


def test_proof_is_what_another_implementation_signs() -> None:
    data = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "FillProof": [
                {"name": "orderId", "type": "bytes32"},
                {"name": "solver", "type": "address"},
            ],
        },
        "primaryType": "FillProof",
        "domain": {
            "name": "GStable EscrowRail",
            "version": "1",
            "chainId": NEAR.chain_id,
            "verifyingContract": to_checksum(NEAR_ESCROW),
        },
        "message": {"orderId": TERMS.order_id, "solver": to_checksum(SOLVER)},
    }
    message = encode_typed_data(full_message=data)
    recovered = Account.recover_message(message, signature=ATTESTOR.prove(TERMS, SOLVER))
    assert address_from_text(recovered) == ATTESTOR.address


def test_delivery_is_of_its_own_payment_only(world: World) -> None:
    rail = world.rail()
    assert rail.delivers(PAYMENT, delivery())
    # Anybody may fill invented terms that name the session.
    assert not rail.delivers(PAYMENT, delivery(b"\x0d" * 32))
    for other in (
        replace(PAYMENT, amount=PAYMENT.amount + 1),
        replace(PAYMENT, merchant=STRANGER),
        replace(PAYMENT, payer=STRANGER),
        replace(PAYMENT, merchant_amount=1),
        replace(PAYMENT, settlement_chain_id=5),
        replace(PAYMENT, session_key=bytes(32)),
        replace(PAYMENT, network="gone"),
        replace(PAYMENT, rail=RailName.CCTP),
    ):
        assert not rail.delivers(other, delivery())


def test_payer_can_reclaim_from_the_second_on(world: World) -> None:
    rail = world.rail()
    before, after = from_unix_seconds(RECLAIM_AFTER - 1), from_unix_seconds(RECLAIM_AFTER)
    assert rail.recover(crossing(PAYMENT), before) is None
    assert rail.recover(filled(), after) is None
    call = rail.recover(crossing(PAYMENT), after)
    assert call is not None
    assert call.to == NEAR_ESCROW
    assert call.data == abi.call_data(rails_abi.ESCROW_RECLAIM, TERMS.order_id)


@pytest.mark.parametrize("returned", [b"", bytes(6 * 32), bytes(3 * 32) + b"\xff" * 32 * 4])
def test_answer_that_is_no_escrow_is_a_lie(returned: bytes) -> None:
    with pytest.raises(ProviderLied):
        escrow_of(returned)
