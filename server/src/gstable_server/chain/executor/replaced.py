"""Who used a nonce: the proof that a transaction of ours can never be mined any more.

A missing receipt proves nothing, and sending a call again because of one would be the way to
make it twice. So an intent is only taken for replaced when a deep, canonical block shows another
transaction of the same account with the same nonce.
"""

from __future__ import annotations

from gstable_server.chain.executor.model import Flight
from gstable_server.chain.executor.node import Node, Spent

WIDENINGS_MAX = 40


async def find_foreign(node: Node, flight: Flight, deepest: int) -> Spent | None:
    """The foreign transaction that used the flight's nonce in a block up to ``deepest``.

    None while there is no such proof. Raises ``Passing``, in particular ``UnknownBlock`` when the
    node does not keep the state of blocks so old.
    """
    account, nonce = flight.reservation.account, flight.reservation.nonce
    if deepest < 0 or await node.mined_at(account, deepest) <= nonce:
        return None
    below = await _before(node, flight, deepest)
    if below is None:
        return None
    above = deepest
    while above - below > 1:  # bounded: halves the distance each time
        middle = (below + above) // 2
        if await node.mined_at(account, middle) > nonce:
            above = middle
        else:
            below = middle
    spent = await node.spent_in(above, account, nonce)
    if spent is None or any(spent.tx_hash == each.tx_hash for each in flight.attempts):
        return None
    return spent


async def _before(node: Node, flight: Flight, deepest: int) -> int | None:
    """A block at which the nonce was not used yet: usually the one at which it was signed."""
    number = min(flight.attempts[0].head, deepest - 1)
    distance = 1
    for _ in range(WIDENINGS_MAX):
        if number < 0:
            return -1  # before the first block nothing was used
        if await node.mined_at(flight.reservation.account, number) <= flight.reservation.nonce:
            return number
        number -= distance
        distance *= 2
    return None
