"""Showing that a receiving account is one's own: its wallet signs a message that is good once.

A proof is for people: it changes nothing of what is paid to the account. Where the process may
die: between the burning of a nonce and the proof, nothing is proven and the message is used up;
whoever wants the proof begins again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.ownership import store
from gstable_server.accounts.ownership.model import (
    LIFETIME,
    Challenge,
    Code,
    Kind,
    Proof,
    Whereabouts,
    code_kind,
    require_same,
)
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import NodeRefused, Rpc
from gstable_server.chain.sign_in import SignIn, is_signed_by_contract, is_signed_by_key
from gstable_server.chain.typed_data import SIGNATURE_BYTES_MAX
from gstable_server.kernel import errors
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing, Refused, invalid_field
from gstable_server.kernel.ids import AccountId
from gstable_server.kernel.tenant import Tenant
from gstable_server.plumbing.db import Database, Tx

ANSWER_SECONDS = 5.0
NONCE_LENGTH = 24
STATEMENT = (
    "This wallet is mine, and payments of my business may go to it. Nothing is paid by this."
)


async def begin(
    tx: Tx, tenant: Tenant, account_id: AccountId, network: Network, public_url: str
) -> Challenge:
    """A message for the account's wallet to sign, good for ``LIFETIME`` and for one answer. Raises
    ``Refused`` 100401 and 100403."""
    account = await accounts.require_account(tx, tenant, account_id)
    now = tx.now.replace(microsecond=0)
    nonce = tx.ids.token(NONCE_LENGTH)
    said = SignIn(
        domain=urlsplit(public_url).netloc,
        address=account.address,
        statement=STATEMENT,
        uri=f"{public_url}/dashboard/{tenant.mode}/accounts/{account_id}",
        chain_id=network.chain_id,
        nonce=nonce,
        issued_at=now,
        expires_at=now + LIFETIME,
    )
    challenge = Challenge(account_id, network.name, str(said))
    await store.insert_challenge(tx, tenant, nonce, challenge, said.expires_at)
    return challenge


async def check(
    db: Database,
    tenant: Tenant,
    account_id: AccountId,
    chains: Mapping[str, Rpc],
    *,
    nonce: str,
    message: str,
    signature_hex: str,
) -> tuple[Challenge, Kind, bytes]:
    """What an answer proves. The nonce is used up at first sight, before anything else is looked
    at, and stays so whatever comes of it. No transaction is open while a node is asked.

    Raises ``Refused``: 400101 naming ``message`` or ``signature``, 400104 for what the wallet did
    not sign, 400106 for a nonce that was used before, 400205 where no node says.
    """
    challenge = await db.run(store.burn, tenant, account_id, nonce)
    if challenge is None:
        raise Refused(errors.Code.NONCE_USED)
    said = require_same(challenge, message.replace("\r\n", "\n").strip(), db.clock.now())
    signature = _signature(signature_hex)
    text = str(said)
    if is_signed_by_key(said.address, text, signature):
        return challenge, Kind.KEY, signature
    rpc = chains.get(challenge.network)
    if rpc is None or not await _by_contract(rpc, said.address, text, signature):
        raise Refused(errors.Code.SIGNATURE_INVALID, "it is not this wallet's over this message")
    return challenge, Kind.CONTRACT, signature


async def _by_contract(rpc: Rpc, wallet: Address, text: str, signature: bytes) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await is_signed_by_contract(rpc, wallet, text, signature)
    except (Passing, TimeoutError):
        detail = "no node says whether the wallet's contract signed"
        raise Refused(errors.Code.ROUTE_UNAVAILABLE, detail) from None


def _signature(text_hex: str) -> bytes:
    try:
        found = bytes.fromhex(text_hex.strip().removeprefix("0x"))
    except ValueError:
        raise invalid_field("signature", "must be 0x and hexadecimal digits") from None
    if not 1 <= len(found) <= SIGNATURE_BYTES_MAX:
        raise invalid_field("signature", f"must have 1 to {SIGNATURE_BYTES_MAX} bytes")
    return found


async def record(
    tx: Tx, tenant: Tenant, challenge: Challenge, kind: Kind, signature: bytes
) -> Proof:
    """Keep what was proven."""
    proof = Proof(challenge.account_id, challenge.network, kind, tx.now)
    await store.put_proof(tx, tenant, proof, challenge.message, signature)
    return proof


async def proofs(tx: Tx, tenant: Tenant, account_id: AccountId) -> list[Proof]:
    """What was proven of an account, the newest first."""
    return await store.proofs(tx, tenant, account_id)


async def whereabouts(
    address: Address, networks: tuple[Network, ...], chains: Mapping[str, Rpc]
) -> Whereabouts:
    """Where the wallet has code, asked of all networks at once; not within a transaction."""
    names = [one.name for one in networks]
    kinds = await asyncio.gather(*(_code(chains.get(name), address) for name in names))
    return Whereabouts(address, dict(zip(names, kinds, strict=True)))


async def _code(rpc: Rpc | None, address: Address) -> Code:
    if rpc is None:
        return Code.UNKNOWN
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return code_kind(await rpc.code(address))
    except (Passing, NodeRefused, TimeoutError):
        return Code.UNKNOWN
