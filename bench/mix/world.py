"""What the mix runs on: a whole installation with one network, and a payer who pays in batches."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.batching import Batcher, deploy_batcher
from bench.mix.wire import Client, Receiver
from bench.processes import cpu_seconds, family_cpu_seconds
from gstable import AsyncClient
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.networks import Network, Networks, Token
from gstable_server.cli.stack import Stack, open_stack

NETWORK, TOKEN = "base", "base::usdc"
ROLES = ("api", "worker", "indexer")
EVENTS = ["session.paid", "session.completed"]
UNLIMITED = "1000000000"
SETTINGS = {
    "GSTABLE_KEY_RATE_PER_SECOND": UNLIMITED,
    "GSTABLE_KEY_BURST": UNLIMITED,
    "GSTABLE_ADDRESS_RATE_PER_SECOND": UNLIMITED,
    "GSTABLE_ADDRESS_BURST": UNLIMITED,
    "GSTABLE_LOG_LEVEL": "warning",
    "GSTABLE_WEBHOOK_PER_ENDPOINT": "50",
}


@dataclass(frozen=True, slots=True)
class World:
    """A running installation, its merchant's client and receiver, and the payer."""

    stack: Stack
    network: Network
    token: Token
    client: Client
    payer: Batcher
    own_pid: int

    def cpu(self) -> dict[str, float]:
        """Seconds that each process used so far; ``bench`` is who asks, pays and receives."""
        roles = self.stack.roles.processes
        assert self.stack.postgres is not None, "the bench starts a database of its own"
        return {
            **{role: cpu_seconds(roles[role].pid) for role in ROLES},
            "postgres": family_cpu_seconds(self.stack.postgres.pid),
            "anvil": cpu_seconds(self.stack.devnet.pid(NETWORK)),
            "bench": cpu_seconds(self.own_pid),
        }


@asynccontextmanager
async def _only_one(networks: Networks) -> AsyncIterator[Networks]:
    yield Networks((networks.network(NETWORK),))


@asynccontextmanager
async def open_world(receiver: Receiver) -> AsyncIterator[World]:
    """Start it all; everything is ended and removed at the end."""
    os.environ.pop("DATABASE_URL", None)
    os.environ.update(SETTINGS)
    async with open_stack(0, None, ROLES, front=_only_one) as stack:
        network = stack.devnet.networks.network(NETWORK)
        for other in stack.devnet.networks.all:
            # Nobody asks them anything, and their blocks would cost time.
            stack.devnet.pause(other.name, paused=other.name != NETWORK)
        await _point_webhook(stack, receiver)
        [token] = [one for one in network.tokens if one.token_id == TOKEN]
        port = urlsplit(stack.base).port
        assert port is not None
        client = Client(port, {"authorization": f"Bearer {stack.shop.api_key}"})
        async with open_rpc(network) as rpc:
            payer = await deploy_batcher(stack.devnet, network, token, rpc)
            try:
                yield World(stack, network, token, client, payer, os.getpid())
            finally:
                client.close()


async def _point_webhook(stack: Stack, receiver: Receiver) -> None:
    """The shop's letters go to the receiver, and those of other types to nobody."""
    url = await receiver.listen()
    async with AsyncClient(stack.shop.api_key, base_url=f"{stack.base}/api/v1") as shop:
        await shop.webhook.update(
            stack.shop.webhook_id,
            webhook_name="Measured",
            webhook_url=url,
            subscribed_events=EVENTS,
        )
    receiver.secret = stack.inbox.secret
