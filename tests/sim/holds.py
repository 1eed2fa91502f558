"""Merchants who have payments held, and capture them or give them back later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from gstable_server.chain.rails.hold import capture_call, void_call
from gstable_server.kernel.errors import Refused
from gstable_server.plumbing.db import Database
from gstable_server.sessions.holds import operations
from gstable_server.sessions.holds.wire import CaptureSession, VoidSession
from gstable_server.sessions.operations import Desk
from tests.sim.chain import SimChain, SimTx
from tests.sim.effects import in_hold
from tests.sim.sales import ACTS, ALONE, Act, Sale

TRIES_MAX = 6
"""How often a merchant asks for what is refused before giving up."""
BLOCKS_BETWEEN = 2
"""How many blocks a merchant waits before asking again."""


class Holds:
    """What merchants do with money that is held."""

    def __init__(self, chains: Mapping[str, SimChain], chance: Random) -> None:
        self._chains = chains
        self._chance = chance

    def plan(self, sale: Sale) -> None:
        """Decide what will become of the hold of ``sale``."""
        sale.acts = list(self._chance.choice(ACTS))

    def next_verb(self, sale: Sale) -> str | None:
        """What the merchant does about the hold next, once a payment was in a block."""
        if not sale.acts or not any(tx.tries for tx in sale.txs):
            return None
        if self._chains[sale.network.name].version < sale.again_at:
            return None
        return "act alone" if sale.acts[0] in ALONE else "act"

    async def act(self, db: Database, desk: Desk, sale: Sale) -> None:
        """The merchant asks us to capture or to give back."""
        assert sale.session is not None
        name, act = sale.session.session_id, sale.acts[0]
        tenant = sale.merchant.tenant
        try:
            if act is Act.VOID:
                void = VoidSession.model_validate({"sessionId": name})
                await db.run(operations.void, desk, tenant, void)
            else:
                asked: dict[str, object] = {"sessionId": name}
                if act is Act.CAPTURE_SOME:
                    asked["amount"] = self._part(sale)
                capture = CaptureSession.model_validate(asked)
                await db.run(operations.capture, desk, tenant, capture)
        except Refused:
            # Nobody has heard of the payment yet, something else is on its way, or it is over.
            sale.tries += 1
            sale.again_at = self._chains[sale.network.name].version + BLOCKS_BETWEEN
            if sale.tries >= TRIES_MAX:
                sale.acts.clear()
            return
        del sale.acts[:1]

    def act_alone(self, sale: Sale, tx_hash: bytes) -> None:
        """The merchant's own wallet captures or gives back, without telling us."""
        assert sale.session is not None
        key, chain = sale.session.session_key, self._chains[sale.network.name]
        if sale.acts.pop(0) is Act.VOID_ALONE:
            call = void_call(chain.network, key)
        else:
            call = capture_call(chain.network, key, self._part(sale))
        chain.pool.append(SimTx(tx_hash, wish=call, sender=sale.merchant.wallet))

    def _part(self, sale: Sale) -> int:
        return self._chance.randrange(sale.price // 10, sale.price // 2)

    def left(self, sales: list[Sale]) -> Iterator[str]:
        """What is held still, for people to read."""
        for sale in sales:
            if sale.session is not None:
                for network, chain in self._chains.items():
                    amount = chain.branch.kept[in_hold(sale.session.session_key)]
                    if amount:
                        yield f"{amount} of {sale.key} on {network}"
