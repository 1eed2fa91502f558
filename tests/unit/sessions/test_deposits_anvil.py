"""Deposits on a real chain with the real contracts, the executor and a database: every trouble on
the way, and where the money is afterwards."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from gstable_server.chain import orders
from gstable_server.chain.deposits import recover_call
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import IntentView, Sender, State
from gstable_server.chain.executor.node import HttpNode, open_node
from gstable_server.chain.executor.runner import Limits, Runner
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.keys import address_of_key
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import OrderSigner, PaymentOrder
from gstable_server.chain.rpc import NodeRefused
from gstable_server.chain.signer import TxSigner
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.sessions.deposits import operations, watching
from gstable_server.sessions.deposits.model import Deposit
from gstable_server.sessions.model import Session
from tests.conftest import RELAYER_KEY
from tests.unit.sessions.world import World, new_world

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

NETWORK, TOKEN = "polygon", "polygon::usdc"
DUE, NET = 10_000_000, 9_980_000
ETHER = 10**18


@dataclass
class Till:
    """A merchant, a payer with tokens, the watch and the executor of one network."""

    world: World
    devnet: Devnet
    rpc: HttpRpc
    node: HttpNode
    payer: Wallet
    refund_to: Address

    def __post_init__(self) -> None:
        signer, limits = TxSigner(RELAYER_KEY), Limits()
        self.runner = Runner(self.db, self.network, Sender.RELAYER, signer, self.node, limits)

    @property
    def db(self) -> Database:
        return self.world.db

    @property
    def network(self) -> Network:
        return self.devnet.networks.network(NETWORK)

    async def open(self) -> tuple[Session, Deposit]:
        view = await self.world.open()
        opened, _ = await self.db.run(
            operations.open_deposit,
            self.world.desk,
            view.session.session_id,
            client_code=view.session.client_code,
            token_id=TOKEN,
            refund_to=self.refund_to,
            payer_email=None,
        )
        return view.session, opened.deposit

    async def send(self, deposit: Deposit, amount: int, symbol: str = "USDC") -> None:
        """The payer's plain transfer, mined."""
        [token] = [token for token in self.network.tokens if token.symbol == symbol]
        sent = await self.payer.transfer(token, deposit.address, amount)
        await self.devnet.mine(NETWORK)
        assert (await self.payer.wait(sent)).succeeded

    async def look(self) -> None:
        await watching.look(self.db, self.world.desk, self.network, self.rpc)

    async def work(self, until: Callable[[], Awaitable[bool]], seconds: float = 180) -> None:
        """Watch and send, with a block after each turn, until that is so."""
        deadline = time.monotonic() + seconds
        while not await until():
            assert time.monotonic() < deadline, [one.problem for one in await self.intents()]
            await self.turn()

    async def turn(self) -> None:
        await self.look()
        await self.runner.turn()
        await self.devnet.mine(NETWORK)
        await asyncio.sleep(0.1)

    async def intents(self) -> list[IntentView]:
        async with self.db.read() as tx:
            rows = await tx.fetch("SELECT cause FROM executor_intents ORDER BY sequence")
            found = [await executor.find(tx, row["cause"]) for row in rows]
        return [one for one in found if one is not None]

    async def states(self) -> list[tuple[str, State]]:
        return [(one.intent.purpose, one.state) for one in await self.intents()]

    async def balance(self, account: Address, symbol: str = "USDC") -> int:
        return await self.devnet.balance(NETWORK, account, symbol)

    def holds(self, account: Address, amount: int, symbol: str = "USDC") -> Awaitable[None]:
        async def there() -> bool:
            return await self.balance(account, symbol) == amount

        return self.work(there)


@pytest.fixture
async def till(devnet: Devnet, order_signer: OrderSigner, database_url: str) -> AsyncIterator[Till]:
    db = await Database.connect(database_url, clock=SystemClock(), ids=SystemIdMint(), size=5)
    world = await new_world(db)
    world.desk = replace(world.desk, networks=devnet.networks, signer=order_signer, relays=True)
    # A merchant of this test's own, so that balances begin at nothing.
    async with db.begin() as tx:
        await tx.execute("UPDATE receiving_accounts SET address = $1", os.urandom(20))
    network = devnet.networks.network(NETWORK)
    async with devnet.rpc(NETWORK) as rpc, open_node(network) as node:
        payer = Wallet(os.urandom(32), rpc, network.chain_id)
        await devnet.set_balance(NETWORK, payer.address, ETHER)
        await devnet.fund_all(NETWORK, [payer.address], {"USDC": 5 * DUE, "USDT": 5 * DUE})
        yield Till(world, devnet, rpc, node, payer, Address(os.urandom(20)))
        await devnet.set_balance(NETWORK, address_of_key(RELAYER_KEY), 1000 * ETHER)
    await db.close()


def brief(till: Till, seconds: int) -> None:
    """Sessions from now on live that long, and their orders no longer."""
    lifetime = timedelta(seconds=seconds)
    till.world.desk = replace(till.world.desk, lifetime=lifetime, order_grace=timedelta(seconds=1))


async def test_a_transfer_becomes_the_payment(till: Till) -> None:
    session, deposit = await till.open()
    await till.look()
    assert await till.intents() == []
    await till.send(deposit, DUE)
    await till.holds(session.recipient, NET)
    assert await till.balance(deposit.address) == 0
    assert [purpose for purpose, _ in await till.states()] == ["sweep"]


