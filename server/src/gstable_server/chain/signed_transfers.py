"""Transfers to one receiver that a payer only signs and anybody may send: EIP-3009's, and Permit2's
by the proxy of x402 (contracts/src/testing/x402).

Whoever sends one can change nothing in it: payer, receiver, token, amount and times are signed.
The contract that is called is the only judge of the signature, for accounts with and without code
(EIP-1271), so that nothing is taken for good here that would fail there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from gstable_server.chain import abi
from gstable_server.chain.consents import PERMIT2_NAME
from gstable_server.chain.keys import RECOVERY_OFFSET
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import NodeRefused, ProviderLied, Rpc
from gstable_server.chain.typed_data import Domain, Struct, TypedData, Value
from gstable_server.kernel.address import Address

TRANSFER_WITH_AUTHORIZATION = Struct(
    "TransferWithAuthorization",
    (
        ("address", "from"),
        ("address", "to"),
        ("uint256", "value"),
        ("uint256", "validAfter"),
        ("uint256", "validBefore"),
        ("bytes32", "nonce"),
    ),
)
_TOKEN_PERMISSIONS = Struct("TokenPermissions", (("address", "token"), ("uint256", "amount")))
_WITNESS = Struct("Witness", (("address", "to"), ("uint256", "validAfter")))
PERMIT_WITNESS_TRANSFER = Struct(
    "PermitWitnessTransferFrom",
    (
        ("TokenPermissions", "permitted"),
        ("address", "spender"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
        ("Witness", "witness"),
    ),
    (_TOKEN_PERMISSIONS, _WITNESS),
)
TRANSFER_AUTHORIZED = (
    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"
)
AUTHORIZATION_STATE = "authorizationState(address,bytes32)"
SETTLE = "settle(((address,uint256),uint256,uint256),address,(address,uint256),bytes)"
NONCE_BITMAP = "nonceBitmap(address,uint256)"

_DEPLOYING = bytes.fromhex("6492" * 16)
"""How a signature ends that says how to deploy the account first (ERC-6492)."""
_SIGNATURE_ERRORS = frozenset(
    abi.selector(each)
    for each in (
        "InvalidSigner()",
        "InvalidSignature()",
        "InvalidSignatureLength()",
        "InvalidContractSignature()",
    )
)
_SIGNATURE_TEXT = re.compile(r"signature|signer|ecrecover", re.I)


class Method(StrEnum):
    """Which contract makes the transfer, as x402 writes it."""

    EIP3009 = "eip3009"
    """The token itself: ``transferWithAuthorization`` with ``bytes``."""
    PERMIT2 = "permit2"
    """Permit2, asked by the proxy of x402."""


class Flaw(Enum):
    """Why a contract would refuse a transfer now."""

    NONCE_USED = "its nonce is used or cancelled"
    BALANCE = "the payer has less"
    ALLOWANCE = "the payer has allowed Permit2 less"
    SIGNATURE = "the payer's account does not accept the signature"
    NOT_DEPLOYED = "the payer's account is a contract that is not there yet"
    REVERTED = "the call fails for another reason"


def method_of(network: Network, token: Token) -> Method | None:
    """How ``token`` can be moved by a signature for one receiver; None when it cannot."""
    if token.signing is not None and token.signing.erc3009:
        return Method.EIP3009
    if network.permit2 is not None and network.x402.permit2_proxy is not None:
        return Method.PERMIT2
    return None


@dataclass(frozen=True, slots=True)
class SignedTransfer:
    """``value`` atomic units of ``token`` from ``payer`` to ``receiver``.

    ``valid_after`` and ``valid_before`` are the Unix seconds that were signed: EIP-3009 counts
    neither in, Permit2 counts in both (``valid_before`` is its deadline). ``nonce``: 32 bytes, used
    once.
    """

    method: Method
    network: Network
    token: Token
    payer: Address
    receiver: Address
    value: int
    valid_after: int
    valid_before: int
    nonce: bytes
    signature: bytes

    @property
    def typed_data(self) -> TypedData:
        """What the payer signed. ``LookupError`` if the token cannot be moved that way."""
        return self._authorization() if self.method is Method.EIP3009 else self._permit()

    @property
    def digest(self) -> bytes:
        """The 32 bytes that were signed; they name this transfer among those of all chains."""
        return self.typed_data.digest

    @property
    def call(self) -> ContractCall:
        """The call that makes the transfer, whoever sends it. ``LookupError`` as above."""
        times = abi.number_word(self.valid_after), abi.number_word(self.valid_before)
        payer, receiver = abi.address_word(self.payer), abi.address_word(self.receiver)
        value, signature = abi.number_word(self.value), abi.Dynamic(self.signature)
        if self.method is Method.EIP3009:
            arguments = (payer, receiver, value, *times, self.nonce, signature)
            return ContractCall(self.token.address, abi.call_data(TRANSFER_AUTHORIZED, *arguments))
        after, deadline = times
        token = abi.address_word(self.token.address)
        permit = (token, value, self.nonce, deadline)
        data = abi.call_data(SETTLE, *permit, payer, receiver, after, signature)
        return ContractCall(self._proxy(), data)

    def _authorization(self) -> TypedData:
        signing = self.token.signing
        if signing is None:
            raise LookupError(f"{self.token.token_id} takes no authorizations (EIP-3009)")
        values: dict[str, Value] = {
            "from": self.payer,
            "to": self.receiver,
            "value": self.value,
            "validAfter": self.valid_after,
            "validBefore": self.valid_before,
            "nonce": self.nonce,
        }
        domain = Domain(signing.name, signing.version, self.token.chain_id, self.token.address)
        return TypedData(domain, TRANSFER_WITH_AUTHORIZATION, values)

    def _permit(self) -> TypedData:
        values: dict[str, Value] = {
            "permitted": {"token": self.token.address, "amount": self.value},
            "spender": self._proxy(),
            "nonce": int.from_bytes(self.nonce, "big"),
            "deadline": self.valid_before,
            "witness": {"to": self.receiver, "validAfter": self.valid_after},
        }
        domain = Domain(PERMIT2_NAME, None, self.network.chain_id, self._permit2())
        return TypedData(domain, PERMIT_WITNESS_TRANSFER, values)

    def _permit2(self) -> Address:
        if self.network.permit2 is None:
            raise LookupError(f"{self.network.name} has no Permit2")
        return self.network.permit2

    def _proxy(self) -> Address:
        if self.network.x402.permit2_proxy is None:
            raise LookupError(f"{self.network.name} has no proxy of x402 for Permit2")
        return self.network.x402.permit2_proxy


async def as_chain_takes_it(rpc: Rpc, transfer: SignedTransfer) -> SignedTransfer | Flaw:
    """The transfer with the signature in the form that the contracts know, if it would be made now.

    A signature that brings its account's deployment along (ERC-6492) is unwrapped once the account
    is there. It is not deployed by us: that would be a call of the signer's choice at our cost.
    May raise ``Passing``.
    """
    signature = transfer.signature
    if signature.endswith(_DEPLOYING):
        inner = _wrapped(signature[: -len(_DEPLOYING)])
        if inner is None:
            return Flaw.SIGNATURE
        if not await rpc.code(transfer.payer):
            return Flaw.NOT_DEPLOYED
        signature = inner
    if len(signature) == 65 and signature[64] < 2:  # some devices count from 0
        signature = signature[:64] + bytes([signature[64] + RECOVERY_OFFSET])
    known = replace(transfer, signature=signature)
    try:
        await rpc.call(known.call.to, known.call.data)
    except NodeRefused as refusal:
        return await _flaw(rpc, known, refusal)
    return known


async def balance_of(rpc: Rpc, transfer: SignedTransfer) -> int:
    """What the payer has of the transfer's token, in atomic units. May raise ``Passing``."""
    data = abi.call_data(abi.BALANCE_OF, abi.address_word(transfer.payer))
    return await _number(rpc, transfer.token.address, data)


