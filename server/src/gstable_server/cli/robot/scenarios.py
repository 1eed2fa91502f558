"""What can happen to a session, made to happen: real transactions, real reorganisations of the
local chains, real delays. Nothing is told to the server that it does not find out by itself.

Each scenario asks for the session's state first and plays on an open one only. A process that dies
within one leaves a session where any payer could have left it; played again, nothing is paid
twice: the contract refuses a session's second payment on its network, and a deposit address that
holds money is sent no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gstable import CheckoutSession
from gstable_server.chain.checksum import address_from_text, to_checksum
from gstable_server.chain.devnet_controls import (
    ControlFailed,
    delay_transfer,
    is_local,
    mine_waiting,
    slowed,
    take_back,
)
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import ContractCall, session_key
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.payer import Payer, PaymentFailed, Prepared, token_balance
from gstable_server.cli.robot.stage import RobotFailed, Stage
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode

PRICE = 10_000_000
"""Micro-USD of a session that a scenario opens for itself."""
PAYER_EMAIL = "payer@example.com"
STEP_SECONDS = 180.0
LOOK_SECONDS = 0.2
YEAR_SECONDS = 365 * 24 * 3600
STALL_MARGIN_SECONDS = 60
"""What a payment takes to be sent and final, before its rail's time begins to count."""


class Scenario(StrEnum):
    """What can be played."""

    PAID = "paid"
    COMPLETED = "completed"
    CROSSED = "crossed"
    SHORT = "short"
    OVER = "over"
    LATE = "late"
    REORGED = "reorged"
    SETTLEMENT_DELAYED = "settlement_delayed"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    CAPTURED = "captured"
    VOIDED = "voided"


HELD = frozenset({Scenario.CAPTURED, Scenario.VOIDED})
"""What only a session with manual capture can come to."""


@dataclass(frozen=True, slots=True)
class Played:
    """What was done: ``tx_hash_hex`` is the transaction that did it, None where none was sent."""

    scenario: Scenario
    session_id: str
    tx_hash_hex: str | None


@dataclass(frozen=True, slots=True)
class _Scene:
    """One session on a stage, and who pays it."""

    stage: Stage
    session: CheckoutSession
    payer: Payer

    @property
    def session_id(self) -> str:
        return self.session.session_id

    @property
    def email(self) -> str | None:
        return PAYER_EMAIL if self.session.payer_email_required else None

    @property
    def network(self) -> Network:
        """Where the merchant is paid."""
        return self.stage.networks.network(self.token.network)

    @property
    def token(self) -> Token:
        return self.stage.networks.require_token(self.session.settlement_token, Mode.TEST)

    async def prepare(self, token: Token) -> Prepared:
        return await self.payer.prepare(self.session.payment_url, token.token_id, self.email)

    async def prepare_elsewhere(self) -> Prepared:
        """The same, with the first token of another network that can pay."""
        for token in elsewhere(self.stage, self.token):
            try:
                return await self.prepare(token)
            except PaymentFailed:
                continue
        raise RobotFailed("no token of another network can pay this session")

    async def reaches(self, status: str) -> CheckoutSession:
        """The session once it is in ``status``. Raises ``RobotFailed`` after a minute."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STEP_SECONDS
        while True:  # bounded: by the deadline
            found = (await self.stage.client.checkout_session.detail(self.session_id)).session
            if found.status == status:
                return found
            if loop.time() > deadline:
                raise RobotFailed(f"{self.session_id} is not {status} but {found.status}")
            await asyncio.sleep(LOOK_SECONDS)


async def play(scenario: Scenario, stage: Stage, session_id: str | None = None) -> Played:
    """Play ``scenario`` on that session, or on one opened for it.

    Returns when everything is done that the scenario does; what follows from it is told by events.
    Raises ``RobotFailed`` where it cannot be played: on networks that are not local, on a session
    that is not open, without the merchant's key. Raises also ``PaymentFailed`` and ``GStableError``
    when the page, the chain or the API refuses, ``Passing`` and ``NodeRefused`` for a node.
    """
    if session_id is None:
        session_id = await open_session(stage, held=scenario in HELD)
    session = (await stage.client.checkout_session.detail(session_id)).session
    if session.status != "initialized":
        raise RobotFailed(f"{session_id} is {session.status}")
    scene = _Scene(stage, session, stage.payer(session.payment_url))
    try:
        tx_hash_hex = await ACTS[scenario](scene)
    except ControlFailed as failure:
        raise RobotFailed(str(failure)) from failure
    return Played(scenario, session_id, tx_hash_hex)


async def open_session(stage: Stage, *, held: bool = False) -> str:
    """A new session of the key's first account; its id."""
    made = await stage.client.checkout_session.create(
        account_id=await account_id(stage),
        settlement_token=settlement_token(stage).token_id,
        line_items=[
            {
                "item_type": "one_time",
                "quantity": 1,
                "unit_price": PRICE,
                "product_data": {"product_name": "Triggered by a test"},
            }
        ],
        capture_method="manual" if held else "automatic",
    )
    return made.session_id


