"""What the reconciler holds against the chains: the book, and what slices say of their objects.

``reconciliation`` knows none of them, so that it repeats none of their errors; this hands over.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from gstable_server.chain import operations as chain
from gstable_server.chain.networks import Networks
from gstable_server.ledger import operations as ledger
from gstable_server.ledger.model import Standing
from gstable_server.plumbing import outbox
from gstable_server.plumbing.db import Database, Tx
from gstable_server.reconciliation import operations as reconciliation
from gstable_server.reconciliation.model import Booked, Claim, Frontier, Outcome, Owner
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.refunds import operations as refunds

_SESSION_OF = re.compile(r".+:0x([0-9a-f]{64})")
"""Facts about a session, and what is told of its crossings, are told of ``network:key``."""


class Witness:
    """See ``reconciliation.gathering.Witness``."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def frontiers(self, tx: Tx) -> Mapping[str, Frontier]:
        found = {}
        for network in self._networks.all:
            block = await chain.frontier(tx, network.name)
            if block is not None:
                found[network.name] = Frontier(block.number, block.hash)
        return found

    async def in_motion(self, tx: Tx) -> Collection[bytes]:
        waiting = await outbox.waiting_objects(tx)
        found = (_SESSION_OF.fullmatch(name) for name in waiting)
        return {bytes.fromhex(match[1]) for match in found if match}

    async def claims(self, tx: Tx) -> AsyncIterator[Sequence[Claim]]:
        async for done in refunds.completed(tx):
            yield [
                Claim(
                    session_id=session_id,
                    network=terms.network,
                    tx_hash=tx_hash,
                    token=terms.token,
                    sender=terms.sender,
                    receiver=terms.receiver,
                    amount=terms.amount,
                )
                for session_id, terms, tx_hash in done
            ]

    async def booked(self, tx: Tx) -> AsyncIterator[Sequence[Booked]]:
        async for part in ledger.standing(tx):
            yield [_booked(one) for one in part]

    async def owners(
        self, tx: Tx, session_keys: Collection[bytes], session_ids: Collection[str]
    ) -> Sequence[Owner]:
        found = await sessions.owners(tx, list(session_keys), list(session_ids))
        return [Owner(*one) for one in found]


def _booked(one: Standing) -> Booked:
    network, _, tx_hash_hex = (one.about or "").partition(":")
    return Booked(
        session_id=one.session_id,
        network=network or None,
        tx_hash=bytes.fromhex(tx_hash_hex.removeprefix("0x")) if one.about else None,
        token_id=one.token_id,
        account=one.account,
        amount=one.amount,
        by_hand=one.by_hand,
    )


async def reconcile(db: Database, networks: Networks, *, anew: bool = False) -> Outcome:
    """Compare the book with the chains now; see ``reconciliation.operations.reconcile``."""
    return await reconciliation.reconcile(db, networks, Witness(networks), anew=anew)
