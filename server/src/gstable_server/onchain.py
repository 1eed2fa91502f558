"""The roles that work on chains: who reads them, and who sends to them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from pydantic import SecretStr

from gstable_server import flow
from gstable_server.chain.executor.loop import Executor
from gstable_server.chain.executor.model import Sender
from gstable_server.chain.executor.node import open_node
from gstable_server.chain.executor.runner import Limits
from gstable_server.chain.finality import warn_of_finality
from gstable_server.chain.heads import watch_heads
from gstable_server.chain.http_rpc import HttpRpc, open_rpc, open_rpcs
from gstable_server.chain.indexer import Indexer
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.networks import Network
from gstable_server.chain.operations import check_network
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.config import Settings
from gstable_server.plumbing.regularly import pause

log = structlog.get_logger(__name__)

RECHECK_SECONDS = 5.0


def key_of(secret: SecretStr | None) -> bytes | None:
    """The bytes of a private key from the settings, None where none is set."""
    return private_key_from_hex(secret.get_secret_value()) if secret else None


async def index(world: flow.World, stop: asyncio.Event) -> None:
    """Follow every network that is what the configuration says, until ``stop``."""
    async with asyncio.TaskGroup() as group:
        for network in world.desk.networks.all:
            group.create_task(_follow(world, network, stop))


async def _follow(world: flow.World, network: Network, stop: asyncio.Event) -> None:
    async with open_rpc(network) as rpc:
        while not stop.is_set() and not await _usable(rpc, network, world.desk.signer.address):
            await pause(stop, RECHECK_SECONDS)
        await warn_of_finality(rpc, network)
    async with open_rpcs(network) as rpcs, asyncio.TaskGroup() as group:
        indexer = Indexer(world.db, network, rpcs, world.desk.rails)
        if network.ws_url:
            group.create_task(watch_heads(network.ws_url, indexer.wake, stop))
        group.create_task(indexer.run(stop))


async def execute(settings: Settings, world: flow.World, stop: asyncio.Event) -> None:
    """Send what is wanted with the keys that are set, until ``stop``."""
    given = {Sender.RELAYER: settings.relayer_key, Sender.SOLVER: settings.solver_key}
    keys = {sender: key for sender, one in given.items() if (key := key_of(one)) is not None}
    limits = Limits(
        gas_max=settings.gas_max, patience=timedelta(seconds=settings.raise_fees_seconds)
    )
    executor = Executor(world.db, keys, limits)
    async with asyncio.TaskGroup() as group:
        group.create_task(executor.watch_queue(stop))
        for network in world.desk.networks.all:
            group.create_task(_send_on(world, executor, network, stop))


async def _send_on(
    world: flow.World, executor: Executor, network: Network, stop: asyncio.Event
) -> None:
    async with open_node(network) as node:
        while not stop.is_set() and not await _usable(node, network, world.desk.signer.address):
            await pause(stop, RECHECK_SECONDS)
        await executor.send_on(network, node, stop)


async def _usable(rpc: HttpRpc, network: Network, signer: Address) -> bool:
    """Whether the chain is what the configuration says. Refused, not ignored: nothing is credited
    from a chain, contract or token that is not the configured one. Looked at again later, because
    a node may only be starting."""
    try:
        problems = await check_network(rpc, network, signer)
    except Passing as failure:
        problems = [str(failure)]
    if problems:
        log.error("network refused", network=network.name, problems=problems)
    return not problems
