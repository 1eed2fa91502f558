"""What a token does: how it answers, what it takes from transfers, what its holders can sign."""

from __future__ import annotations

from collections.abc import Sequence

from gstable_server.chain import abi
from gstable_server.chain.checks import number_of
from gstable_server.chain.checksum import keccak256, to_checksum
from gstable_server.chain.doctor.report import (
    Accounts,
    Finding,
    failed,
    judged,
    ok,
    unknown,
    warning,
)
from gstable_server.chain.doctor.simulation import (
    RECEIVER,
    SPENDER,
    Holder,
    Simulated,
    find_holder,
    simulate,
)
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.rpc import NodeRefused
from gstable_server.chain.typed_data import Domain
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Trouble

AMOUNT = 1_000_000
"""Atomic units that are moved in the simulation: a fee of a millionth shows."""
TRANSFER_FROM = "transferFrom(address,address,uint256)"
DOMAIN_SEPARATOR = "DOMAIN_SEPARATOR()"
AUTHORIZATION_STATE = "authorizationState(address,bytes32)"
RECEIVE_WITH_AUTHORIZATION = (
    "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"
)
BLACKLISTS = ("isBlacklisted(address)", "isBlackListed(address)", "isBlocked(address)")
IMPLEMENTATION_SLOTS = (
    (keccak256(b"eip1967.proxy.implementation"), 1),
    (keccak256(b"org.zeppelinos.proxy.implementation"), 0),
)
"""Where proxies keep the address of their code, less the second number (ERC-1967, and older)."""


async def examine_token(
    rpc: HttpRpc, network: Network, token: Token, accounts: Accounts
) -> list[Finding]:
    """Every look at one token that has code. Raises ``Passing`` when the node stops answering."""
    findings = [await _decimals(rpc, token), await _symbol(rpc, token), await _proxy(rpc, token)]
    candidates = [accounts.holders.get(token.token_id), accounts.solver]
    holder = await find_holder(rpc, token.address, candidates)
    findings += await _movements(rpc, token, holder)
    findings += await _blocks(rpc, network, token, accounts)
    findings += await _signing(rpc, token)
    return findings


async def _decimals(rpc: HttpRpc, token: Token) -> Finding:
    decimals = await number_of(rpc, token.address, abi.call_data(abi.DECIMALS))
    return judged(
        decimals == token.decimals,
        token.token_id,
        "decimals",
        f"{decimals}, configured are {token.decimals}",
    )


async def _symbol(rpc: HttpRpc, token: Token) -> Finding:
    symbol = await _text(rpc, token.address, "symbol()")
    if symbol is None:
        return warning(token.token_id, "symbol", "symbol() does not answer with a string")
    if symbol.lower() != token.symbol.lower():
        return warning(
            token.token_id, "symbol", f"calls itself {symbol!r}, configured is {token.symbol}"
        )
    return ok(token.token_id, "symbol", symbol)


async def _proxy(rpc: HttpRpc, token: Token) -> Finding:
    for slot, less in IMPLEMENTATION_SLOTS:
        key = abi.number_word(int.from_bytes(slot, "big") - less)
        [word] = await rpc.ask(
            [("eth_getStorageAt", ["0x" + token.address.hex(), "0x" + key.hex(), "latest"])]
        )
        implementation = Address(bytes.fromhex(str(word)[2:].rjust(64, "0"))[12:])
        if any(implementation):
            found = f"runs code of {to_checksum(implementation)}, which code_hash does not pin"
            return ok(token.token_id, "proxy", found)
    return ok(token.token_id, "proxy", "none found: code_hash pins the code")


async def _movements(rpc: HttpRpc, token: Token, holder: Holder | None) -> list[Finding]:
    """What transfers and approvals return and take, tried without changing anything."""
    subject = token.token_id
    if holder is None or holder.balance < 2 * AMOUNT:
        found = f"no account with {2 * AMOUNT} units to try with: name one with --holder"
        return [unknown(subject, check, found) for check in ("transfer", "approve", "transfer fee")]
    move = (abi.address_word(RECEIVER), abi.number_word(AMOUNT))
    approve = abi.call_data(abi.APPROVE, abi.address_word(SPENDER), abi.number_word(AMOUNT))
    balance = abi.call_data(abi.BALANCE_OF, abi.address_word(RECEIVER))
    take = abi.call_data(TRANSFER_FROM, abi.address_word(holder.account), *move)
    outcomes = await simulate(
        rpc,
        token.address,
        holder,
        [
            (RECEIVER, balance),
            (holder.account, abi.call_data(abi.TRANSFER, *move)),
            (RECEIVER, balance),
            (holder.account, approve),
            (holder.account, approve),
            (SPENDER, take),
        ],
    )
    if outcomes is None:
        found = "the node does not simulate (eth_simulateV1)"
        return [unknown(subject, check, found) for check in ("transfer", "approve", "transfer fee")]
    before, transfer, after, first, second, taken = outcomes
    return [
        _returned(subject, "transfer", transfer),
        _returned(subject, "transferFrom", taken),
        _returned(subject, "approve", first),
        _approved_again(subject, second),
        _fee(subject, before, transfer, after),
    ]


def _returned(subject: str, check: str, call: Simulated) -> Finding:
    if not call.succeeded:
        return failed(subject, check, "is refused")
    if call.returned in (b"", abi.number_word(1)):
        return ok(subject, check, "returns true" if call.returned else "returns nothing")
    if call.returned == abi.number_word(0):
        return failed(subject, check, "returns false although it succeeds")
    return failed(subject, check, f"returns {len(call.returned)} bytes that are no truth value")


def _approved_again(subject: str, call: Simulated) -> Finding:
    found = "is taken" if call.succeeded else "is refused: a left-over must be set to 0 first"
    return ok(subject, "approve again", found)