async def account_id(stage: Stage) -> str:
    """The first of the merchant's receiving accounts."""
    accounts = await stage.client.account.list()
    if not accounts:
        raise RobotFailed("the merchant has no receiving account: make one in the dashboard")
    return accounts[0].account_id


def settlement_token(stage: Stage) -> Token:
    """What sessions opened here are settled in: of the networks that can be crossed, the first
    one's dollar of Circle; where there is none, the first token."""
    tokens = [token for network in stage.networks.of(Mode.TEST) for token in network.tokens]
    if not tokens:
        raise RobotFailed("the networks file has no test network with a token")
    crossing = (token for token in tokens if _crosses(stage, token))
    return next(crossing, tokens[0])


def elsewhere(stage: Stage, token: Token) -> Iterator[Token]:
    """The tokens of other test networks, those of the same symbol first."""
    others = [
        other
        for network in stage.networks.of(Mode.TEST)
        for other in network.tokens
        if network.name != token.network
    ]
    yield from sorted(others, key=lambda other: other.symbol != token.symbol)


def _crosses(stage: Stage, token: Token) -> bool:
    """Whether Circle's protocol moves it."""
    return token.symbol == "USDC" and stage.networks.network(token.network).cctp is not None


# --- what each scenario does ----------------------------------------------------------------------


async def _pay(scene: _Scene) -> str:
    return (await scene.payer.send(await scene.prepare(scene.token))).tx_hash_hex


async def _complete(scene: _Scene) -> str:
    tx_hash_hex = await _pay(scene)
    await scene.reaches("completed")
    return tx_hash_hex


async def _cross(scene: _Scene) -> str:
    return (await scene.payer.send(await scene.prepare_elsewhere())).tx_hash_hex


async def _pay_short(scene: _Scene) -> str | None:
    """Half of the price by a plain transfer: the contract takes no less than the price."""
    token_id = scene.token.token_id
    found = await scene.payer.deposit(scene.session.payment_url, token_id, scene.email)
    address = address_from_text(found["address"])
    await until_mined(scene.network, scene.payer.address)
    if await token_balance(scene.stage.networks, token_id, address):
        return None
    half = int(found["amountInToken"]) // 2
    return (await scene.payer.transfer(found, token_id, half)).tx_hash_hex


