"""How an intent moves: each function locks it, asks the table, writes and tells, in one ``tx``.

An observation is about one reservation. When another executor has moved the intent meanwhile,
what was observed is late, and nothing is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from gstable_server.chain.executor import store
from gstable_server.chain.executor.fees import Fees, first_bid, raised_bid
from gstable_server.chain.executor.machine import Fact, back_off_seconds, decide, next_nonce
from gstable_server.chain.executor.model import (
    Attempt,
    Flight,
    Inclusion,
    IntentView,
    Reservation,
    State,
)
from gstable_server.chain.executor.node import Account, Spent
from gstable_server.chain.networks import Network
from gstable_server.chain.signer import TxSigner
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.events import Event

NONCES_AHEAD_MAX = 256
"""A node that counts more waiting transactions of one account than this is not believed: what
is signed behind a nonce that nobody uses would wait for ever."""

SHORT_WAIT_SECONDS = 1.0
"""How long an intent waits that lacks money, a fair price or a node that is up to date."""

REVERTED = "the call reverted"


# --- before anything is signed -------------------------------------------------------------


async def withdraw(tx: Tx, causes: Sequence[str]) -> frozenset[str]:
    """Take them back; which were. Not those that are unknown, signed already, or over."""
    taken = set()
    for view in await store.lock_all(tx, causes):
        if decide(view.state, Fact.WITHDRAWN) is not None:
            await store.move(tx, view.intent.cause, State.WITHDRAWN, view.problem)
            taken.add(view.intent.cause)
    return frozenset(taken)


async def postpone(tx: Tx, cause: str, problem: str, wait_seconds: float | None = None) -> None:
    """It cannot be signed now: look again after a wait, by default a growing one."""
    view = await store.lock(tx, cause)
    if view is not None and decide(view.state, Fact.POSTPONED) is State.QUEUED:
        await _wait(tx, view, problem, wait_seconds)


async def expire(tx: Tx, cause: str) -> None:
    """Its deadline has passed: it is refused, for the reason that it was waiting for."""
    view = await store.lock(tx, cause)
    if view is None or decide(view.state, Fact.EXPIRED) is not State.REFUSED:
        return
    problem = view.problem or "no executor looked at it before its deadline"
    await store.move(tx, cause, State.REFUSED, problem)
    _tell(tx, view, State.REFUSED, None, problem)


async def sign(
    tx: Tx, cause: str, network: Network, signer: TxSigner, account: Account, gas: int
) -> Attempt | None:
    """Reserve a nonce and keep the signed bytes; None when it must wait, or is not queued.

    Only after the commit may the bytes be sent: whoever finds a transaction on the chain finds
    it in the database too.
    """
    await store.lock_account(tx, network.name, signer.address)
    view = await store.lock(tx, cause)
    if view is None or decide(view.state, Fact.SIGNED) is not State.SIGNED:
        return None
    bid = first_bid(account.base_fee, network.gas)
    nonce = next_nonce(
        account.waiting, await store.reserved(tx, network.name, signer.address, account.waiting)
    )
    problem = await _obstacle(tx, view, network, signer, account, gas, bid, nonce)
    if bid is None or problem is not None:
        await _wait(tx, view, problem or _too_dear(account, network), SHORT_WAIT_SECONDS)
        return None
    reservation = Reservation(signer.address, nonce)
    attempt = _signed(tx, view, network, signer, account, gas, bid, reservation)
    await store.reserve(tx, view.intent, reservation)
    await store.add_attempt(tx, view.intent, reservation, attempt, State.SIGNED)
    return attempt


async def _obstacle(
    tx: Tx,
    view: IntentView,
    network: Network,
    signer: TxSigner,
    account: Account,
    gas: int,
    bid: Fees | None,
    nonce: int,
) -> str | None:
    if await store.lacks_final(tx, network.name, signer.address, account.mined):
        return "the node lacks a transaction that was final: it is behind, or on another chain"
    if nonce >= account.mined + NONCES_AHEAD_MAX:
        return f"{nonce - account.mined} transactions of the account wait before this one"
    if bid is not None:
        cost = gas * bid.fee + view.intent.call.value
        if account.balance < cost + await store.committed(tx, network.name, signer.address):
            return f"not enough {network.native_symbol} to pay for gas"
    return None


def _too_dear(account: Account, network: Network) -> str:
    return f"gas costs {account.base_fee}, with the tip more than {network.gas.price_max}"


def _signed(
    tx: Tx,
    view: IntentView,
    network: Network,
    signer: TxSigner,
    account: Account,
    gas: int,
    bid: Fees,
    reservation: Reservation,
) -> Attempt:
    signed = signer.sign(
        view.intent.call,
        network.chain_id,
        nonce=reservation.nonce,
        gas=gas,
        fee=bid.fee,
        tip=bid.tip,
    )
    return Attempt(signed.tx_hash, signed.raw, gas, bid.fee, bid.tip, account.head, tx.now)


async def _wait(tx: Tx, view: IntentView, problem: str, wait_seconds: float | None) -> None:
    tries = view.tries + (wait_seconds is None)
    seconds = back_off_seconds(tries) if wait_seconds is None else wait_seconds
    due_at = tx.now + timedelta(seconds=seconds)
    if view.intent.deadline is not None:
        due_at = max(tx.now, min(due_at, view.intent.deadline))
    await store.postpone(tx, view.intent.cause, problem, tries, due_at)


# --- in flight -----------------------------------------------------------------------------


async def _lock(tx: Tx, flight: Flight, fact: Fact) -> tuple[IntentView, State] | None:
    """The locked intent and its next state; None when ``fact`` comes late."""
    view = await store.lock(tx, flight.cause)
    if view is None or view.reservation != flight.reservation:
        return None
    state = decide(view.state, fact)
    return (view, state) if state is not None else None


async def accept(tx: Tx, cause: str, tx_hash: bytes) -> None:
    """A node has the attempt ``tx_hash``; no news of an older one."""
    view = await store.lock(tx, cause)
    if view is not None and view.tx_hash == tx_hash and decide(view.state, Fact.ACCEPTED):
        await store.move(tx, cause, State.SENT, None)


async def reprice(
    tx: Tx, flight: Flight, network: Network, signer: TxSigner, account: Account
) -> Attempt | None:
    """Sign again with the same nonce and higher fees; None when that may not be, or comes late."""
    locked = await _lock(tx, flight, Fact.REPRICED)
    last = flight.attempts[-1]
    if locked is None or locked[0].tx_hash != last.tx_hash:
        return None
    if flight.reservation.account != signer.address:
        await store.note(tx, flight.cause, "signed with a key that is not configured any more")
        return None
    bid = raised_bid(Fees(last.fee, last.tip), account.base_fee, network.gas)
    if bid is None:
        problem = f"waits although it pays {last.fee}: a raise would exceed {network.gas.price_max}"
        await store.note(tx, flight.cause, problem)
        return None
    view, state = locked
    attempt = _signed(tx, view, network, signer, account, last.gas, bid, flight.reservation)
    await store.add_attempt(tx, view.intent, flight.reservation, attempt, state)
    return attempt


async def include(tx: Tx, flight: Flight, included: Inclusion) -> bool:
    """One of its transactions is in a canonical block; False when that is no news."""
    locked = await _lock(tx, flight, Fact.INCLUDED)
    if locked is None or locked[0].included == included:
        return False
    view, state = locked
    problem = None if included.succeeded else REVERTED
    await store.include(tx, flight.cause, state, included, problem)
    _tell(tx, view, state, included.tx_hash, problem)
    return True


async def take_back(tx: Tx, flight: Flight) -> None:
    """Its block left the chain: the same bytes are sent again."""
    locked = await _lock(tx, flight, Fact.TAKEN_BACK)
    if locked and locked[0].included == flight.included:
        await store.move(tx, flight.cause, locked[1], "its block left the chain")


async def conclude(tx: Tx, flight: Flight, included: Inclusion) -> None:
    """Its block is deep: this is the outcome."""
    fact = Fact.SUCCEEDED if included.succeeded else Fact.REVERTED
    locked = await _lock(tx, flight, fact)
    if locked is None:
        return
    view, state = locked
    problem = None if included.succeeded else REVERTED
    await store.include(tx, flight.cause, state, included, problem)
    _tell(tx, view, state, included.tx_hash, problem)


async def replace(tx: Tx, flight: Flight, spent: Spent) -> None:
    """A foreign transaction used its nonce for good, so that none of its own can ever be mined:
    back to the queue, where it is simulated again before it gets another nonce."""
    locked = await _lock(tx, flight, Fact.REPLACED)
    if locked is None:
        return
    proof = (spent.tx_hash, spent.block_number, spent.block_hash)
    await store.add_replacement(tx, locked[0].intent, flight.reservation, proof)
    problem = f"nonce {flight.reservation.nonce} was used by 0x{spent.tx_hash.hex()}"
    await store.postpone(tx, flight.cause, problem, 0, tx.now)


def _tell(
    tx: Tx, view: IntentView, state: State, tx_hash: bytes | None, problem: str | None
) -> None:
    intent = view.intent
    payload = {
        "cause": intent.cause,
        "network": intent.network,
        "purpose": intent.purpose,
        "txHash": f"0x{tx_hash.hex()}" if tx_hash else None,
        "problem": problem,
    }
    tx.tell(Event(f"executor.{state}", intent.subject, payload))
