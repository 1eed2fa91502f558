"""Bugs of whoever sends transactions, and of whoever answers requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gstable_server.chain.executor import moves, runner, store
from gstable_server.chain.executor.model import Inclusion
from gstable_server.plumbing import idempotency
from tests.sim.planting import bug, replaced


@bug("resend-with-a-new-nonce")
def queues_what_is_stuck() -> Iterator[None]:
    """What waits for long goes back to the queue, where it gets another nonce."""

    async def reprice(tx: Any, flight: Any, *_: Any) -> None:
        await store.postpone(tx, flight.cause, "stuck", 0, tx.now)

    with replaced(moves, "reprice", reprice):
        yield


@bug("taken-back-gets-a-new-nonce")
def queues_what_was_taken_back() -> Iterator[None]:
    async def take_back(tx: Any, flight: Any) -> None:
        await store.postpone(tx, flight.cause, "its block left the chain", 0, tx.now)

    with replaced(moves, "take_back", take_back):
        yield


@bug("sent-before-it-is-stored")
def sends_before_it_stores() -> Iterator[None]:
    """Neither nonce nor bytes are kept: whoever dies, or loses the answer, signs anew."""
    right = moves.sign

    async def sign(tx: Any, *given: Any) -> Any:
        savepoint = "sent_before_it_is_stored"
        await tx.execute(f"SAVEPOINT {savepoint}")
        attempt = await right(tx, *given)
        await tx.execute(f"ROLLBACK TO SAVEPOINT {savepoint}")
        return attempt

    with replaced(moves, "sign", sign):
        yield


@bug("nonce-by-the-node-alone")
def asks_only_the_node() -> Iterator[None]:
    def by_node(waiting: int, _ours: Any) -> int:
        return waiting

    with replaced(moves, "next_nonce", by_node):
        yield


@bug("sent-is-final-at-once")
def concludes_at_once() -> Iterator[None]:
    def at_once(_block_number: int, _head: int, _confirmations: int) -> bool:
        return True

    with replaced(runner, "is_deep", at_once):
        yield


@bug("receipt-believed-without-its-block")
def believes_receipts() -> Iterator[None]:
    def believed(receipt: Any, _headers: Any) -> Inclusion | None:
        if receipt is None:
            return None
        number, name = receipt.block_number, receipt.block_hash
        return Inclusion(receipt.tx_hash, number, name, receipt.succeeded)

    with replaced(runner, "_believed", believed):
        yield


@bug("idempotency-key-not-kept")
def keeps_no_answer() -> Iterator[None]:
    async def every_time(
        tx: Any, _key_id: Any, _key: str, _hashed: bytes, operate: Any
    ) -> tuple[bytes, bool]:
        return await operate(tx), False

    with replaced(idempotency, "once", every_time):
        yield
