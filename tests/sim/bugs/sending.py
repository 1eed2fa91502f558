"""Bugs of whoever sends transactions, and of whoever answers requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gstable_server.chain.executor import moves
from gstable_server.plumbing import idempotency
from tests.sim.planting import bug, replaced


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


@bug("idempotency-key-not-kept")
def keeps_no_answer() -> Iterator[None]:
    async def every_time(
        tx: Any, _key_id: Any, _key: str, _hashed: bytes, operate: Any
    ) -> tuple[bytes, bool]:
        return await operate(tx), False

    with replaced(idempotency, "once", every_time):
        yield
