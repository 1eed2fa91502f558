"""One suite judges every rail, in front of the real contracts: what it quotes is accepted, what it
starts arrives to the unit, and what others have done already is not done again."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import anyio
import pytest

from gstable_server.chain.decode import Watches, decode, wanted
from gstable_server.chain.deployment import Actors
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.devnet_attester import Attester, open_attester
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.facts import (
    ChainLog,
    DeliveryLog,
    EscrowLog,
    EscrowWhat,
    HoldLog,
    HoldWhat,
    PaymentLog,
    RailName,
)
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.chain.orders import OrderSigner, RoutedOrder, SignedOrder, session_key
from gstable_server.chain.rails.assembly import RailSettings, rails_of
from gstable_server.chain.rails.attestation import HttpAttestationService
from gstable_server.chain.rails.cctp import CctpRail
from gstable_server.chain.rails.escrow import EscrowRail
from gstable_server.chain.rails.escrow_terms import FillAttestor
from gstable_server.chain.rails.hold import HoldRail, capture_call, hold_terms, void_call
from gstable_server.chain.rails.port import (
    RECOVER,
    Crossing,
    Done,
    Rail,
    RailQuote,
    RailRequest,
    Send,
    Wait,
)
from gstable_server.chain.rpc import NodeRefused
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds, from_unix_seconds
from gstable_server.plumbing.http_client import GuardedClient
from tests.conftest import ATTESTOR_KEY, CCTP_ATTESTER_KEY, RELAYER_KEY, SOLVER_KEY

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

MERCHANT_AMOUNT = 10_000_000
PAYER_PAYS = 10_060_000
ORDER_SECONDS = 900
STEPS_MAX = 20


@dataclass(frozen=True, slots=True)
class Case:
    rail: RailName
    paying: str
    settlement: str

    def __str__(self) -> str:
        return f"{self.rail}: {self.paying} to {self.settlement}"


CASES = (
    Case(RailName.SWAP, "polygon::usdc", "polygon::usdt"),
    Case(RailName.SWAP, "ethereum::usdt", "ethereum::usdc"),
    Case(RailName.CCTP, "polygon::usdc", "base::usdc"),
    Case(RailName.CCTP, "base::usdc", "ethereum::usdc"),
    Case(RailName.ESCROW, "polygon::usdt", "base::usdc"),
    Case(RailName.ESCROW, "base::usdc", "arbitrumone::usdt"),
    Case(RailName.HOLD, "polygon::usdt", "polygon::usdt"),
)
CROSSING = tuple(case for case in CASES if case.rail in (RailName.CCTP, RailName.ESCROW))


class World:
    """The local chains, every rail, and whoever acts for the server."""

    def __init__(self, devnet: Devnet, signer: OrderSigner, chains: dict[str, HttpRpc]) -> None:
        self.devnet = devnet
        self.networks = devnet.networks
        self.chains = chains
        self.rails: tuple[Rail, ...] = ()
        self.attester: Attester
        self.merchant = Address(os.urandom(20))
        self.fee_receiver = Address(os.urandom(20))
        self.payers: dict[str, Wallet] = {}
        self._signer = signer

    def rail(self, name: RailName) -> Rail:
        [rail] = [rail for rail in self.rails if rail.name is name]
        return rail

    def network(self, token_id: str) -> Network:
        return self.networks.network(token_id.split("::")[0])

    def token(self, token_id: str) -> Token:
        [token] = [each for each in self.network(token_id).tokens if each.token_id == token_id]
        return token

    def request(self, case: Case) -> RailRequest:
        return RailRequest(
            paying=self.token(case.paying),
            source=self.network(case.paying),
            settlement=self.token(case.settlement),
            destination=self.network(case.settlement),
            payer_pays=PAYER_PAYS,
            merchant_amount=MERCHANT_AMOUNT,
        )

    async def now(self, network: Network) -> int:
        chain = self.chains[network.name]
        header, _ = await chain.block_and_next(await chain.block_number())
        return header.timestamp

    async def wait_until(self, network: Network, second: int) -> None:
        """The chains are shared: their time is not turned forward."""
        while await self.now(network) < second:
            await anyio.sleep(0.2)

    async def balance(self, account: Address, token: Token) -> int:
        return await self.devnet.balance(token.network, account, token.symbol)

    async def order(self, rail: Rail, request: RailRequest, seconds: int) -> SignedOrder:
        deadline = UnixSeconds(await self.now(request.source) + seconds)
        quoted = rail.quote(request)
        assert quoted is not None
        terms = rail.start(request, deadline)
        order = RoutedOrder(
            session_key=session_key(os.urandom(8).hex()),
            merchant=self.merchant,
            token=request.paying,
            amount=quoted.amount,
            fee_amount=request.payer_pays - quoted.amount,
            fee_receiver=self.fee_receiver,
            deadline=deadline,
            rail=terms.address,
            settlement=request.settlement,
            merchant_amount=request.merchant_amount,
            rail_data=terms.data,
        )
        return self._signer.sign(order, request.source)

    async def pay(
        self, rail: Rail, request: RailRequest, seconds: int = ORDER_SECONDS
    ) -> PaymentLog:
        """A new payer pays; what the router told."""
        network = request.source
        payer = Wallet(os.urandom(32), self.chains[network.name], network.chain_id)
        self.payers[network.name] = payer
        await self.devnet.set_balance(network.name, payer.address, 10**18)
        await self.devnet.fund(
            network.name, payer.address, request.paying.symbol, request.payer_pays
        )
        signed = await self.order(rail, request, seconds)
        tx_hash = await payer.pay_by_approval(signed)
        await self.devnet.mine(network.name)
        logs = await self.told(network, payer, tx_hash)
        [payment] = [log for log in logs if isinstance(log, PaymentLog)]
        return payment

    async def told(self, network: Network, wallet: Wallet, tx_hash: bytes) -> list[ChainLog]:
        """What a mined transaction tells."""
        receipt = await wallet.wait(tx_hash)
        assert receipt.succeeded
        chain = self.chains[network.name]
        header, _ = await chain.block_and_next(receipt.block_number)
        logs = await chain.logs_of_block(header.hash, wanted(network, Watches()))
        decoded = decode(network, header, logs, self.rails, Watches())
        return [log for log in decoded.logs if log.tx_hash == tx_hash]

    def crossing(self, payment: PaymentLog) -> Crossing:
        destination = self.networks.at_chain(payment.settlement_chain_id)
        assert destination is not None
        return Crossing(payment, self.networks.network(payment.network), destination, True)

    async def send(self, step: Send, key: bytes | None = None) -> list[ChainLog]:
        """Do what a rail asked for; ``key`` lets somebody else do it."""
        network = self.networks.network(step.network)
        ours = RELAYER_KEY if step.sender is Sender.RELAYER else SOLVER_KEY
        wallet = Wallet(key or ours, self.chains[step.network], network.chain_id)
        tx_hash = await wallet.send(step.call)
        await self.devnet.mine(step.network)
        return await self.told(network, wallet, tx_hash)

    async def step(self, rail: Rail, crossing: Crossing) -> Crossing:
        """Ask for the next step, do it, and look at what it told."""
        step = await rail.finish(crossing)
        assert isinstance(step, Send), step
        for log in await self.send(step):
            crossing = self.after(rail, crossing, log)
        return crossing

    def after(self, rail: Rail, crossing: Crossing, log: ChainLog) -> Crossing:
        if isinstance(log, DeliveryLog):
            assert rail.delivers(crossing.payment, log)
            return replace(crossing, delivery=log, delivery_final=True)
        if isinstance(log, EscrowLog):
            return replace(crossing, released=log.what is EscrowWhat.RELEASED)
        return crossing

    async def finish(self, rail: Rail, payment: PaymentLog) -> Crossing:
        """Go on until nothing is left to do."""
        crossing = self.crossing(payment)
        for _ in range(STEPS_MAX):
            if isinstance(await rail.finish(crossing), Done):
                return crossing
            crossing = await self.step(rail, crossing)
        raise AssertionError("the rail never ends")


@pytest.fixture
async def world(devnet: Devnet, order_signer: OrderSigner, actors: Actors) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        names = [network.name for network in devnet.networks.all]
        chains = {name: await stack.enter_async_context(devnet.rpc(name)) for name in names}
        world = World(devnet, order_signer, chains)
        port = devnet.attestation_port
        world.attester = await stack.enter_async_context(
            open_attester(devnet.networks, CCTP_ATTESTER_KEY, port)
        )
        http = await stack.enter_async_context(GuardedClient(allow_loopback=True))
        settings = RailSettings(
            fee_receiver=world.fee_receiver,
            operator=actors.relayer,
            solver=actors.solver,
            attestor=FillAttestor(ATTESTOR_KEY),
        )
        world.rails = rails_of(devnet.networks, chains, HttpAttestationService(http), settings)
        yield world


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_is_paid_arrives_to_the_unit(world: World, case: Case) -> None:
    rail, request = world.rail(case.rail), world.request(case)
    assert rail.serves(request.source, request.paying, request.destination, request.settlement)
    quoted = rail.quote(request)
    assert quoted is not None
    fee = PAYER_PAYS - quoted.amount
    payment = await world.pay(rail, request)
    assert (payment.rail, payment.merchant_amount) == (case.rail, MERCHANT_AMOUNT)
    assert payment.fee_received == fee == await world.balance(world.fee_receiver, request.paying)
    payer = world.payers[request.source.name]
    assert payment.amount == PAYER_PAYS - fee - await world.balance(payer.address, request.paying)

    crossing = await world.finish(rail, payment)

    arrived = 0 if case.rail is RailName.HOLD else MERCHANT_AMOUNT
    assert await world.balance(world.merchant, request.settlement) == arrived
    if case in CROSSING:
        assert crossing.delivery is not None
        assert (crossing.delivery.rail, crossing.delivery.amount) == (case.rail, MERCHANT_AMOUNT)
        assert crossing.delivery.session_key == payment.session_key
        assert crossing.delivery.source_chain_id == request.source.chain_id


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_terms_are_the_same_for_the_same_request(world: World, case: Case) -> None:
    rail, request = world.rail(case.rail), world.request(case)
    deadline = UnixSeconds(2_000_000_000)
    assert rail.quote(request) == rail.quote(request)
    assert rail.start(request, deadline) == rail.start(request, deadline)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_no_rail_serves_the_way_of_another(world: World, case: Case) -> None:
    request = world.request(case)
    served = [
        rail.name
        for rail in world.rails
        if rail.serves(request.source, request.paying, request.destination, request.settlement)
    ]
    # USDC between networks can go both ways; the first is taken.
    assert served[0] is case.rail
    assert set(served) <= {case.rail, RailName.ESCROW}


@pytest.mark.parametrize("case", CROSSING, ids=str)
async def test_what_somebody_else_did_is_waited_for_and_not_repeated(
    world: World, case: Case
) -> None:
    rail = world.rail(case.rail)
    payment = await world.pay(rail, world.request(case))
    crossing = world.crossing(payment)
    step = await rail.finish(crossing)
    assert isinstance(step, Send)
    [delivery] = [log for log in await world.send(step) if isinstance(log, DeliveryLog)]

    assert isinstance(await rail.finish(crossing), Wait)
    with pytest.raises(NodeRefused):
        await world.send(step)
    assert rail.delivers(payment, delivery)
    other = replace(payment, session_key=bytes(32))
    assert not rail.delivers(other, delivery)
    assert not rail.delivers(replace(payment, rail=None), delivery)


async def test_a_burn_waits_for_its_attestation(world: World) -> None:
    rail = world.rail(RailName.CCTP)
    payment = await world.pay(rail, world.request(CROSSING[0]))
    unknown = replace(payment, tx_hash=os.urandom(32))
    step = await rail.finish(world.crossing(unknown))
    assert step == Wait("the attestation service does not know the burn yet")
    other = replace(payment, merchant=Address(os.urandom(20)))
    step = await rail.finish(world.crossing(other))
    assert step == Wait("the attestation service knows other messages of the transaction only")


async def test_a_fast_burn_costs_at_most_what_was_signed(world: World) -> None:
    world.attester.fast_fee_basis_points = 1
    request = world.request(CROSSING[0])
    assert request.source.cctp is not None
    fast = replace(request.source.cctp, finality_threshold=1000, max_fee_ppm=200)
    source = replace(request.source, cctp=fast)
    others = [each for each in world.networks.all if each.name != source.name]
    async with GuardedClient(allow_loopback=True) as http:
        attestations = HttpAttestationService(http)
        rail = CctpRail(Networks((source, *others)), world.chains, attestations)
        payment = await world.pay(rail, replace(request, source=source))
        crossing = await world.finish(rail, payment)
    assert crossing.delivery is not None
    fee = -(-payment.amount // 10_000)
    assert payment.amount == 10_002_001, "the merchant's amount and the largest fee"
    assert (crossing.delivery.fee, crossing.delivery.amount) == (fee, payment.amount - fee)
    assert await world.balance(world.merchant, request.settlement) == payment.amount - fee
    assert payment.amount - fee > MERCHANT_AMOUNT


async def test_an_escrow_is_filled_only_for_a_payment_that_stays(world: World) -> None:
    rail = world.rail(RailName.ESCROW)
    payment = await world.pay(rail, world.request(CROSSING[2]))
    crossing = world.crossing(payment)
    step = await rail.finish(replace(crossing, source_final=False))
    assert step == Wait("the payment is not final yet")
    filled = await world.step(rail, crossing)
    step = await rail.finish(replace(filled, delivery_final=False))
    assert step == Wait("the fill is not final yet")
    released = await rail.finish(filled)
    assert isinstance(released, Send)
    await world.send(released)
    assert await rail.finish(filled) == Wait("released; the block is being read")


async def test_an_unfilled_escrow_goes_back_to_its_payer(world: World) -> None:
    rail = EscrowRail(world.networks, world.chains, fill_seconds=1, reclaim_seconds=1)
    request = world.request(CROSSING[2])
    payment = await world.pay(rail, request, seconds=4)
    crossing = world.crossing(payment)
    assert rail.recover(crossing, from_unix_seconds(await world.now(request.source))) is None
    reclaim_after = int.from_bytes(payment.rail_data[32:], "big")
    await world.wait_until(request.source, reclaim_after)
    await world.wait_until(request.destination, reclaim_after)
    now = from_unix_seconds(await world.now(request.source))
    step = await world.rail(RailName.ESCROW).finish(crossing)
    assert isinstance(step, Send)
    assert (step.purpose, step.call) == (RECOVER, rail.recover(crossing, now))

    # It is open to anybody.
    stranger = os.urandom(32)
    wallet = Wallet(stranger, world.chains[request.source.name], request.source.chain_id)
    await world.devnet.set_balance(request.source.name, wallet.address, 10**18)
    [log] = await world.send(step, stranger)

    payer = world.payers[request.source.name]
    assert isinstance(log, EscrowLog)
    assert (log.what, log.receiver) == (EscrowWhat.RECLAIMED, payer.address)
    assert log.amount == payment.amount == await world.balance(payer.address, request.paying)
    # What is given back is not given twice.
    assert isinstance(await world.rail(RailName.ESCROW).finish(crossing), Wait)


async def test_con_16_a_thief_of_the_signer_s_key_gets_nothing_of_the_solver_s(
    world: World,
) -> None:
    """The router pays what our key signed; the solver looks for itself what it is worth."""
    thief = _GenerousRail(world.networks, world.chains)
    request = replace(world.request(CROSSING[2]), payer_pays=10_050)
    cheap = await world.pay(thief, request)
    assert (cheap.amount, cheap.merchant_amount) == (10_000, MERCHANT_AMOUNT)
    step = await world.rail(RailName.ESCROW).finish(world.crossing(cheap))
    assert step == Wait("the escrow is worth less than the fill")


class _GenerousRail(EscrowRail):
    """Its orders promise much for nothing, as none of this server does."""

    def quote(self, request: RailRequest) -> RailQuote:
        return RailQuote(10_000)


async def test_a_hold_is_captured_in_parts_voided_and_read(world: World, actors: Actors) -> None:
    rail = world.rail(RailName.HOLD)
    request = world.request(CASES[-1])
    payment = await world.pay(rail, request)
    assert (payment.amount, payment.merchant_received) == (PAYER_PAYS, 0)
    chain, network = world.chains[request.source.name], request.source
    operator = Wallet(RELAYER_KEY, chain, network.chain_id)
    logs: list[ChainLog] = []
    for call in (
        capture_call(network, payment.session_key, 4_000_000),
        capture_call(network, payment.session_key, 1),
        void_call(network, payment.session_key),
    ):
        if call.data.endswith((1).to_bytes(32, "big")):
            with pytest.raises(NodeRefused):
                await operator.send(call)
            continue
        tx_hash = await operator.send(call)
        await world.devnet.mine(network.name)
        logs += await world.told(network, operator, tx_hash)
    captured, voided = logs
    assert isinstance(captured, HoldLog)
    assert isinstance(voided, HoldLog)
    assert (captured.what, captured.receiver) == (HoldWhat.CAPTURED, world.merchant)
    assert (captured.merchant_received, captured.fee_received) == (3_992_000, 8_000)
    assert captured.remaining == voided.amount == PAYER_PAYS - 4_000_000
    assert (voided.what, voided.receiver) == (HoldWhat.VOIDED, payment.payer)
    assert await world.balance(world.merchant, request.paying) == 3_992_000
    assert await world.balance(payment.payer, request.paying) == PAYER_PAYS - 4_000_000


async def test_an_uncaptured_hold_goes_back_to_its_payer(world: World) -> None:
    rail = HoldRail(fee_ppm=0, fee_receiver=world.fee_receiver, capture_seconds=1)
    request = world.request(CASES[-1])
    payment = await world.pay(rail, request, seconds=4)
    crossing = world.crossing(payment)
    assert rail.recover(crossing, from_unix_seconds(await world.now(request.source))) is None
    await world.wait_until(request.source, hold_terms(payment.rail_data).capture_before)
    call = rail.recover(crossing, from_unix_seconds(await world.now(request.source)))
    assert call is not None
    wallet = Wallet(RELAYER_KEY, world.chains[request.source.name], request.source.chain_id)
    tx_hash = await wallet.send(call)
    await world.devnet.mine(request.source.name)
    [log] = await world.told(request.source, wallet, tx_hash)
    assert isinstance(log, HoldLog)
    assert (log.what, log.amount) == (HoldWhat.RECLAIMED, PAYER_PAYS)
    assert await world.balance(payment.payer, request.paying) == PAYER_PAYS
