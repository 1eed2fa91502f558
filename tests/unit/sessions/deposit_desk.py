"""A desk of four networks that takes deposits, and what its watch is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gstable_server.chain.deposits import NATIVE
from gstable_server.chain.executor import operations as executor
from gstable_server.chain.executor.model import IntentView
from gstable_server.chain.networks import Contract, Network, Networks
from gstable_server.kernel.address import Address
from gstable_server.plumbing.db import Database, Tx
from gstable_server.routing.model import RouteOption
from gstable_server.sessions.deposits import operations
from gstable_server.sessions.deposits.model import Deposit, DepositView
from gstable_server.sessions.model import SessionView
from tests.unit.routing.market import every_network, rails_of
from tests.unit.sessions.world import World

COLLECTOR = Address(b"\xdc" * 20)
REFUND_TO = Address(b"\x4e" * 20)


def networks_with_deposits() -> Networks:
    return Networks(
        tuple(
            replace(
                one, contracts=replace(one.contracts, deposit_collector=Contract(COLLECTOR, None))
            )
            for one in every_network().all
        )
    )


@dataclass
class Counter:
    """The world of ``world`` at a desk that takes deposits; tokens by id, ``name::native`` for a
    network's own coin."""

    world: World

    @classmethod
    def of(cls, world: World) -> Counter:
        networks = networks_with_deposits()
        world.desk = replace(world.desk, networks=networks, rails=rails_of(networks), relays=True)
        return cls(world)

    @property
    def db(self) -> Database:
        return self.world.db

    def network(self, name: str) -> Network:
        return self.world.desk.networks.network(name)

    async def open(
        self, view: SessionView, token_id: str = "polygon::usdc", **changes: Any
    ) -> tuple[DepositView, RouteOption]:
        """The payer asks for the address."""
        asked = {
            "client_code": view.session.client_code,
            "token_id": token_id,
            "refund_to": REFUND_TO,
            "payer_email": None,
            **changes,
        }
        return await self.db.run(
            operations.open_deposit, self.world.desk, view.session.session_id, **asked
        )

    async def deposit(self, **body: object) -> tuple[SessionView, Deposit]:
        """A session for 10 USD with an address."""
        view = await self.world.open(**body)  # type: ignore[arg-type]
        opened, _ = await self.open(view)
        return view, opened.deposit

    def place(self, token_id: str) -> tuple[Network, Address]:
        name, _, symbol = token_id.partition("::")
        network = self.network(name)
        if symbol == "native":
            return network, NATIVE
        [token] = [one for one in network.tokens if one.token_id == token_id]
        return network, token.address

    async def see(self, deposit: Deposit, token_id: str, balance: int) -> None:
        """The watch finds so much of one token there, and nothing else on that network."""
        await self.db.run(self._found, deposit, token_id, balance)

    async def _found(self, tx: Tx, deposit: Deposit, token_id: str, balance: int) -> None:
        network, token = self.place(token_id)
        balances = {one.address: 0 for one in network.tokens} | {NATIVE: 0, token: balance}
        await operations.found(tx, self.world.desk, network, deposit, balances)

    async def intents(self) -> list[IntentView]:
        """What the executor is to do, oldest first."""
        async with self.db.read() as tx:
            return await executor.list_open(tx)

    async def purposes(self) -> list[tuple[str, str]]:
        return [(one.intent.purpose, one.intent.network) for one in await self.intents()]

    async def rows(self, table: str) -> list[Mapping[str, Any]]:
        async with self.db.read() as tx:
            return [dict(row) for row in await tx.fetch(f"SELECT * FROM {table}")]

    async def executor_says(self, state: str) -> None:
        """The executor brings all that is open there; how it does is tested elsewhere."""
        mined = state in {"mined", "final", "failed"}
        signed = mined or state in {"signed", "sent"}
        async with self.db.begin() as tx:
            await tx.execute(_BRING, state, signed, mined, state != "failed")


_BRING = """
UPDATE executor_intents SET state = $1,
    account = CASE WHEN $2 THEN decode(repeat('12', 20), 'hex') END,
    nonce = CASE WHEN $2 THEN 1 END,
    tx_hash = CASE WHEN $2 THEN decode(repeat('ab', 32), 'hex') END,
    mined_hash = CASE WHEN $3 THEN decode(repeat('ab', 32), 'hex') END,
    block_number = CASE WHEN $3 THEN 7 END,
    block_hash = CASE WHEN $3 THEN decode(repeat('cd', 32), 'hex') END,
    succeeded = CASE WHEN $3 THEN $4::boolean END
WHERE state IN ('queued', 'signed', 'sent', 'mined')
"""
