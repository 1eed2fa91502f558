"""How long people wait: for the letter of a payment, and for money that crosses.

First: block mined → ``session.paid`` verified at the merchant's receiver, with a few payments under
way at a time (``bench/mix`` measures the same under load).

Then: payment mined on one chain → merchant funded on the other. Three payers pay at a local
installation, by turns through CCTP and through the escrow. A watcher per chain notes when each
block appears, so that a time between two blocks is not rounded to the whole seconds of their own
timestamps. The floor is what no design can avoid here: one inclusion on each chain, measured in
the same run with a bare transfer of the chain's own coin.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import aiohttp
import uvloop

from bench.mix import run as mix
from bench.percentiles import Result
from gstable import AsyncClient, SessionDetail
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.payer import Payer
from gstable_server.cli.stack import Stack, open_stack

SOURCE, DESTINATION = "ethereum", "base"
SETTLEMENT = "base::usdc"
PAYING = {"cctp": "ethereum::usdc", "escrow": "ethereum::usdt"}
FLOOR = "floor"
SAMPLE_SECONDS = 0.02
LOOK_SECONDS = 0.5
COMPLETED_SECONDS = 120.0
AIM_SECONDS = 6.0
LETTER = "letter"
LETTERS_UNDER_WAY = 8
LETTERS_WARM_UP = 5
LETTER_AIM_SECONDS = 1.0


class Arrivals:
    """When each block of each chain was seen first, on this process's own clock."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], float] = {}

    async def watch(self, network: Network) -> None:
        """Look at the chain's height until cancelled."""
        async with open_rpc(network) as rpc:
            height = await rpc.block_number()
            while True:  # bounded: ends with the task
                now_at = await rpc.block_number()
                for number in range(height + 1, now_at + 1):
                    self._seen[network.name, number] = time.monotonic()
                height = now_at
                await asyncio.sleep(SAMPLE_SECONDS)

    def of(self, network: str, number: int) -> float:
        return self._seen[network, number]


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code says whether it ran, not how fast it was."""
    parser = argparse.ArgumentParser(prog="./run bench latency", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="of payments with their letters")
    parser.add_argument("--payments", type=int, default=30, help="for each rail; 0 for none")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args(arguments)
    if options.payments < 0 or options.seconds < 1:
        parser.error("--seconds must be at least 1, --payments at least 0")
    before = os.getloadavg()[0]
    results = {LETTER: uvloop.run(measure_letters(options.seconds))}
    if options.payments:
        results |= asyncio.run(measure(options.payments))
    load = (before, os.getloadavg()[0])
    if options.json:
        print(json.dumps({name: asdict(one) for name, one in results.items()} | {"load": load}))
    else:
        print(table(results, load))
    return 0


async def measure_letters(seconds: int) -> Result:
    """The seconds from each payment's block to its letter."""
    report = await mix.measure(seconds, LETTERS_WARM_UP, LETTERS_UNDER_WAY)
    return report.legs[mix.BLOCK_TO_PAID]


async def measure(payments: int) -> dict[str, Result]:
    """The seconds of each rail's crossings, and of the floor."""
    async with open_stack(0, None) as stack, _watched(stack) as arrivals:
        work = iter([rail for _ in range(payments) for rail in PAYING])
        seconds: dict[str, list[float]] = {FLOOR: [], **{rail: [] for rail in PAYING}}
        async with asyncio.TaskGroup() as together:
            for key in stack.keys.payer_private_keys:
                together.create_task(_one_payer(stack, arrivals, key, work, seconds))
    return {name: Result.of(found) for name, found in seconds.items()}


@asynccontextmanager
async def _watched(stack: Stack) -> AsyncIterator[Arrivals]:
    arrivals = Arrivals()
    watchers = [
        asyncio.create_task(arrivals.watch(stack.devnet.networks.network(name)))
        for name in (SOURCE, DESTINATION)
    ]
    try:
        yield arrivals
    finally:
        for watcher in watchers:
            watcher.cancel()


