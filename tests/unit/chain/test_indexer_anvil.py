"""The indexer in front of a real node: payments, reorganisations, and a node that hangs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gstable_server.chain import abi
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.facts import (
    Fact,
    FactWhat,
    HoldLog,
    HoldWhat,
    LogKind,
    PaymentLog,
    RailName,
    TransferLog,
)
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.indexer import Indexer, Step
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.operations import watch_transfer
from gstable_server.chain.orders import (
    ContractCall,
    OrderSigner,
    PaymentOrder,
    RoutedOrder,
    approve_call,
    pay_call,
    route_call,
    session_key,
)
from gstable_server.chain.rails.hold import HoldRail, capture_call, void_call
from gstable_server.chain.rails.port import RailRequest
from gstable_server.chain.wallet import Wallet
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.plumbing.db import Database
from tests.unit.chain.indexing import steps_of

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

MERCHANT, FEE_RECEIVER = Address(b"\xaa" * 20), Address(b"\xfe" * 20)
FAR_FUTURE = UnixSeconds(4_000_000_000)


@pytest.fixture
async def rpc(devnet: Devnet) -> AsyncIterator[HttpRpc]:
    async with devnet.rpc("polygon") as rpc:
        yield rpc


@pytest.fixture
async def network(devnet: Devnet, rpc: HttpRpc) -> AsyncIterator[Network]:
    """Read from here on, as other tests use the same chain; it grows only when told to."""
    async with devnet.standing_still("polygon"):
        await devnet.mine("polygon")
        head = await rpc.block_number()
        yield replace(devnet.networks.network("polygon"), start_block=head, confirmations=12)


class Payer:
    """Pays with a wallet of its own, and can send the same transaction again."""

    def __init__(self, devnet: Devnet, network: Network, rpc: HttpRpc, signer: OrderSigner) -> None:
        self._devnet = devnet
        self._network = network
        self._rpc = rpc
        self._signer = signer
        self._wallet = Wallet(os.urandom(32), rpc, network.chain_id)

    @property
    def address(self) -> Address:
        return self._wallet.address

    async def pay(self, symbol: str) -> tuple[bytes, bytes]:
        """Pay a new session; its key and the raw transaction."""
        token = self._token(symbol)
        key = session_key(os.urandom(8).hex())
        order = PaymentOrder(key, MERCHANT, token, 10_000_000, 20_000, FEE_RECEIVER, FAR_FUTURE)
        await self._provide(token, order.total)
        await self.call(approve_call(token, self._network.router, order.total))
        return key, await self.call(pay_call(self._signer.sign(order, self._network)))

    async def hold(self, symbol: str, rail: HoldRail, deadline: UnixSeconds) -> bytes:
        """Authorize a payment for a new session, to be captured later; the session's key."""
        token = self._token(symbol)
        key = session_key(os.urandom(8).hex())
        request = RailRequest(token, self._network, token, self._network, 10_000_000, 9_900_000)
        terms = rail.start(request, deadline)
        order = RoutedOrder(
            session_key=key,
            merchant=MERCHANT,
            token=token,
            amount=10_000_000,
            fee_amount=0,
            fee_receiver=FEE_RECEIVER,
            deadline=deadline,
            rail=terms.address,
            settlement=token,
            merchant_amount=9_900_000,
            rail_data=terms.data,
        )
        await self._provide(token, order.total)
        await self.call(approve_call(token, self._network.router, order.total))
        await self.call(route_call(self._signer.sign(order, self._network)))
        return key

    async def transfer(self, symbol: str, amount: int) -> None:
        """Give the merchant tokens, past the router."""
        token = self._token(symbol)
        await self._provide(token, amount)
        words = abi.address_word(MERCHANT), abi.number_word(amount)
        await self.call(ContractCall(token.address, abi.call_data(abi.TRANSFER, *words)))

    async def call(self, call: ContractCall) -> bytes:
        """Send ``call`` and mine it; the raw transaction."""
        raw = self._wallet.sign(
            call,
            nonce=await self._rpc.transaction_count(self._wallet.address),
            gas=600_000,
            fee=10**11,
        )
        await self.send(raw)
        return raw

    def _token(self, symbol: str) -> Token:
        [token] = [each for each in self._network.tokens if each.symbol == symbol]
        return token

    async def _provide(self, token: Token, amount: int) -> None:
        await self._devnet.set_balance("polygon", self._wallet.address, 10**18)
        await self._devnet.fund("polygon", self._wallet.address, token.symbol, amount)

    async def send(self, raw: bytes) -> None:
        tx_hash = await self._rpc.send_raw(raw)
        await self._devnet.mine("polygon")
        receipt = await self._rpc.receipt(tx_hash)
        assert receipt is not None
        assert receipt.succeeded


