"""What a network's nodes, contracts and our accounts on it are like."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from gstable_server.chain import abi
from gstable_server.chain.checks import check_network, contracts_of, number_of
from gstable_server.chain.checksum import keccak256, to_checksum
from gstable_server.chain.doctor.report import (
    Accounts,
    Finding,
    Outcome,
    failed,
    judged,
    ok,
    unknown,
    warning,
)
from gstable_server.chain.doctor.tokens import examine_token
from gstable_server.chain.http_rpc import TIMEOUT_SECONDS, HttpRpc
from gstable_server.chain.networks import Contract, Network
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing, Trouble

LAG_MAX = 20
"""Blocks that a node may be behind the foremost one of its network."""
LOG_SPANS = (10, 100, 500, 1000, 2000, 10_000, 50_000)


async def examine(network: Network, accounts: Accounts) -> list[Finding]:
    """Every look at ``network``, in the order of importance. A node that does not answer, or a
    wrong chain, ends it: nothing else would mean anything."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        findings = await _nodes(session, network)
        if any(each.outcome is Outcome.FAILED for each in findings):
            return findings
        rpc = HttpRpc(session, network.rpc_urls, network.chain_id)
        try:
            async for more in _looks(rpc, network, accounts):
                findings += more
        except Passing as failure:
            findings.append(failed(network.name, "node", f"stopped answering: {failure}"))
    return findings


async def _looks(
    rpc: HttpRpc, network: Network, accounts: Accounts
) -> AsyncIterator[list[Finding]]:
    yield await _contracts(rpc, network, accounts)
    yield await _finality(rpc, network)
    yield await _logs(rpc, network)
    yield await _gas(rpc, network)
    yield await _relayer(rpc, network, accounts)
    yield await _solver(rpc, network, accounts)
    yield await _permit2(rpc, network)
    for token in network.tokens:
        if await rpc.code(token.address):
            yield await examine_token(rpc, network, token, accounts)


async def _nodes(session: aiohttp.ClientSession, network: Network) -> list[Finding]:
    """Each address of ``rpc_urls`` by itself; only its host is shown, the rest may be a secret."""
    findings: list[Finding] = []
    heads: dict[str, int] = {}
    for url in network.rpc_urls:
        subject = urlsplit(url).netloc
        rpc = HttpRpc(session, [url], network.chain_id)
        try:
            chain_id = await rpc.chain_id()
            if chain_id != network.chain_id:
                found = f"{chain_id}, configured is {network.chain_id}"
                findings.append(failed(subject, "chain id", found))
                continue
            heads[subject] = await rpc.block_number()
        except Passing as failure:
            findings.append(failed(subject, "node", f"does not answer: {failure}"))
            continue
        findings.append(ok(subject, "chain id", str(chain_id)))
    foremost = max(heads.values(), default=0)
    for subject, head in heads.items():
        behind = foremost - head
        found = f"{head}, {behind} behind the foremost" if behind else str(head)
        judge = warning if behind > LAG_MAX else ok
        findings.append(judge(subject, "newest block", found))
    return findings


async def _contracts(rpc: HttpRpc, network: Network, accounts: Accounts) -> list[Finding]:
    """What the server itself checks when it starts, and the code hashes to pin."""
    problems = await check_network(rpc, network, accounts.order_signer)
    findings = [failed(network.name, "as configured", problem) for problem in problems]
    if accounts.order_signer is None:
        found = "not known: set GSTABLE_ORDER_SIGNING_KEY"
        findings.append(unknown(network.name, "order signer", found))
    elif not any("does not accept orders" in problem for problem in problems):
        found = f"{to_checksum(accounts.order_signer)} is accepted"
        findings.append(ok(network.name, "order signer", found))
    contracts = {
        "router": Contract(network.router, network.router_code_hash),
        **contracts_of(network),
        **{token.token_id: Contract(token.address, token.code_hash) for token in network.tokens},
    }
    for name, contract in contracts.items():
        shown = to_checksum(contract.address)
        code = await rpc.code(contract.address)
        if code and not any(shown in problem for problem in problems):
            pinned = "pinned" if contract.code_hash else "not pinned"
            findings.append(ok(name, "code", f"{shown} 0x{keccak256(code).hex()}, {pinned}"))
    return findings


async def _finality(rpc: HttpRpc, network: Network) -> list[Finding]:
    """Whether the chain says what is final, and how that compares with ``confirmations``."""
    findings: list[Finding] = []
    for tag in ("finalized", "safe"):
        try:
            newest, tagged = await rpc.ask(
                [("eth_getBlockByNumber", [each, False]) for each in ("latest", tag)]
            )
            behind = int(newest["number"], 16) - int(tagged["number"], 16)
        except (Trouble, TypeError, LookupError, ValueError):
            found = f"the node knows no block by the tag {tag}: only depth counts"
            findings.append(warning(network.name, tag, found))
            continue
        if behind <= 0:
            found = "is the newest block: the tag says nothing here, only depth counts"
            findings.append(warning(network.name, tag, found))
        else:
            found = f"{behind} blocks behind the newest; confirmations are {network.confirmations}"
            findings.append(ok(network.name, tag, found))
    return findings


