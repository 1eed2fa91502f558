"""Sends what is wanted, and follows it until its outcome is final.

One ``Runner`` works for one sender on one network, in turns. A turn reads what is open, asks the
node, and moves intents, each in a transaction of its own. No step waits for a receipt: up to
``Limits.in_flight`` transactions of one account wait to be mined at the same time.

Where this may die, and what brings it back. Nothing that matters is kept in memory: every turn
begins with the rows of the database.

1. Before the transaction that signs commits: nothing happened, the intent is still queued.
2. After it, before the bytes are sent: the intent is ``signed``. The next turn of any executor
   sends the stored bytes. They are never made anew, so there is one transaction, not two.
3. After the bytes are sent, before that is written: the same. The node says that it knows them
   already, or that the nonce is used; both count as sent.
4. After a raise is signed: as 2 and 3. Old and new bytes have one nonce, so one of them at most
   is ever mined, and receipts are asked for all of them.
5. While it is mined: states and events are one transaction each, found again from receipts.

What was signed is always sent, even if its call would revert by then. The bytes may have reached
a node before a crash, so that a cancellation with the same nonce would be a race; a reverted call
costs gas, leaves proof on the chain, and never a gap in the nonces. A gap that a foreign
transaction leaves behind is closed by the next intent, or by a transfer of nothing to ourselves.

Two executors by mistake do no harm: nonces are taken under a lock of the account, every move
compares the reservation and the state under the row's lock, and the same bytes sent twice are
the same transaction.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from gstable_server.chain.executor import moves, store
from gstable_server.chain.executor.fees import gas_limit
from gstable_server.chain.executor.machine import UNMINED, is_deep
from gstable_server.chain.executor.model import (
    Attempt,
    Flight,
    Funds,
    Inclusion,
    Intent,
    Queued,
    Sender,
    State,
)
from gstable_server.chain.executor.node import Account, Node
from gstable_server.chain.executor.replaced import find_foreign
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import Header, NodeRefused
from gstable_server.chain.rpc_answers import Receipt
from gstable_server.chain.signer import TxSigner
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.db import Database

log = structlog.get_logger(__name__)

GAP = "gap"
"""The purpose of a transfer of nothing to ourselves that closes a gap in the nonces."""

SEND_AGAIN_SECONDS = 1.0
FUNDS_SECONDS = 30.0
STUCK_BLOCKS = 2
"""Blocks that must have come without a transaction before it is taken for too cheap: while the
chain stands still, a raise would change nothing."""

# A node that says one of these has the bytes, or they or their rival are mined: what follows
# from that is seen by receipts, not by this text. Clients have no common code for it.
_TAKEN = re.compile(
    r"already (known|imported|exists|in)|known transaction|nonce (is )?too low|"
    r"replacement transaction underpriced",
    re.I,
)
_NO_MONEY = re.compile(
    r"insufficient (funds|balance)|exceeds? (the )?balance|out of gas money", re.I
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one sender may do: unmined transactions at a time, gas of one transaction, and
    how long a transaction may wait to be mined before it is signed again with higher fees."""

    in_flight: int = 16
    gas_max: int = 3_000_000
    patience: timedelta = timedelta(seconds=30)