@pytest.fixture
def payer(devnet: Devnet, network: Network, rpc: HttpRpc, order_signer: OrderSigner) -> Payer:
    return Payer(devnet, network, rpc, order_signer)


async def kinds(database: Database, key: bytes) -> list[FactWhat]:
    async with database.read() as tx:
        rows = await tx.fetch(
            "SELECT what, body FROM chain_facts WHERE body ->> 'sessionKey' = $1"
            " ORDER BY fact_number",
            "0x" + key.hex(),
        )
    return [step.what for step in steps_of(rows)]


async def told(database: Database, kind: LogKind) -> list[Fact]:
    async with database.read() as tx:
        rows = await tx.fetch(
            "SELECT what, body FROM chain_facts WHERE kind = $1 ORDER BY fact_number", kind.value
        )
    return steps_of(rows)


async def drain(indexer: Indexer) -> None:
    for _ in range(1000):
        if await indexer.converge() is Step.NOTHING_NEW:
            return
    raise AssertionError("does not converge")


@pytest.mark.parametrize("symbol", ["USDC", "USDT"])
async def test_payment_on_a_real_chain_is_seen_and_final(
    database: Database,
    devnet: Devnet,
    network: Network,
    rpc: HttpRpc,
    payer: Payer,
    symbol: str,
) -> None:
    indexer = Indexer(database, network, [rpc], ())
    key, _ = await payer.pay(symbol)
    await drain(indexer)
    assert await kinds(database, key) == [FactWhat.SEEN]
    await devnet.mine("polygon", 12)
    await drain(Indexer(database, network, [rpc], ()))
    assert await kinds(database, key) == [FactWhat.SEEN, FactWhat.FINAL]
    async with database.read() as tx:
        body = await tx.fetchval("SELECT body FROM chain_facts LIMIT 1")
    assert (body["merchantReceived"], body["feeReceived"]) == ("10000000", "20000")
    assert body["merchant"] == "0x" + MERCHANT.hex()


async def test_chn_16_reorganised_payment_comes_back_when_it_is_mined_again(
    database: Database, devnet: Devnet, network: Network, rpc: HttpRpc, payer: Payer
) -> None:
    indexer = Indexer(database, network, [rpc], ())
    key, raw = await payer.pay("USDC")
    await drain(indexer)
    await devnet.reorganise("polygon", 1)
    await drain(indexer)
    assert await kinds(database, key) == [FactWhat.SEEN, FactWhat.REORGED]
    await payer.send(raw)
    await devnet.mine("polygon", 12)
    await drain(indexer)
    assert await kinds(database, key) == [
        FactWhat.SEEN,
        FactWhat.REORGED,
        FactWhat.SEEN,
        FactWhat.FINAL,
    ]


async def test_chn_16_deep_reorganisation_drops_payments_that_are_lost_in_time(
    database: Database, devnet: Devnet, network: Network, rpc: HttpRpc, payer: Payer
) -> None:
    indexer = Indexer(database, network, [rpc], ())
    key, _ = await payer.pay("USDT")
    await devnet.mine("polygon", 5)
    await drain(indexer)
    await devnet.reorganise("polygon", 8)
    await drain(indexer)
    assert await kinds(database, key) == [FactWhat.SEEN, FactWhat.REORGED]
    await devnet.mine("polygon", 24)
    await drain(indexer)
    assert await kinds(database, key) == [FactWhat.SEEN, FactWhat.REORGED, FactWhat.LOST]
    async with database.read() as tx:
        rows = await tx.fetch("SELECT number, hash FROM chain_blocks ORDER BY number")
    headers = await rpc.blocks_by_number([row["number"] for row in rows])
    assert [row["hash"] for row in rows] == [header and header.hash for header in headers]


