"""A mint is credited only when our own rail burnt for it; everything else is somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.facts import DeliveryLog, RailName
from gstable_server.chain.rails.attestation import Attested, Pending
from gstable_server.chain.rails.cctp import CctpRail
from gstable_server.chain.rails.cctp_message import Burn, Message, write_burn, write_message
from gstable_server.chain.rails.port import Done, Send, Step, Wait
from gstable_server.chain.rails.testing import FakeAttestations
from gstable_server.chain.rpc import Log
from gstable_server.chain.testing import event_log
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import from_unix_seconds
from tests.unit.chain.rails.crossings import (
    FAR,
    MERCHANT,
    NEAR,
    NETWORKS,
    SESSION,
    address,
    chains,
    crossing,
    payment,
)

STRANGER = Address(b"\x66" * 20)
MESSENGER, TRANSMITTER = address("near", "messenger"), address("far", "transmitter")
NONCE, TX = b"\x0e" * 32, b"\x99" * 32
PAYMENT = payment(RailName.CCTP)
BURN = Burn(
    token=NEAR.tokens[0].address,
    recipient=MERCHANT,
    amount=10_000_000,
    sender=address("near", "cctp"),
    max_fee=10_000,
    fee_executed=1_000,
    expiration=0,
    hook=SESSION,
)
MESSAGE = Message(
    source_domain=0,
    destination_domain=6,
    nonce=NONCE,
    sender=MESSENGER,
    recipient=address("far", "messenger"),
    destination_caller=ZERO_ADDRESS,
    finality_minimum=2000,
    finality_executed=2000,
    burn=BURN,
)


def received(
    burn: Burn = BURN,
    *,
    contract: Address = TRANSMITTER,
    domain: int = 0,
    sender: Address = MESSENGER,
) -> Log:
    members = (STRANGER, domain, NONCE, sender, 2000, write_burn(burn))
    return event_log(rails_abi.MESSAGE_RECEIVED, contract, TX, *members)


def observed(log: Log) -> object:
    far = chains()["far"]
    header = far.mine_logs([log])
    rail = CctpRail(NETWORKS, {}, FakeAttestations())
    return rail.observe(FAR, header, far.blocks[-1].logs[0])


def delivery() -> DeliveryLog:
    found = observed(received())
    assert isinstance(found, DeliveryLog)
    return found


def test_mint_of_our_rail_is_a_delivery() -> None:
    found = delivery()
    assert (found.session_key, found.merchant) == (SESSION, MERCHANT)
    assert (found.amount, found.fee) == (9_999_000, 1_000)
    assert (found.token, found.chain_id) == (FAR.tokens[0].address, FAR.chain_id)
    assert (found.reference, found.source_chain_id) == (NONCE, NEAR.chain_id)
    assert (found.tx_hash, found.log_position, found.network) == (TX, 0, "far")


FORGED: dict[str, Callable[[], Log]] = {
    "another contract": lambda: received(contract=STRANGER),
    "message of a stranger's contract": lambda: received(sender=STRANGER),
    "burn by a stranger": lambda: received(replace(BURN, sender=STRANGER)),
    "burn of another token": lambda: received(replace(BURN, token=STRANGER)),
    "unknown domain": lambda: received(domain=9),
    "its own domain": lambda: received(domain=6),
    "no session": lambda: received(replace(BURN, hook=b"")),
    "a longer hook": lambda: received(replace(BURN, hook=SESSION + b"\0")),
    "a fee of everything": lambda: received(replace(BURN, fee_executed=10_000_000)),
    "another event": lambda: replace(received(), topics=(b"\x01" * 32, *received().topics[1:])),
    "a topic too few": lambda: replace(received(), topics=received().topics[:3]),
    "data cut off": lambda: replace(received(), data=received().data[:-32]),
    "data with more": lambda: replace(received(), data=received().data + bytes(32)),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_our_rail_did_not_cause_is_nothing(name: str) -> None:
    assert observed(FORGED[name]()) is None


def test_delivery_is_of_its_own_payment_only() -> None:
    rail, found = CctpRail(NETWORKS, {}, FakeAttestations()), delivery()
    assert rail.delivers(PAYMENT, found)
    for other in (
        replace(PAYMENT, session_key=bytes(32)),
        replace(PAYMENT, chain_id=5),
        replace(PAYMENT, settlement_chain_id=5),
        replace(PAYMENT, settlement_token=STRANGER),
        replace(PAYMENT, merchant=STRANGER),
        replace(PAYMENT, amount=PAYMENT.amount + 1),
        replace(PAYMENT, rail=RailName.ESCROW),
        replace(PAYMENT, rail=None),
    ):
        assert not rail.delivers(other, found)


async def finished(*known: Attested | Pending, used: int = 0) -> Step:
    attestations, far = FakeAttestations(), chains()["far"]
    attestations.burns[0, PAYMENT.tx_hash] = known
    call = abi.call_data(rails_abi.USED_NONCES, NONCE)
    far.returns[TRANSMITTER, call] = abi.number_word(used)
    return await CctpRail(NETWORKS, {"far": far}, attestations).finish(crossing(PAYMENT))


def attested(message: Message = MESSAGE) -> Attested:
    return Attested(write_message(message), b"\x0f" * 65)


@pytest.mark.anyio
async def test_attested_burn_is_minted_once() -> None:
    step = await finished(attested())
    assert isinstance(step, Send)
    assert (step.network, step.sender, step.purpose) == ("far", Sender.RELAYER, "mint")
    message = keccak256(write_message(MESSAGE))
    assert step.cause == f"mint:{PAYMENT.object_id}:0x{message.hex()}"
    assert step.call.to == TRANSMITTER
    assert step.call.data == abi.call_data(
        rails_abi.RECEIVE_MESSAGE, abi.Dynamic(write_message(MESSAGE)), abi.Dynamic(b"\x0f" * 65)
    )
    assert await finished(attested(), used=1) == Wait("minted; the block is being read")


@pytest.mark.anyio
async def test_expired_attestation_is_asked_for_again() -> None:
    attestations, far = FakeAttestations(), chains()["far"]
    call = abi.call_data(rails_abi.USED_NONCES, NONCE)
    far.returns[TRANSMITTER, call] = abi.number_word(0)
    rail = CctpRail(NETWORKS, {"far": far}, attestations)
    far.mine_empty(10 - await far.block_number())
    expiring = replace(MESSAGE, burn=replace(BURN, expiration=12))
    attestations.burns[0, PAYMENT.tx_hash] = (attested(expiring),)
    first = await rail.finish(crossing(PAYMENT))
    assert isinstance(first, Send), "block 11 is in time"
    far.mine()
    over = Wait("the attestation has expired, another one was asked for")
    assert await rail.finish(crossing(PAYMENT)) == over
    assert attestations.reattested == [NONCE]
    attestations.burns[0, PAYMENT.tx_hash] = (attested(),)
    again = await rail.finish(crossing(PAYMENT))
    assert isinstance(again, Send)
    assert again.cause != first.cause, "the first may be waiting to be sent, in vain"


@pytest.mark.anyio
async def test_own_burn_is_found_among_those_of_others() -> None:
    others: list[Attested | Pending] = [
        attested(replace(MESSAGE, burn=replace(BURN, recipient=STRANGER))),
        attested(replace(MESSAGE, burn=replace(BURN, amount=1))),
        attested(replace(MESSAGE, burn=replace(BURN, sender=STRANGER))),
        attested(replace(MESSAGE, destination_domain=3)),
        Attested(b"\x01", b"\x02"),
        Pending(),
    ]
    step = await finished(*others, attested())
    assert isinstance(step, Send)
    assert abi.number_word(10_000_000) in step.call.data
    assert await finished(*others) == Wait("the burn is being attested")
    unrelated = "the attestation service knows other messages of the transaction only"
    assert await finished(*others[:-1]) == Wait(unrelated)


@pytest.mark.anyio
async def test_waiting_says_what_for() -> None:
    unknown = "the attestation service does not know the burn yet"
    assert await finished() == Wait(unknown)
    assert await finished(Pending()) == Wait("the burn is being attested")
    late = Pending("insufficient_fee")
    assert await finished(late) == Wait("the burn is being attested: insufficient_fee")


@pytest.mark.anyio
async def test_delivered_payment_asks_nobody() -> None:
    rail = CctpRail(NETWORKS, {}, FakeAttestations())
    assert await rail.finish(replace(crossing(PAYMENT), delivery=delivery())) == Done()


def test_nothing_is_called_off() -> None:
    rail = CctpRail(NETWORKS, {}, FakeAttestations())
    assert rail.recover(crossing(PAYMENT), from_unix_seconds(4_000_000_000)) is None
