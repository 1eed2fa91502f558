"""A message that a wallet is asked to sign, what it proved, and where a wallet has code: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gstable_server.chain.sign_in import SignIn, sign_in_from_text
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.ids import AccountId

LIFETIME = timedelta(minutes=15)
DELEGATION = bytes.fromhex("ef0100")
"""How the code of an account begins that has a key and uses a contract's code (EIP-7702)."""


class Kind(StrEnum):
    """Who signed: the wallet's key, or its contract on one network."""

    KEY = "key"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A message as it was handed out, for one account on one network."""

    account_id: AccountId
    network: str
    message: str

    @property
    def said(self) -> SignIn:
        return sign_in_from_text(self.message)


@dataclass(frozen=True, slots=True)
class Proof:
    """By whom and when it was signed; by a contract it counts for ``network`` only."""

    account_id: AccountId
    network: str
    kind: Kind
    proven_at: datetime


def require_same(challenge: Challenge, text: str, now: datetime) -> SignIn:
    """What was signed, if it is the message of ``challenge``, in time. Raises ``Refused`` (400101)
    naming ``message`` and what of it is another."""
    asked = challenge.said
    try:
        given = sign_in_from_text(text)
    except ValueError as problem:
        raise invalid_field("message", str(problem)) from None
    differs = {
        "is for another site": given.domain != asked.domain or given.uri != asked.uri,
        "is for another chain": given.chain_id != asked.chain_id,
        "is for another wallet": given.address != asked.address,
        "has another nonce": given.nonce != asked.nonce,
        "is not the message that was to be signed": given != asked,
        "has expired": now >= asked.expires_at,
    }
    for text_of, is_so in differs.items():
        if is_so:
            raise invalid_field("message", text_of)
    return given


class Code(StrEnum):
    """What is at an address on one network."""

    NONE = "none"
    CONTRACT = "contract"
    DELEGATED = "delegated"
    UNKNOWN = "unknown"
    """No node said."""


def code_kind(code: bytes) -> Code:
    if not code:
        return Code.NONE
    return Code.DELEGATED if code.startswith(DELEGATION) else Code.CONTRACT


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a wallet is a contract, by networks' names. One that has no key of its own cannot be
    reached on a network where it is not deployed: money sent there may be lost."""

    address: Address
    kinds: Mapping[str, Code]

    @property
    def contract_on(self) -> tuple[str, ...]:
        return self._of(Code.CONTRACT)

    @property
    def missing_on(self) -> tuple[str, ...]:
        """Where money may be lost: there is nothing, and elsewhere it is a contract."""
        return self._of(Code.NONE) if self.contract_on else ()

    @property
    def unknown_on(self) -> tuple[str, ...]:
        return self._of(Code.UNKNOWN)

    def _of(self, kind: Code) -> tuple[str, ...]:
        return tuple(name for name, found in self.kinds.items() if found is kind)