async def _one_payer(
    stack: Stack,
    arrivals: Arrivals,
    key: str,
    work: Iterator[str],
    seconds: dict[str, list[float]],
) -> None:
    networks = stack.devnet.networks
    source, destination = networks.network(SOURCE), networks.network(DESTINATION)
    async with (
        aiohttp.ClientSession() as http,
        AsyncClient(stack.shop.api_key, base_url=f"{stack.base}/api/v1") as client,
        open_rpc(source) as here,
        open_rpc(destination) as there,
    ):
        payer = Payer(http, stack.base, networks, key)
        for rail in work:
            # Blocks come every second: begin anywhere between two of them.
            await asyncio.sleep(random.random())
            paid, delivered = await _crossing(stack, client, payer, rail)
            paid_at = arrivals.of(SOURCE, await _block(here, paid))
            funded_at = arrivals.of(DESTINATION, await _block(there, delivered))
            seconds[rail].append(funded_at - paid_at)
            total = 0.0
            for network, rpc in ((source, here), (destination, there)):
                await asyncio.sleep(random.random())
                total += await _inclusion(arrivals, network, rpc, key)
            seconds[FLOOR].append(total)
            print(f"{rail} {funded_at - paid_at:.2f} s", file=sys.stderr, flush=True)


async def _crossing(stack: Stack, client: AsyncClient, payer: Payer, rail: str) -> tuple[str, str]:
    """One payment, until it is completed: the transactions that paid and that delivered."""
    session = await client.checkout_session.create(
        account_id=stack.shop.account_id,
        settlement_token=SETTLEMENT,
        line_items=[
            {
                "item_type": "one_time",
                "quantity": 1,
                "unit_price": 10_000_000,
                "product_data": {"product_name": "Tea"},
            }
        ],
    )
    paid = await payer.pay(session.payment_url, PAYING[rail])
    found = await _completed(client, session.session_id)
    assert found.transaction is not None
    assert found.transaction.source_tx == paid.tx_hash_hex
    return paid.tx_hash_hex, found.transaction.target_tx


async def _completed(client: AsyncClient, session_id: str) -> SessionDetail:
    deadline = time.monotonic() + COMPLETED_SECONDS
    while True:  # bounded: by the deadline
        found = await client.checkout_session.detail(session_id)
        if found.session.status == "completed":
            return found
        if time.monotonic() > deadline:
            raise RuntimeError(f"{session_id} is still {found.session.status}")
        await asyncio.sleep(LOOK_SECONDS)


async def _block(rpc: HttpRpc, tx_hash_hex: str) -> int:
    receipt = await rpc.receipt(bytes.fromhex(tx_hash_hex[2:]))
    assert receipt is not None
    assert receipt.succeeded
    return receipt.block_number


async def _inclusion(arrivals: Arrivals, network: Network, rpc: HttpRpc, key: str) -> float:
    """Seconds from sending a bare transfer to the arrival of its block."""
    wallet = Wallet(private_key_from_hex(key), rpc, network.chain_id)
    fee = 2 * await rpc.gas_price() + 10**9
    nonce = await rpc.transaction_count(wallet.address)
    call = ContractCall(to=wallet.address, data=b"", value=1)
    raw = wallet.sign(call, nonce=nonce, gas=21_000, fee=fee)
    sent_at = time.monotonic()
    receipt = await wallet.wait(await rpc.send_raw(raw))
    await asyncio.sleep(5 * SAMPLE_SECONDS)
    return arrivals.of(network.name, receipt.block_number) - sent_at


def table(results: dict[str, Result], load: tuple[float, float]) -> str:
    """The result for people, in seconds."""
    lines = [f"{'':8} {'count':>6} {'p50':>7} {'p99':>7} {'longest':>8} {'p50/floor':>10}"]
    for name, one in results.items():
        ratio = f"{one.p50 / results[FLOOR].p50:.1f}" if name in PAYING else ""
        lines.append(
            f"{name:8} {one.count:>6} {one.p50:>7.2f} {one.p99:>7.2f} "
            f"{one.longest:>8.2f} {ratio:>10}"
        )
    lines.append(
        f"\naims: p99 of {LETTER} {LETTER_AIM_SECONDS:.0f} s, the others {AIM_SECONDS:.0f} s; "
        f"load average before and after: {load[0]:.1f}, {load[1]:.1f}"
    )
    return "\n".join(lines)