async def _logs(rpc: HttpRpc, network: Network) -> list[Finding]:
    """How many blocks one question for logs may span, by block hash, and back to the start."""
    head = await rpc.block_number()
    findings = [await _logs_by_hash(rpc, network)]
    if network.start_block > head:
        found = f"{network.start_block} is not mined yet, the newest block is {head}"
        return [*findings, failed(network.name, "start block", found)]
    span_max = head - network.start_block + 1
    accepted = 0
    for span in sorted({*LOG_SPANS, network.log_range, span_max}):
        if span > span_max or not await _answers_logs(rpc, network, head - span + 1, head):
            break
        accepted = span
    whole = " (the whole chain from start_block)" if accepted == span_max else ""
    found = f"{accepted} blocks at once{whole}; log_range is {network.log_range}"
    judge = ok if accepted >= min(network.log_range, span_max) else warning
    findings.append(judge(network.name, "log range", found))
    last = min(head, network.start_block + 9)
    first_logs = await _answers_logs(rpc, network, network.start_block, last)
    found = f"logs of block {network.start_block} are " + ("there" if first_logs else "not given")
    return [*findings, judged(first_logs, network.name, "start block", found)]


async def _answers_logs(rpc: HttpRpc, network: Network, first: int, last: int) -> bool:
    asked = {
        "fromBlock": hex(first),
        "toBlock": hex(last),
        "address": ["0x" + network.router.hex()],
    }
    return await _answer(rpc, "eth_getLogs", asked) is not None


async def _logs_by_hash(rpc: HttpRpc, network: Network) -> Finding:
    newest = await _answer(rpc, "eth_getBlockByNumber", "latest", False)
    block_hash = newest["hash"] if newest else ""
    asked = {"blockHash": block_hash, "address": ["0x" + network.router.hex()]}
    good = await _answer(rpc, "eth_getLogs", asked) is not None
    found = "are answered" if good else "are not answered: the indexer needs them"
    return judged(good, network.name, "logs by block hash", found)


async def _gas(rpc: HttpRpc, network: Network) -> list[Finding]:
    price = await rpc.gas_price()
    limit = network.gas.price_max
    found = f"{price}, price_max is {limit} (smallest units of {network.native_symbol})"
    too_high = f"{found}: our transactions wait"
    newest = await _answer(rpc, "eth_getBlockByNumber", "latest", False)
    has_base_fee = bool(newest and newest.get("baseFeePerGas"))
    return [
        ok(network.name, "gas price", found)
        if price <= limit
        else warning(network.name, "gas price", too_high),
        judged(
            has_base_fee,
            network.name,
            "base fee",
            "blocks have one (EIP-1559)" if has_base_fee else "none: EIP-1559 is needed",
        ),
    ]


async def _relayer(rpc: HttpRpc, network: Network, accounts: Accounts) -> list[Finding]:
    return [await _funds(rpc, network, "relayer", accounts.relayer)]


async def _funds(rpc: HttpRpc, network: Network, name: str, account: Address | None) -> Finding:
    if account is None:
        return unknown(name, "gas funds", f"not known: set GSTABLE_{name.upper()}_KEY")
    balance = int(await _answer(rpc, "eth_getBalance", "0x" + account.hex(), "latest") or "0x0", 16)
    found = f"{to_checksum(account)} has {balance}, funds_min is {network.gas.funds_min}"
    return judged(balance >= network.gas.funds_min, name, "gas funds", found)


async def _solver(rpc: HttpRpc, network: Network, accounts: Accounts) -> list[Finding]:
    """Whether the escrow rail of this network can be served."""
    rail = network.contracts.escrow_rail
    if rail is None:
        return []
    findings = [await _funds(rpc, network, "solver", accounts.solver)]
    for name, account, signature in (
        ("solver", accounts.solver, "solverSince(address)"),
        ("attestor", accounts.attestor, "attestorSince(address)"),
    ):
        if account is not None:
            data = abi.call_data(signature, abi.address_word(account))
            listed = bool(await number_of(rpc, rail.address, data))
            found = f"{to_checksum(account)} is " + ("listed" if listed else "not listed")
            findings.append(judged(listed, name, "escrow rail", found))
    threshold = await number_of(rpc, rail.address, abi.call_data("threshold()"))
    found = f"{threshold} attestors must sign"
    findings.append(judged(threshold == 1, "escrow_rail", "threshold", found))
    if accounts.solver is None:
        return findings
    owner, spender = abi.address_word(accounts.solver), abi.address_word(rail.address)
    for token in network.tokens:
        held = await number_of(rpc, token.address, abi.call_data(abi.BALANCE_OF, owner)) or 0
        data = abi.call_data(abi.ALLOWANCE, owner, spender)
        allowed = await number_of(rpc, token.address, data) or 0
        judge = ok if held and allowed else warning
        found = f"has {held} units, allows the escrow rail {min(held, allowed)} of them"
        findings.append(judge("solver", token.token_id, found))
    return findings


async def _permit2(rpc: HttpRpc, network: Network) -> list[Finding]:
    """Signatures fit Permit2's own idea of its domain; it has no version (Permit2, EIP712.sol)."""
    if network.permit2 is None:
        return [ok(network.name, "Permit2", "not configured")]
    kind = keccak256(b"EIP712Domain(string name,uint256 chainId,address verifyingContract)")
    expected = keccak256(
        kind
        + keccak256(b"Permit2")
        + abi.number_word(network.chain_id)
        + abi.address_word(network.permit2)
    )
    separator = await number_of(rpc, network.permit2, abi.call_data("DOMAIN_SEPARATOR()"))
    good = separator == int.from_bytes(expected, "big")
    found = "its domain is as computed" if good else "its domain is not that of Permit2"
    return [judged(good, "permit2", "signing domain", found)]


async def _answer(rpc: HttpRpc, method: str, *parameters: object) -> Any:
    """The answer as plain JSON, None when the node refuses or does not know."""
    try:
        [answer] = await rpc.ask([(method, list(parameters))])
    except Trouble:
        return None
    return answer