def _fee(subject: str, before: Simulated, transfer: Simulated, after: Simulated) -> Finding:
    check = "transfer fee"
    if not (transfer.succeeded and before.succeeded and after.succeeded):
        return unknown(subject, check, "a transfer is refused")
    arrived = int.from_bytes(after.returned, "big") - int.from_bytes(before.returned, "big")
    if arrived == AMOUNT:
        return ok(subject, check, "none: what is sent arrives")
    return failed(subject, check, f"of {AMOUNT} units sent, {arrived} arrive")


async def _blocks(
    rpc: HttpRpc, network: Network, token: Token, accounts: Accounts
) -> list[Finding]:
    """Who may stop the token, and whether ours are stopped already."""
    subject = token.token_id
    ours = {name: one.address for name, one in network.contracts.configured.items()}
    if accounts.solver:
        ours["solver"] = accounts.solver
    findings: list[Finding] = []
    paused = await number_of(rpc, token.address, abi.call_data("paused()"))
    if paused is not None:
        found = "paused now" if paused else "can be paused, is not"
        findings.append(judged(not paused, subject, "pause", found))
    for signature in BLACKLISTS:
        listed = {
            name: await number_of(
                rpc, token.address, abi.call_data(signature, abi.address_word(account))
            )
            for name, account in {"nobody": RECEIVER, **ours}.items()
        }
        if listed["nobody"] is not None:
            names = ", ".join(name for name, answer in listed.items() if answer)
            found = f"lists {names}" if names else f"has one ({signature}), nobody of ours is on it"
            findings.append(judged(not names, subject, "blacklist", found))
    if len(findings) < 2:
        findings.append(ok(subject, "blacklist", "no other known function for it answers"))
    return findings


async def _signing(rpc: HttpRpc, token: Token) -> list[Finding]:
    """EIP-2612 and EIP-3009: what answers, and whether signatures would fit the domain."""
    subject, signing = token.token_id, token.signing
    separator = await _word(rpc, token.address, abi.call_data(DOMAIN_SEPARATOR))
    nonce = abi.call_data(abi.NONCES, abi.address_word(RECEIVER))
    has_permit = await number_of(rpc, token.address, nonce) is not None
    has_erc3009 = await _has_erc3009(rpc, token)
    found = [
        name
        for name, answers in (("EIP-2612 permit", has_permit), ("EIP-3009", has_erc3009))
        if answers and separator is not None
    ]
    answering = " and ".join(found) or "neither EIP-2612 nor EIP-3009"
    if signing is None:
        hint = await _signing_hint(rpc, token, separator) if found else ""
        return [ok(subject, "signing", f"{answering}; not configured{hint}")]
    expected = Domain(signing.name, signing.version, token.chain_id, token.address).separator
    findings = [
        judged(
            separator == expected,
            subject,
            "signing domain",
            "equals name and version as configured"
            if separator == expected
            else f"is {_shown(separator)}, name and version as configured give {_shown(expected)}",
        )
    ]
    for check, configured, answers in (
        ("EIP-2612 permit", signing.permit, has_permit),
        ("EIP-3009", signing.erc3009, has_erc3009),
    ):
        if configured:
            found_text = "answers" if answers else "is configured, does not answer"
            findings.append(judged(answers, subject, check, found_text))
        else:
            found_text = "answers, is not configured" if answers else "does not answer"
            findings.append(ok(subject, check, found_text))
    return findings


async def _has_erc3009(rpc: HttpRpc, token: Token) -> bool:
    """Whether ``receiveWithAuthorization`` with ``bytes`` is there: it refuses an authorization
    that ended long ago with a reason, where a function that is missing gives none."""
    account = abi.address_word(RECEIVER)
    state = abi.call_data(AUTHORIZATION_STATE, account, bytes(abi.WORD))
    if await number_of(rpc, token.address, state) is None:
        return False
    words = (account, account, *(bytes(abi.WORD) for _ in range(4)))
    data = abi.call_data(RECEIVE_WITH_AUTHORIZATION, *words, abi.Dynamic(bytes(65)))
    asked = {
        "from": "0x" + RECEIVER.hex(),
        "to": "0x" + token.address.hex(),
        "data": "0x" + data.hex(),
    }
    try:
        await rpc.ask([("eth_call", [asked, "latest"])])
    except NodeRefused as refusal:
        return refusal.data != b""
    return False


async def _signing_hint(rpc: HttpRpc, token: Token, separator: bytes | None) -> str:
    """The name and version that give the token's own domain separator, where they are found."""
    name = await _text(rpc, token.address, "name()") or ""
    versions: Sequence[str] = (await _text(rpc, token.address, "version()") or "", "1", "2")
    for version in versions:
        if separator == Domain(name, version, token.chain_id, token.address).separator:
            return f", would be name = {name!r}, version = {version!r}"
    return ", and its domain is not of the usual kind"


async def _word(rpc: HttpRpc, to: Address, data: bytes) -> bytes | None:
    number = await number_of(rpc, to, data)
    return None if number is None else abi.number_word(number)


async def _text(rpc: HttpRpc, to: Address, signature: str) -> str | None:
    """What a function without arguments answers as ``string``; None for anything else."""
    try:
        returned = await rpc.call(to, abi.call_data(signature))
    except Trouble:
        return None
    length = int.from_bytes(returned[abi.WORD : 2 * abi.WORD], "big")
    content = returned[2 * abi.WORD : 2 * abi.WORD + length]
    if returned[: abi.WORD] != abi.number_word(abi.WORD) or len(content) != length:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _shown(separator: bytes | None) -> str:
    return "0x" + separator.hex() if separator else "not answered"
