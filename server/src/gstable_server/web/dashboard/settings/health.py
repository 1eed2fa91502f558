"""How the networks are read, and, for the business that runs the installation, how all of it does.

Whose installation it is: the merchant's that was made first, at the first run. Other merchants see
the networks, because they explain why a payment is not seen yet; queues, gas money and the book are
of everybody together, and nobody else's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.chain import operations as chain
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import NodeRefused, Rpc
from gstable_server.kernel.errors import Passing
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing import queues
from gstable_server.plumbing.db import Tx
from gstable_server.receipts import operations as receipts
from gstable_server.reconciliation import operations as reconciliation
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.unmatched import operations as unmatched
from gstable_server.settlement import operations as settlement
from gstable_server.web.dashboard.guard import Guard, Visit
from gstable_server.web.dashboard.settings.health_presenter import (
    Check,
    comparison,
    comparison_rows,
    crossings,
    fund_row,
    letters,
    network_row,
    receipt_letters,
    seals,
    sender_row,
    unmatched_row,
    unsettled_rows,
    work,
)
from gstable_server.webhooks import operations as webhooks

SECTION = "health"
COUNTED = 10_000
"""A queue that is longer is told to be so long."""
ANSWER_SECONDS = 2.0


class HealthPage:
    """The handler of the page."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.desk = guard.desk

    async def show(self, visit: Visit) -> Response:
        # Nodes are asked before a transaction is begun: the slowest decides how long it takes.
        answers = await answering(self.guard.chains, self.desk.networks.all)
        async with self.db.read() as tx:
            states = {one.network: one for one in await chain.network_states(tx)}
            runs_it = await accounts.is_first_merchant(tx, visit.tenant.merchant_id)
            rest = await self._installation(tx) if runs_it else []
            outcome = await reconciliation.last(tx) if runs_it else None
            now = tx.now
        networks = [
            network_row(one, states.get(one.name), answers.get(one.name), now)
            for one in self.desk.networks.all
            if runs_it or one.mode is visit.tenant.mode
        ]
        return self.guard.show(
            visit,
            "health.html",
            SECTION,
            networks=networks,
            runs_it=runs_it,
            rest=rest,
            outcome=comparison_rows(outcome, now) if outcome else None,
        )

    async def _installation(self, tx: Tx) -> list[Check]:
        """Every queue and reserve, those that need somebody first."""
        now, networks = tx.now, self.desk.networks
        found = [
            *work(await queues.look(tx, COUNTED), now),
            letters(await webhooks.backlog(tx, COUNTED), now),
            receipt_letters(await receipts.backlog(tx, COUNTED), now),
            *unsettled_rows(await sessions.unsettled(tx), now),
            crossings(await settlement.count_open(tx)),
            *[sender_row(one, networks, now) for one in await executor.backlog(tx)],
            *[
                fund_row(one, networks)
                for one in await executor.funds(tx)
                if networks.find_network(one.network) is not None
            ],
            seals(await ledger.unsealed(tx), now),
            comparison(await reconciliation.last(tx), now),
            *[unmatched_row(one, networks) for one in await unmatched.summary(tx)],
        ]
        return sorted(found, key=lambda one: one.is_good)


async def answering(chains: Mapping[str, Rpc], networks: tuple[Network, ...]) -> dict[str, bool]:
    """By network whether a node of it answers now; without those that this process does not ask."""
    asked = [one.name for one in networks if one.name in chains]
    found = await asyncio.gather(*(_answers(chains[name]) for name in asked))
    return dict(zip(asked, found, strict=True))


async def _answers(rpc: Rpc) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await rpc.block_number()
    except (Passing, NodeRefused, TimeoutError):
        return False
    return True
