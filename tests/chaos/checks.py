"""What must be true at the end, told by the chains and the receiver, not by the server's books."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gstable import AsyncClient, Event
from gstable_server.chain import abi
from gstable_server.chain.abi import payments
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.cli.stack import Stack
from gstable_server.kernel.address import Address
from gstable_server.kernel.tenant import Mode
from tests.chaos.crowd import FUNDS, Buyer
from tests.chaos.patience import Book, patiently
from tests.chaos.receiver import Receiver

FEE_PPM = {"direct": 2000, "relayed": 2000, "deposit": 2000, "cctp": 6000, "escrow": 6000}
MARGIN_PPM = {"escrow": 1000}
"""What of the fee the solver earns, of what the merchant gets."""
PAGE = 100
PROGRAM = [sys.executable, "-m", "gstable_server.cli"]
COMMANDS = (("ledger", "verify"), ("reconcile",))
COMMAND_SECONDS = 300.0
PAYMENTS = {f"0x{each.topic.hex()}" for each in (payments.PAID, payments.ROUTED)}


@dataclass(slots=True)
class Verdict:
    """``violations`` break a promise; ``counts`` are told besides."""

    violations: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def require(self, holds: bool, problem: str) -> None:
        """Note the problem unless it holds."""
        if not holds:
            self.violations.append(problem)


@dataclass(slots=True)
class Scene:
    """Everything that is looked at."""

    stack: Stack
    client: AsyncClient
    rpcs: dict[str, HttpRpc]
    buyers: Sequence[Buyer]
    receiver: Receiver
    book: Book


Check = Callable[[Scene, Verdict], Awaitable[None]]


async def judge(scene: Scene) -> Verdict:
    """Look at everything, once all is at rest."""
    verdict = Verdict()
    for check in (
        _no_payment_is_lost,
        _nobody_paid_twice,
        _everybody_got_theirs,
        _each_session_was_credited_once,
        _each_payment_is_one_on_chain,
        _every_event_was_delivered,
        _the_books_balance,
        _no_transaction_of_ours_had_two_effects,
        _no_network_halted,
        _the_commands_agree,
    ):
        found = await patiently(check.__name__, partial(_looked, check, scene))
        verdict.violations += found.violations
        verdict.counts |= found.counts
    return verdict


async def _looked(check: Check, scene: Scene) -> Verdict:
    verdict = Verdict()
    await check(scene, verdict)
    return verdict


async def _no_payment_is_lost(scene: Scene, verdict: Verdict) -> None:
    found: dict[str, str] = {}
    number = 1
    while len(found) < len(scene.buyers):  # bounded: by the pages
        page = await scene.client.checkout_session.list_all(number, PAGE)
        found |= {one.session.session_id: one.session.status for one in page.items}
        if not page.items:
            break
        number += 1
    lost = 0
    for buyer in scene.buyers:
        status = found.get(buyer.session_id, "unknown")
        if status != "completed":
            lost += 1
            about = f"{buyer.payment.kind} payment {buyer.payment.number} ({buyer.session_id})"
            verdict.require(False, f"{about} is {status} {buyer.problem}")
    verdict.counts |= {
        "lost": lost,
        # One idempotency key is one session, however often it was asked for.
        "sessions too many": len(found.keys() - {buyer.session_id for buyer in scene.buyers}),
    }
    verdict.require(not verdict.counts["sessions too many"], "there are sessions nobody opened")


async def _nobody_paid_twice(scene: Scene, verdict: Verdict) -> None:
    doubled = 0
    for buyer in scene.buyers:
        if not buyer.total:
            continue
        left = await _balance(scene, buyer.payment.paying, buyer.address)
        if FUNDS - left != buyer.total:
            doubled += FUNDS - left > buyer.total
            number, given = buyer.payment.number, FUNDS - left
            verdict.violations.append(f"payer {number} gave {given} instead of {buyer.total}")
    verdict.counts["doubled"] = doubled


async def _everybody_got_theirs(scene: Scene, verdict: Verdict) -> None:
    """Both wallets, to the unit, by the rates that are published."""
    merchant: Counter[str] = Counter()
    platform: Counter[str] = Counter()
    for buyer in scene.buyers:
        payment = buyer.payment
        fee = _rounded_up(payment.amount, FEE_PPM[payment.kind])
        merchant[payment.settlement] += payment.amount - fee
        margin = _rounded_up(payment.amount - fee, MARGIN_PPM.get(payment.kind, 0))
        platform[payment.paying] += fee - margin
    keys = scene.stack.keys
    for name, expected in (("merchant_key", merchant), ("fee_receiver_key", platform)):
        for token_id, amount in expected.items():
            has = await _balance(scene, token_id, keys.address(name))
            verdict.require(
                has == amount, f"{name} has {has} of {token_id} on chain instead of {amount}"
            )


async def _each_session_was_credited_once(scene: Scene, verdict: Verdict) -> None:
    rows = await scene.book.rows(
        "SELECT session_id, count(*) FILTER (WHERE pays AND state = 'final') AS credited, "
        "count(*) FILTER (WHERE state <> 'lost') AS all FROM payments GROUP BY 1"
    )
    for row in rows:
        verdict.require(
            (row["credited"], row["all"]) == (1, 1),
            f"session {row['session_id']} has {row['all']} payments, {row['credited']} credited",
        )


async def _each_payment_is_one_on_chain(scene: Scene, verdict: Verdict) -> None:
    """The canonical chains hold one payment log of each session, at our own routers."""
    keys = await scene.book.rows("SELECT session_id, session_key FROM sessions")
    found: Counter[bytes] = Counter()
    for network in scene.stack.networks.all:
        [logs] = await scene.rpcs[network.name].ask(
            [("eth_getLogs", [{"fromBlock": "0x0", "address": f"0x{network.router.hex()}"}])]
        )
        found.update(
            bytes.fromhex(log["topics"][1][2:]) for log in logs if log["topics"][0] in PAYMENTS
        )
    for row in keys:
        count = found[bytes(row["session_key"])]
        verdict.require(count == 1, f"session {row['session_id']} was paid {count} times on chain")


async def _every_event_was_delivered(scene: Scene, verdict: Verdict) -> None:
    """Each event of the feed arrived with a valid signature; in the order of its sequence, each
    session's events are a story that ends well, once."""
    told = await _feed(scene.client)
    arrived = scene.receiver.events
    ours = {buyer.session_id for buyer in scene.buyers}
    missing = [one for one in told if one.event_id not in arrived and one.object_id in ours]
    for event in missing[:5]:
        verdict.violations.append(f"{event.event_type} of {event.object_id} never arrived")
    strange = arrived.keys() - {event.event_id for event in told}
    verdict.require(not strange, f"{len(strange)} events arrived that were never told")
    verdict.require(
        not scene.receiver.unverified, f"{scene.receiver.unverified} letters do not verify"
    )
    stories: dict[str, list[Event]] = defaultdict(list)
    for event in arrived.values():
        stories[event.object_id].append(event)
    for session_id in sorted(ours):
        story = sorted(stories[session_id], key=lambda event: event.sequence or 0)
        problem = story_problem([event.event_type for event in story])
        verdict.require(not problem, f"{session_id}: {problem}")
    verdict.counts |= {
        "events": len(told),
        "not delivered": len(missing),
        "delivered again": scene.receiver.repeated,
        "overtaken": scene.receiver.overtaken,
    }


