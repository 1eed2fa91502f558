"""The two messages of an agent, as EIP-712 typed data. Source: specification section 10.1.

The types are ours and never the platform's: what an answer says of them is not signed, so it
cannot make a wallet sign anything else. The domain has three members only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gstable._errors import GStableUsageError

try:
    from eth_account import Account
    from eth_account.messages import SignableMessage, encode_typed_data
except ImportError as missing:  # pragma: no cover - depends on what is installed
    raise ImportError("the agent client needs eth-account: install gstable[agent]") from missing

OFFICIAL_DOMAIN = "aipay.gstable.io"
DOMAIN_VERSION = "1"
CREATE_SESSION = "PaymentSessionCreationAuthorization"
PREPARE = "PreparePaymentAuthorization"
PURPOSES = {CREATE_SESSION: "create_payment_session", PREPARE: "prepare_payment"}
_DOMAIN_TYPE = {"name": "string", "version": "string", "chainId": "uint256"}
TYPES: Mapping[str, Mapping[str, str]] = {
    CREATE_SESSION: {
        "purpose": "string",
        "linkId": "string",
        "linkVersion": "string",
        "merchantId": "string",
        "payer": "address",
        "paymentChainId": "uint256",
        "paymentToken": "address",
        "amount": "uint256",
        "authorizationNonce": "bytes32",
        "authorizationExpiresAt": "uint256",
    },
    PREPARE: {
        "purpose": "string",
        "sessionId": "string",
        "merchantId": "string",
        "paymentChainId": "uint256",
        "paymentToken": "address",
        "payer": "address",
        "payerEmail": "string",
        "authorizationNonce": "bytes32",
        "authorizationExpiresAt": "uint256",
    },
}


class Signer(Protocol):
    """What signs: `eth_account`'s accounts do, and a wrapper of a key store may."""

    @property
    def address(self) -> Any:
        """The payer's address, EIP-55."""

    def sign_message(self, signable_message: SignableMessage) -> Any:
        """An object whose `signature` is r, s, v."""

    def sign_transaction(self, transaction_dict: Any) -> Any:
        """An object with the `raw_transaction` and its `hash`."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """A message to sign: `primary_type` with its members as integers and text."""

    primary_type: str
    message: Mapping[str, str | int]
    chain_id: int
    domain_name: str = OFFICIAL_DOMAIN

    def signable(self) -> SignableMessage:
        """What is hashed and signed."""
        return encode_typed_data(
            full_message={
                "types": {
                    "EIP712Domain": _members(_DOMAIN_TYPE),
                    self.primary_type: _members(TYPES[self.primary_type]),
                },
                "primaryType": self.primary_type,
                "domain": {
                    "name": self.domain_name,
                    "version": DOMAIN_VERSION,
                    "chainId": self.chain_id,
                },
                "message": dict(self.message),
            }
        )

    def body(self, signer: Signer) -> dict[str, object]:
        """What is posted: numbers as decimal text, and the signature of 65 bytes."""
        signature = bytes(signer.sign_message(self.signable()).signature)
        message = {
            name: str(value) if isinstance(value, int) else value
            for name, value in self.message.items()
        }
        return {"message": message, "signature": f"0x{signature.hex()}"}


def signer_of(key: "str | bytes | Signer") -> Signer:
    """The account of a private key, or the signer as it is. The words never repeat the key."""
    if not isinstance(key, str | bytes):
        return key
    try:
        account: Signer = Account.from_key(key)
    except (ValueError, TypeError):
        # The library's own words may repeat the key: they are not kept as the cause.
        words = "signer must be a private key: 32 bytes, or 64 hexadecimal digits"
        raise GStableUsageError(words) from None
    return account


def _members(fields: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in fields.items()]
