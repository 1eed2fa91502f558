"""The two messages of the AI payment protocol that a payer signs (spec 10.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gstable_server.chain.typed_data import Domain, Struct, TypedData, Value
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds

OFFICIAL_DOMAIN = "aipay.gstable.io"
"""The domain name that published clients sign for, whichever server they call (spec 15)."""
DOMAIN_VERSION = "1"

CREATE_SESSION = Struct(
    "PaymentSessionCreationAuthorization",
    (
        ("string", "purpose"),
        ("string", "linkId"),
        ("string", "linkVersion"),
        ("string", "merchantId"),
        ("address", "payer"),
        ("uint256", "paymentChainId"),
        ("address", "paymentToken"),
        ("uint256", "amount"),
        ("bytes32", "authorizationNonce"),
        ("uint256", "authorizationExpiresAt"),
    ),
)
PREPARE = Struct(
    "PreparePaymentAuthorization",
    (
        ("string", "purpose"),
        ("string", "sessionId"),
        ("string", "merchantId"),
        ("uint256", "paymentChainId"),
        ("address", "paymentToken"),
        ("address", "payer"),
        ("string", "payerEmail"),
        ("bytes32", "authorizationNonce"),
        ("uint256", "authorizationExpiresAt"),
    ),
)


class Purpose(StrEnum):
    """What a message asks for, as it is written in it."""

    CREATE_SESSION = "create_payment_session"
    PREPARE = "prepare_payment"


STRUCTS = {Purpose.CREATE_SESSION: CREATE_SESSION, Purpose.PREPARE: PREPARE}


@dataclass(frozen=True, slots=True)
class Authorization:
    """A message as it was signed, and what of it every message has.

    ``nonce`` has 32 bytes. ``expires_at``: the last second at which the message may be used; any
    ``uint256``, because that is what is signed. ``terms`` are the other members.
    """

    purpose: Purpose
    terms: Mapping[str, Value]
    merchant_id: str
    payer: Address
    chain_id: int
    token: Address
    nonce: bytes
    expires_at: int
    signature: bytes

    def typed_data(self, domain_name: str) -> TypedData:
        """What the payer signed if they named that domain; it has these three members only."""
        domain = Domain(domain_name, DOMAIN_VERSION, self.chain_id)
        values: dict[str, Value] = {
            "purpose": self.purpose.value,
            "merchantId": self.merchant_id,
            "payer": self.payer,
            "paymentChainId": self.chain_id,
            "paymentToken": self.token,
            "authorizationNonce": self.nonce,
            "authorizationExpiresAt": self.expires_at,
            **self.terms,
        }
        return TypedData(domain, STRUCTS[self.purpose], values)


@dataclass(frozen=True, slots=True)
class CreateSession:
    """Open a session of a link, for one payer and token. ``amount``: atomic units of the token
    that the payer is to pay, everything included."""

    link_id: str
    link_version: str
    amount: int
    authorization: Authorization


@dataclass(frozen=True, slots=True)
class Prepare:
    """Attest the payment of a session. ``payer_email`` is ``""`` where there is none."""

    session_id: str
    payer_email: str
    authorization: Authorization


@dataclass(frozen=True, slots=True)
class Proven:
    """An authorization whose payer signed it: ``digest`` is what was signed."""

    authorization: Authorization
    digest: bytes

    @property
    def expires_at(self) -> UnixSeconds:
        """The last second at which it may be used; it was compared with the clock before."""
        return UnixSeconds(self.authorization.expires_at)