def story_problem(types: list[str]) -> str:
    """Why this is no story of one payment; empty when it is."""
    count = Counter(types)
    told = ", ".join(types)
    if types[:1] != ["session.created"] or types[-1:] != ["session.completed"]:
        return f"does not begin and end as it should: {told}"
    if count["session.created"] != 1 or count["session.completed"] != 1:
        return f"created or completed more than once: {told}"
    if count["session.paid"] - count["session.payment_reverted"] != 1:
        return f"not paid once more than reverted: {told}"
    return ""


async def _feed(client: AsyncClient) -> list[Event]:
    events: list[Event] = []
    cursor = "begin"
    while True:  # bounded: by the feed's end
        part = await client.event.feed(cursor, PAGE)
        if not part.events:
            return events
        events += part.events
        cursor = part.cursor


async def _the_books_balance(scene: Scene, verdict: Verdict) -> None:
    value = scene.book.value
    verdict.require(
        not await value(
            "SELECT count(*) FROM (SELECT 1 FROM ledger_entries GROUP BY token_id "
            "HAVING sum(amount) <> 0) AS unbalanced"
        ),
        "the ledger does not add up to zero",
    )
    open_accounts = await value(
        "SELECT count(*) FROM (SELECT 1 FROM ledger_entries "
        "WHERE account ~ ':(pending|exceptional)$' GROUP BY account, token_id "
        "HAVING sum(amount) <> 0) AS open"
    )
    verdict.require(not open_accounts, f"{open_accounts} accounts still hold what is under way")
    booked = await scene.book.rows(
        "SELECT token_id, sum(amount) AS amount FROM ledger_entries "
        "WHERE account ~ '^merchant:[^:]+$' GROUP BY 1"
    )
    wallet = scene.stack.keys.address("merchant_key")
    for row in booked:
        has = await _balance(scene, row["token_id"], wallet)
        verdict.require(
            has == row["amount"],
            f"the book has {row['amount']} of {row['token_id']}, the chain {has}",
        )