async def test_a_transfer_that_a_reorganisation_took_back_costs_nothing(till: Till) -> None:
    session, deposit = await till.open()
    async with till.devnet.standing_still(NETWORK):
        await till.send(deposit, DUE)
        await till.look()
        await till.devnet.reorganise(NETWORK, 1)
        assert await till.balance(deposit.address) == 0
        # The rehearsal refuses it, turn after turn.
        for _ in range(3):
            await till.look()
            await till.runner.turn()
        [sent] = await till.intents()
        assert (sent.state, sent.tx_hash) == (State.QUEUED, None)
        assert sent.problem
    # The payer sends again, and the same collection goes on.
    await till.send(deposit, DUE)
    await till.holds(session.recipient, NET)
    assert [purpose for purpose, _ in await till.states()] == ["sweep"]


async def test_a_collection_that_a_reorganisation_took_back_is_made_again(till: Till) -> None:
    session, deposit = await till.open()
    await till.send(deposit, DUE)
    async with till.devnet.standing_still(NETWORK):
        await till.holds(session.recipient, NET)
        sent = await till.intents()
        await till.devnet.reorganise(NETWORK, 1)
    await till.holds(session.recipient, NET)

    async def is_final() -> bool:
        return await till.states() == [("sweep", State.FINAL)]

    await till.work(is_final)
    assert [one.intent.cause for one in await till.intents()] == [one.intent.cause for one in sent]
    assert await till.balance(session.recipient) == NET


async def test_a_relayer_without_gas_money_waits_for_it(till: Till) -> None:
    session, deposit = await till.open()
    await till.devnet.set_balance(NETWORK, address_of_key(RELAYER_KEY), 0)
    await till.send(deposit, DUE)
    for _ in range(3):
        await till.turn()
    [sent] = await till.intents()
    assert sent.state is State.QUEUED
    assert sent.problem
    assert await till.balance(deposit.address) == DUE
    await till.devnet.set_balance(NETWORK, address_of_key(RELAYER_KEY), 10 * ETHER)
    await till.holds(session.recipient, NET)


async def test_a_collection_that_was_not_mined_in_time_goes_back_instead(till: Till) -> None:
    brief(till, 12)
    session, deposit = await till.open()
    await till.devnet.set_balance(NETWORK, address_of_key(RELAYER_KEY), 0)
    await till.send(deposit, DUE)

    async def is_refused() -> bool:
        # The way back may be wanted in the same turn.
        return ("sweep", State.REFUSED) in await till.states()

    await till.work(is_refused)
    await till.devnet.set_balance(NETWORK, address_of_key(RELAYER_KEY), 10 * ETHER)
    await till.holds(till.refund_to, DUE)
    assert await till.balance(session.recipient) == 0
    assert [purpose for purpose, _ in await till.states()] == ["sweep", "recover"]


async def test_twice_and_the_wrong_token_and_the_coin_go_back(till: Till) -> None:
    brief(till, 20)
    session, deposit = await till.open()
    await till.send(deposit, DUE)
    await till.holds(session.recipient, NET)
    await till.send(deposit, DUE)
    await till.send(deposit, 3 * DUE, "USDT")
    coin = orders.ContractCall(deposit.address, b"", ETHER // 10)
    await till.payer.send(coin)
    await till.holds(till.refund_to, DUE)
    await till.holds(till.refund_to, 3 * DUE, "USDT")

    async def has_coin() -> bool:
        [answer] = await till.rpc.ask([("eth_getBalance", ["0x" + till.refund_to.hex(), "latest"])])
        return int(str(answer), 16) == ETHER // 10

    await till.work(has_coin)
    assert await till.balance(session.recipient) == NET


async def test_what_somebody_else_collected_first_is_no_loss(till: Till) -> None:
    session, deposit = await till.open()
    await till.send(deposit, DUE)
    await till.look()
    [staged] = await till.intents()
    # Anybody may send it: the call is public once it waits in a node's pool.
    await till.payer.wait(await till.payer.send(staged.intent.call))
    assert await till.balance(session.recipient) == NET
    for _ in range(3):
        await till.turn()
    [sent] = await till.intents()
    assert (sent.state, sent.tx_hash) == (State.QUEUED, None)


async def test_con_16_a_stolen_order_key_cannot_take_a_deposit(
    till: Till, order_signer: OrderSigner
) -> None:
    session, deposit = await till.open()
    await till.send(deposit, DUE)
    [token] = [token for token in till.network.tokens if token.symbol == "USDC"]
    thief = till.payer.address
    honest = PaymentOrder(
        session_key=session.session_key,
        merchant=session.recipient,
        token=token,
        merchant_amount=NET,
        fee_amount=DUE - NET,
        fee_receiver=till.world.desk.fee_receiver,
        deadline=deposit.terms.refundable_after,
    )
    collector = deposit.collector

    async def try_with(order: PaymentOrder, terms: bytes) -> None:
        signed = order_signer.sign(order, till.network)
        call = orders.collected_call(signed, deposit.address, collector, terms)
        await till.rpc.estimate_gas(thief, call.to, call.data, 0)

    encoded = deposit.terms.encoded
    for forged in (
        replace(honest, merchant=thief),
        replace(honest, fee_receiver=thief),
        replace(honest, session_key=bytes(32)),
    ):
        with pytest.raises(NodeRefused):
            await try_with(forged, encoded)
    with pytest.raises(NodeRefused):
        await try_with(
            replace(honest, merchant=thief), replace(deposit.terms, merchant=thief).encoded
        )
    early = recover_call(collector, deposit.terms, token.address)
    with pytest.raises(NodeRefused):
        await till.rpc.estimate_gas(thief, early.to, early.data, 0)
    # The order that the session was given is the one that works.
    await try_with(honest, encoded)
    await till.holds(session.recipient, NET)