async def _flaw(rpc: Rpc, transfer: SignedTransfer, refusal: NodeRefused) -> Flaw:
    """Why the call failed: what the chain says about the payer, then what the contract said."""
    payer = abi.address_word(transfer.payer)
    token = transfer.token.address
    if await _is_used(rpc, transfer):
        return Flaw.NONCE_USED
    if await balance_of(rpc, transfer) < transfer.value:
        return Flaw.BALANCE
    if transfer.method is Method.PERMIT2:
        assert transfer.network.permit2 is not None, "its call has needed it"
        asked = abi.call_data(abi.ALLOWANCE, payer, abi.address_word(transfer.network.permit2))
        if await _number(rpc, token, asked) < transfer.value:
            return Flaw.ALLOWANCE
    if refusal.data[:4] in _SIGNATURE_ERRORS or _SIGNATURE_TEXT.search(str(refusal)):
        return Flaw.SIGNATURE
    return Flaw.REVERTED


async def _is_used(rpc: Rpc, transfer: SignedTransfer) -> bool:
    payer = abi.address_word(transfer.payer)
    if transfer.method is Method.EIP3009:
        asked = abi.call_data(AUTHORIZATION_STATE, payer, transfer.nonce)
        return await _number(rpc, transfer.token.address, asked) != 0
    assert transfer.network.permit2 is not None, "its call has needed it"
    # Permit2 keeps 256 nonces in one word: the last byte of a nonce names its bit.
    word, bit = int.from_bytes(transfer.nonce[:31], "big"), transfer.nonce[31]
    asked = abi.call_data(NONCE_BITMAP, payer, abi.number_word(word))
    return bool(await _number(rpc, transfer.network.permit2, asked) >> bit & 1)


async def _number(rpc: Rpc, to: Address, data: bytes) -> int:
    """The one word that a question returns. Raises ``ProviderLied`` for anything else."""
    try:
        returned = await rpc.call(to, data)
    except NodeRefused as refusal:
        raise ProviderLied(f"no answer of 0x{to.hex()}: {refusal}") from refusal
    if len(returned) != abi.WORD:
        raise ProviderLied(f"0x{to.hex()} answered {len(returned)} bytes")
    return int.from_bytes(returned, "big")


def _wrapped(encoded: bytes) -> bytes | None:
    """The last of the three members ``(address, bytes, bytes)``; None where there is none."""
    start = int.from_bytes(encoded[2 * abi.WORD : 3 * abi.WORD], "big")
    length = int.from_bytes(encoded[start : start + abi.WORD], "big")
    inner = encoded[start + abi.WORD : start + abi.WORD + length]
    return inner if start >= 3 * abi.WORD and length and len(inner) == length else None