async def _no_transaction_of_ours_had_two_effects(scene: Scene, verdict: Verdict) -> None:
    """Of all that was ever signed for one cause, at most one succeeded on the canonical chain."""
    rows = await scene.book.rows("SELECT cause, network, nonce, tx_hash FROM executor_attempts")
    effects: Counter[str] = Counter()
    reverted = 0
    for row in rows:
        receipt = await scene.rpcs[row["network"]].receipt(bytes(row["tx_hash"]))
        if receipt is not None:
            effects[row["cause"]] += receipt.succeeded
            reverted += not receipt.succeeded
    for cause, count in effects.items():
        verdict.require(count <= 1, f"{cause} had {count} effects on chain")
    unfinished = await scene.book.value(
        "SELECT count(*) FROM executor_intents "
        "WHERE state NOT IN ('final', 'failed', 'refused', 'withdrawn')"
    )
    verdict.counts |= {
        "transactions of ours": sum(effects.values()),
        "reverted transactions of ours": reverted,
        "unfinished transactions of ours": unfinished,
    }


async def _no_network_halted(scene: Scene, verdict: Verdict) -> None:
    """Whatever happened stayed above what was final, so nothing may have been stopped by it."""
    log = scene.stack.networks_file.parent / "server.log"
    halted = [line for line in log.read_text(errors="replace").splitlines() if _is_halt(line)]
    verdict.counts["halts"] = len(halted)
    verdict.require(not halted, f"a network was halted: {halted[:1]}")


def _is_halt(line: str) -> bool:
    return "network halted" in line


async def _the_commands_agree(scene: Scene, verdict: Verdict) -> None:
    """The operator's own commands find nothing either."""
    environment = {
        **os.environ,
        "DATABASE_URL": scene.stack.database_url,
        "GSTABLE_NETWORKS_FILE": str(scene.stack.networks_file),
    }
    for command in COMMANDS:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *command,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        said = output.decode(errors="replace")[-500:]
        verdict.require(process.returncode == 0, f"gstable {' '.join(command)}: {said}")


async def _balance(scene: Scene, token_id: str, holder: Address) -> int:
    token = scene.stack.networks.require_token(token_id, Mode.TEST)
    data = abi.call_data(abi.BALANCE_OF, abi.address_word(holder))
    answer: Any = await scene.rpcs[token.network].call(token.address, data)
    return int.from_bytes(answer, "big")


def _rounded_up(value: int, ppm: int) -> int:
    return -(-value * ppm // 1_000_000)