async def until_mined(network: Network, account: Address) -> None:
    """Wait until nothing that ``account`` sent waits for a block: whoever sent it may have died,
    and only then does a balance say whether it was sent. Raises ``RobotFailed`` after a minute."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STEP_SECONDS
    counting = [
        ("eth_getTransactionCount", [f"0x{account.hex()}", block])
        for block in ("latest", "pending")
    ]
    async with open_rpc(network) as rpc:
        while len(set(await rpc.ask(counting))) > 1:  # bounded: by the deadline
            if loop.time() > deadline:
                raise RobotFailed(f"a transaction of the payer is not mined on {network.name}")
            await asyncio.sleep(LOOK_SECONDS)


async def _pay_twice(scene: _Scene) -> str:
    """On two networks, whose contracts know nothing of each other."""
    again, once = await scene.prepare_elsewhere(), await scene.prepare(scene.token)
    await scene.payer.send(once)
    return (await scene.payer.send(again)).tx_hash_hex


async def _pay_late(scene: _Scene) -> str:
    """By an order that was signed in time, and that the contract takes a little longer."""
    prepared = await scene.payer.approve(await scene.prepare(scene.token))
    await _expire(scene)
    expired = await scene.reaches("expired")
    async with open_rpc(prepared.network) as rpc:
        while True:  # bounded: blocks come, and each is later
            header, _ = await rpc.block_and_next(await rpc.block_number())
            if header.timestamp > expired.expiration_time:
                break
            await asyncio.sleep(LOOK_SECONDS)
    return (await scene.payer.send(prepared)).tx_hash_hex


async def _pay_and_take_back(scene: _Scene) -> str:
    _require_local(scene.network)
    prepared = await scene.payer.approve(await scene.prepare(scene.token))
    async with slowed(scene.network) as rpc:
        sending = asyncio.create_task(scene.payer.send(prepared))
        while not sending.done():  # bounded: the wallet waits for so long
            await mine_waiting(rpc)
            await asyncio.sleep(LOOK_SECONDS)
        paid = await sending
        await scene.reaches("paid")
        tx_hash = bytes.fromhex(paid.tx_hash_hex.removeprefix("0x"))
        await take_back(rpc, scene.network, tx_hash, scene.payer.address)
    return paid.tx_hash_hex


async def _pay_delayed(scene: _Scene) -> str:
    """By Circle's protocol, whose local service takes longer than the server has patience."""
    if not _crosses(scene.stage, scene.token):
        raise RobotFailed(f"no transfer that can be delayed pays in {scene.token.token_id}")
    others = elsewhere(scene.stage, scene.token)
    paying = next((token for token in others if _crosses(scene.stage, token)), None)
    if paying is None:
        raise RobotFailed("there is no second network to pay on")
    source = scene.stage.networks.network(paying.network)
    _require_local(source)
    prepared = await scene.payer.approve(await scene.prepare(paying))
    seconds = scene.stage.stall_seconds + STALL_MARGIN_SECONDS
    await delay_transfer(scene.stage.http, source, session_key(scene.session_id), seconds)
    return (await scene.payer.send(prepared)).tx_hash_hex


async def _refund(scene: _Scene) -> str:
    """All of it, from the merchant's own wallet."""
    if scene.stage.merchant_key is None:
        raise RobotFailed("a refund is sent by the merchant's wallet: set GSTABLE_MERCHANT_KEY")
    await _complete(scene)
    refund = await scene.stage.client.checkout_session.refund_prepare(scene.session_id)
    transaction = refund.transaction
    assert transaction is not None, "it has just been prepared"
    async with open_rpc(scene.network) as rpc:
        key = private_key_from_hex(scene.stage.merchant_key)
        wallet = Wallet(key, rpc, scene.network.chain_id)
        if to_checksum(wallet.address) != refund.from_:
            raise RobotFailed(f"GSTABLE_MERCHANT_KEY is not the key of {refund.from_}")
        to = address_from_text(transaction.to)
        data = bytes.fromhex(transaction.data.removeprefix("0x"))
        sent = await wallet.send(ContractCall(to, data, transaction.value))
        await wallet.wait(sent)
    return f"0x{sent.hex()}"


async def _expire(scene: _Scene) -> None:
    await scene.stage.client.checkout_session.advance(scene.session_id, seconds=YEAR_SECONDS)


async def _cancel(scene: _Scene) -> None:
    await scene.stage.client.checkout_session.cancel(scene.session_id)


async def _capture(scene: _Scene) -> str:
    tx_hash_hex = await _pay(scene)
    await scene.reaches("paid")
    await scene.stage.client.checkout_session.capture(scene.session_id)
    return tx_hash_hex


async def _void(scene: _Scene) -> str:
    tx_hash_hex = await _pay(scene)
    await scene.reaches("paid")
    await scene.stage.client.checkout_session.void(scene.session_id)
    return tx_hash_hex


def _require_local(network: Network) -> None:
    if not is_local(network):
        raise RobotFailed(f"{network.name} is no local chain: nobody can do that to it")


ACTS: Mapping[Scenario, Callable[[_Scene], Awaitable[str | None]]] = {
    Scenario.PAID: _pay,
    Scenario.COMPLETED: _complete,
    Scenario.CROSSED: _cross,
    Scenario.SHORT: _pay_short,
    Scenario.OVER: _pay_twice,
    Scenario.LATE: _pay_late,
    Scenario.REORGED: _pay_and_take_back,
    Scenario.SETTLEMENT_DELAYED: _pay_delayed,
    Scenario.REFUNDED: _refund,
    Scenario.EXPIRED: _expire,
    Scenario.CANCELLED: _cancel,
    Scenario.CAPTURED: _capture,
    Scenario.VOIDED: _void,
}
