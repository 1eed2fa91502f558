"""Payers with a new key each, funded on the shared installation's local chains."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gstable_server.chain.devnet import Devnet
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.kernel.address import Address
from tests.contract.wire.published_agent import PublishedAgent
from tests.running import Running

TOKENS = 100_000_000
"""What each payer begins with, in atomic units of every token of its networks."""
COINS = 10**18


def fund(running: Running, holder: Address, *networks: str) -> None:
    """Tokens and coins for gas, on these networks."""
    devnet = Devnet(Path(running.about["networksFile"]).parent, running.networks, [], 0)

    async def give() -> None:
        for name in networks:
            symbols = {token.symbol: TOKENS for token in running.networks.network(name).tokens}
            await devnet.fund_all(name, [holder], symbols)
            await devnet.set_balance(name, holder, COINS)

    asyncio.run(give())


@contextmanager
def open_agent(
    running: Running, *networks: str, private_key: str | None = None
) -> Iterator[PublishedAgent]:
    """The published client with a payer of its own, who has money on these networks."""
    key = private_key or secrets.token_hex(32)
    fund(running, address_of_key(private_key_from_hex(key)), *networks)
    urls = {str(one.chain_id): one.rpc_urls[0] for one in running.networks.all}
    agent = PublishedAgent(f"{running.base_url}/aipay/api/v1", "0x" + key, urls)
    try:
        yield agent
    finally:
        agent.close()