async def test_chn_15_node_that_hangs_is_waited_for(
    database: Database, devnet: Devnet, network: Network, payer: Payer
) -> None:
    async with open_rpc(network, timeout_seconds=0.5) as impatient:
        stop = asyncio.Event()
        key, _ = await payer.pay("USDC")
        task = asyncio.create_task(Indexer(database, network, [impatient], ()).run(stop))
        devnet.pause("polygon", paused=True)
        try:
            await asyncio.sleep(1.2)
            assert not task.done()
        finally:
            devnet.pause("polygon", paused=False)
        async with asyncio.timeout(60):
            while not await kinds(database, key):
                await asyncio.sleep(0.05)
        stop.set()
        await task


async def test_chn_19_catching_up_a_long_gap_reads_it_in_ranges(
    database: Database, devnet: Devnet, network: Network, rpc: HttpRpc, payer: Payer
) -> None:
    first, _ = await payer.pay("USDC")
    await devnet.mine("polygon", 150)
    second, _ = await payer.pay("USDC")
    await devnet.mine("polygon", 150)
    indexer = Indexer(database, replace(network, log_range=100), [rpc], ())
    await drain(indexer)
    for key in (first, second):
        assert await kinds(database, key) == [FactWhat.SEEN, FactWhat.FINAL]


async def test_hold_on_a_real_chain_is_told_from_the_authorization_to_the_rest(
    database: Database, devnet: Devnet, network: Network, rpc: HttpRpc, payer: Payer
) -> None:
    rail = HoldRail(fee_ppm=2000, fee_receiver=FEE_RECEIVER, operator=payer.address)
    indexer = Indexer(database, network, [rpc], (rail,))
    head, _ = await rpc.block_and_next(await rpc.block_number())
    key = await payer.hold("USDC", rail, UnixSeconds(head.timestamp + 3600))
    await payer.call(capture_call(network, key, 4_000_000))
    await payer.call(capture_call(network, key, 1_000_000))
    returned = await payer.call(void_call(network, key))
    await drain(indexer)
    [authorized] = [fact.log for fact in await told(database, LogKind.PAYMENT)]
    assert isinstance(authorized, PaymentLog)
    assert (authorized.rail, authorized.amount) == (RailName.HOLD, 10_000_000)
    assert (authorized.merchant_received, authorized.merchant_amount) == (0, 9_900_000)
    logs = [fact.log for fact in await told(database, LogKind.HOLD)]
    assert [
        (log.what, log.amount, log.merchant_received, log.fee_received, log.remaining)
        for log in logs
        if isinstance(log, HoldLog)
    ] == [
        (HoldWhat.CAPTURED, 4_000_000, 3_992_000, 8_000, 6_000_000),
        (HoldWhat.CAPTURED, 1_000_000, 998_000, 2_000, 5_000_000),
        (HoldWhat.VOIDED, 5_000_000, 0, 0, 0),
    ]
    assert {log.subject for log in (authorized, *logs)} == {f"polygon:0x{key.hex()}"}
    # The block of the void leaves the chain, and its transaction is mined again.
    await devnet.reorganise("polygon", 1)
    await drain(indexer)
    await payer.send(returned)
    await devnet.mine("polygon", 12)
    await drain(indexer)
    about = [f.what for f in await told(database, LogKind.HOLD) if f.log.key == logs[2].key]
    assert about == [FactWhat.SEEN, FactWhat.REORGED, FactWhat.SEEN, FactWhat.FINAL]


@pytest.mark.parametrize("symbol", ["USDC", "USDT"])
async def test_transfer_of_a_watched_sender_on_a_real_chain_is_told(
    database: Database,
    devnet: Devnet,
    network: Network,
    rpc: HttpRpc,
    payer: Payer,
    symbol: str,
) -> None:
    indexer = Indexer(database, network, [rpc], ())
    await payer.transfer(symbol, 3)
    await drain(indexer)
    async with database.begin() as tx:
        await watch_transfer(tx, "polygon", payer.address)
    await payer.transfer(symbol, 5)
    await devnet.mine("polygon", 120)
    await drain(Indexer(database, network, [rpc], ()))
    facts = await told(database, LogKind.TRANSFER)
    assert [fact.what for fact in facts] == [FactWhat.SEEN, FactWhat.FINAL]
    log = facts[0].log
    assert isinstance(log, TransferLog)
    assert (log.sender, log.receiver, log.amount) == (payer.address, MERCHANT, 5)