class Runner:
    """One sender on one network."""

    def __init__(
        self,
        db: Database,
        network: Network,
        sender: Sender,
        signer: TxSigner,
        node: Node,
        limits: Limits,
    ) -> None:
        self._db = db
        self._network = network
        self._sender = sender
        self._signer = signer
        self._node = node
        self._limits = limits
        # Pace only; a process that starts with these empty sends or looks once more than needed.
        self._sent_at: dict[bytes, float] = {}
        self._funds_at: float | None = None
        self._enough: bool | None = None
        self.has_room = True
        """Whether the last turn could begin everything that was due."""

    @property
    def key(self) -> tuple[str, Sender]:
        """What the rows of this sender are found by: network and sender."""
        return self._network.name, self._sender

    @property
    def pause_seconds(self) -> float:
        """How long between two looks at the chain while something is in flight."""
        return self._network.poll_milliseconds / 1000

    async def turn(self) -> bool:
        """One look at everything open; True while something is in flight.

        Raises ``Passing`` when the node gives no usable answer.
        """
        async with self._db.read() as tx:
            flights = await store.in_flight(tx, *self.key)
            unmined = sum(flight.state in UNMINED for flight in flights)
            room = max(0, self._limits.in_flight - unmined)
            queued = await store.due(tx, *self.key, room)
            now = tx.now
        self.has_room = len(queued) < room
        if not flights and not queued and not self._funds_are_old():
            return False
        account = await self._node.account(self._signer.address)
        await self._note_funds(account)
        results = await asyncio.gather(
            self._start(queued, account),
            self._follow(flights, account, now),
            return_exceptions=True,
        )
        for result in results:  # trouble of one half has not stopped the other
            if isinstance(result, BaseException):
                raise result
        return bool(flights) or bool(queued)

    # Signing and sending.

    async def _start(self, queued: Sequence[Queued], account: Account) -> None:
        """Simulate all, then sign one after the other, and send without waiting for answers."""
        gases = await asyncio.gather(*(self._simulate(each) for each in queued))
        async with asyncio.TaskGroup() as group:
            for each, gas in zip(queued, gases, strict=True):
                if gas is None:
                    continue
                attempt = await self._db.run(
                    moves.sign, each.intent.cause, self._network, self._signer, account, gas
                )
                # May die here: 2 above.
                if attempt is not None:
                    group.create_task(self._send(each.intent.cause, attempt))

    async def _simulate(self, queued: Queued) -> int | None:
        """The gas limit for the call as the chain stands now; None when it is not to be signed."""
        intent, call = queued.intent, queued.intent.call
        if intent.deadline is not None and self._db.clock.now() >= intent.deadline:
            await self._db.run(moves.expire, intent.cause)
            return None
        try:
            estimate = await self._node.estimate_gas(
                self._signer.address, call.to, call.data, call.value
            )
        except NodeRefused as refusal:
            wait = moves.SHORT_WAIT_SECONDS if _NO_MONEY.search(str(refusal)) else None
            await self._db.run(moves.postpone, intent.cause, _said(refusal), wait)
            return None
        except Passing as failure:  # it must not stop the others
            problem = f"not simulated: {failure}"
            await self._db.run(moves.postpone, intent.cause, problem, moves.SHORT_WAIT_SECONDS)
            return None
        gas = gas_limit(estimate)
        if gas > self._limits.gas_max:
            problem = f"needs {gas} gas, more than {self._limits.gas_max}"
            await self._db.run(moves.postpone, intent.cause, problem)
            return None
        return gas

    async def _send(self, cause: str, attempt: Attempt) -> None:
        """Hand stored bytes to the node. Whatever it answers, what is stored decides: the next
        turn sends again what is not known to have arrived."""
        self._sent_at[attempt.tx_hash] = _monotonic()
        try:
            await self._node.send_raw(attempt.raw)
        except NodeRefused as refusal:
            if not _TAKEN.search(str(refusal)):
                log.error("transaction not taken", cause=cause, reason=str(refusal))
                await self._db.run(store.note, cause, _said(refusal))
                return
        except Passing as failure:
            log.warning("transaction not sent", cause=cause, reason=str(failure))
            return
        # May die here: 3 above.
        await self._db.run(moves.accept, cause, attempt.tx_hash)

    # Following what is in flight.

    async def _follow(self, flights: Sequence[Flight], account: Account, now: datetime) -> None:
        if not flights:
            return
        seen, headers = await self._look(flights, account)
        moved = False
        for flight in flights:
            included = seen.get(flight.cause)
            if included is not None:
                moved |= await self._settle(flight, included, account)
            elif flight.included is not None:
                await self._doubt(flight, headers.get(flight.included.block_number))
            else:
                await self._press(flight, account, now)
        if moved:
            # What was postponed may have waited for this very change, an approval for example.
            await self._db.run(store.look_again, *self.key)
        await self._close_gap(flights, account, now)
        known = {each.tx_hash for flight in flights for each in flight.attempts}
        self._sent_at = {key: at for key, at in self._sent_at.items() if key in known}

    async def _look(
        self, flights: Sequence[Flight], account: Account
    ) -> tuple[dict[str, Inclusion], dict[int, Header]]:
        """Which flights are in canonical blocks, and the headers that were compared.

        A receipt alone is a claim. It counts when the canonical block of its number, not above
        the newest block, has the hash that it names.
        """
        hashes = [each.tx_hash for flight in flights for each in flight.attempts]
        answers = dict(zip(hashes, await self._node.receipts(hashes), strict=True))
        numbers = {each.block_number for each in answers.values() if each is not None}
        numbers |= {each.included.block_number for each in flights if each.included is not None}
        known = sorted(number for number in numbers if number <= account.head)
        found = await self._node.blocks_by_number(known) if known else ()
        headers = {each.number: each for each in found if each is not None}
        seen: dict[str, Inclusion] = {}
        for flight in flights:
            for attempt in flight.attempts:
                included = _believed(answers[attempt.tx_hash], headers)
                if included is not None:
                    seen[flight.cause] = included
        return seen, headers

    async def _settle(self, flight: Flight, included: Inclusion, account: Account) -> bool:
        news = False
        if flight.included != included:
            news = await self._db.run(moves.include, flight, included)
        if is_deep(included.block_number, account.head, self._network.confirmations):
            await self._db.run(moves.conclude, flight, included)
        return news

    async def _doubt(self, flight: Flight, header: Header | None) -> None:
        """It was mined, and no receipt says so any more. Only another block in the place of its
        own proves that it is not; a node that is behind proves nothing."""
        assert flight.included is not None, "asked only of what was mined"
        if header is not None and header.hash != flight.included.block_hash:
            log.warning("block of a sent transaction left the chain", cause=flight.cause)
            await self._db.run(moves.take_back, flight)

    async def _press(self, flight: Flight, account: Account, now: datetime) -> None:
        """It is in no block: is its nonce free, does it pay enough, does the node have it?"""
        own = flight.reservation.account == self._signer.address
        nonce = flight.reservation.nonce
        if own and account.mined > nonce:
            await self._look_for_rival(flight, account)
            return
        last = flight.attempts[-1]
        if own and self._is_stuck(flight, account, now):
            raised = await self._db.run(moves.reprice, flight, self._network, self._signer, account)
            # May die here: 4 above.
            if raised is not None:
                log.warning("transaction raised", cause=flight.cause, fee=raised.fee)
                await self._send(flight.cause, raised)
                return
            if flight.problem is None:
                log.warning("transaction waits and may not be raised", cause=flight.cause)
        unknown = flight.state is not State.SENT or not own or account.waiting <= nonce
        if unknown and self._may_send(last):
            await self._send(flight.cause, last)

    def _is_stuck(self, flight: Flight, account: Account, now: datetime) -> bool:
        """Too cheap by the market, or first in line and passed over all the same."""
        last = flight.attempts[-1]
        if now - last.signed_at < self._limits.patience or account.head < last.head + STUCK_BLOCKS:
            return False
        return last.fee < account.base_fee or flight.reservation.nonce == account.mined

    def _may_send(self, attempt: Attempt) -> bool:
        sent_at = self._sent_at.get(attempt.tx_hash)
        return sent_at is None or _monotonic() - sent_at >= SEND_AGAIN_SECONDS

    async def _look_for_rival(self, flight: Flight, account: Account) -> None:
        deepest = account.head - self._network.confirmations + 1
        try:
            spent = await find_foreign(self._node, flight, deepest)
        except Passing as failure:
            problem = f"nonce {flight.reservation.nonce} is used, by whom is not known: {failure}"
            await self._db.run(store.note, flight.cause, problem)
            return
        if spent is not None:
            log.critical(
                "foreign transaction with our key",
                network=self._network.name,
                account=f"0x{self._signer.address.hex()}",
                tx=f"0x{spent.tx_hash.hex()}",
            )
            await self._db.run(moves.replace, flight, spent)

    async def _close_gap(self, flights: Sequence[Flight], account: Account, now: datetime) -> None:
        """When nodes wait for a nonce that nobody uses, everything behind it waits too. The next
        intent takes it by itself (``machine.next_nonce``); if none comes, we do."""
        behind = [
            flight
            for flight in flights
            if flight.state in UNMINED and flight.reservation.account == self._signer.address
        ]
        nonce = account.waiting
        if not behind or nonce >= behind[0].reservation.nonce:
            return
        async with self._db.read() as tx:
            ours = await store.reserved(tx, self._network.name, self._signer.address, nonce)
        waited = now - behind[0].attempts[-1].signed_at
        if nonce not in ours and waited >= self._limits.patience:
            address = self._signer.address
            cause = f"{GAP}:{self._network.name}:0x{address.hex()}:{nonce}"
            call = ContractCall(address, b"")
            intent = Intent(cause, self._network.name, self._sender, call, GAP, cause)
            if await self._db.run(store.insert, intent):
                log.warning("gap in the nonces", network=self._network.name, nonce=nonce)

    # Funds.

    def _funds_are_old(self) -> bool:
        return self._funds_at is None or _monotonic() - self._funds_at >= FUNDS_SECONDS

    async def _note_funds(self, account: Account) -> None:
        enough = account.balance >= self._network.gas.funds_min
        if enough == self._enough and not self._funds_are_old():
            return
        if not enough:
            log.critical(
                "sending account needs money for gas",
                network=self._network.name,
                account=f"0x{self._signer.address.hex()}",
                balance=account.balance,
                least=self._network.gas.funds_min,
            )
        async with self._db.begin() as tx:
            funds = Funds(
                network=self._network.name,
                sender=self._sender,
                account=self._signer.address,
                balance=account.balance,
                enough=enough,
                seen_at=tx.now,
            )
            await store.save_funds(tx, funds)
        self._enough, self._funds_at = enough, _monotonic()


def _believed(receipt: Receipt | None, headers: Mapping[int, Header]) -> Inclusion | None:
    header = headers.get(receipt.block_number) if receipt is not None else None
    if receipt is None or header is None or header.hash != receipt.block_hash:
        return None
    return Inclusion(receipt.tx_hash, header.number, header.hash, receipt.succeeded)


def _said(refusal: NodeRefused) -> str:
    """The node's words, and what the contract returned: for whoever looks for the cause."""
    returned = f" (0x{refusal.data[:68].hex()})" if refusal.data else ""
    return f"{str(refusal)[:300]}{returned}"


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
