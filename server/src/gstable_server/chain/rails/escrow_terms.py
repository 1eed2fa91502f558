"""The order of an escrow as both of its contracts know it, and the proof that it was filled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.facts import PaymentLog
from gstable_server.chain.keys import address_of_key, sign_digest
from gstable_server.chain.rpc import ProviderLied
from gstable_server.chain.typed_data import Domain, Struct, digest
from gstable_server.kernel.address import Address

FILL_PROOF = Struct("FillProof", (("bytes32", "orderId"), ("address", "solver")))
DOMAIN_NAME = "GStable EscrowRail"
DOMAIN_VERSION = "1"
_ESCROW_WORDS = 7
_STARTED_AT_WORD = 1
_STATE_WORD = 3


class EscrowState(IntEnum):
    """``State`` of EscrowRail.sol."""

    NONE = 0
    OPEN = 1
    RELEASED = 2
    RECLAIMED = 3


@dataclass(frozen=True, slots=True)
class EscrowTerms:
    """``EscrowTerms`` of EscrowRail.sol; times in Unix seconds, amounts in atomic units.

    A fill is in time until ``fill_deadline``; the payer may reclaim from ``reclaim_after`` on.
    """

    source_chain_id: int
    source_escrow: Address
    session_key: bytes
    payer: Address
    merchant: Address
    token: Address
    amount: int
    settlement_chain_id: int
    settlement_token: Address
    merchant_amount: int
    fill_deadline: int
    reclaim_after: int

    @property
    def encoded(self) -> bytes:
        """The ABI encoding."""
        return abi.encode(
            abi.number_word(self.source_chain_id),
            abi.address_word(self.source_escrow),
            self.session_key,
            abi.address_word(self.payer),
            abi.address_word(self.merchant),
            abi.address_word(self.token),
            abi.number_word(self.amount),
            abi.number_word(self.settlement_chain_id),
            abi.address_word(self.settlement_token),
            abi.number_word(self.merchant_amount),
            abi.number_word(self.fill_deadline),
            abi.number_word(self.reclaim_after),
        )

    @property
    def order_id(self) -> bytes:
        """How both contracts name the order: Keccak-256 of the encoding."""
        return keccak256(self.encoded)


def escrow_terms(payment: PaymentLog, source_escrow: Address) -> EscrowTerms:
    """The terms that the escrow made of a payment by this rail."""
    data = payment.rail_data
    assert len(data) == 2 * abi.WORD, "the contract refuses any other length"
    return EscrowTerms(
        source_chain_id=payment.chain_id,
        source_escrow=source_escrow,
        session_key=payment.session_key,
        payer=payment.payer,
        merchant=payment.merchant,
        token=payment.token,
        amount=payment.amount,
        settlement_chain_id=payment.settlement_chain_id,
        settlement_token=payment.settlement_token,
        merchant_amount=payment.merchant_amount,
        fill_deadline=int.from_bytes(data[: abi.WORD], "big"),
        reclaim_after=int.from_bytes(data[abi.WORD :], "big"),
    )


@dataclass(frozen=True, slots=True)
class Escrow:
    """What the source's contract keeps of an order; ``started_at`` in Unix seconds."""

    state: EscrowState
    started_at: int


def escrow_of(returned: bytes) -> Escrow:
    """What ``escrows`` returned. Raises ``ProviderLied`` when it holds no escrow."""
    state = _word(returned, _STATE_WORD)
    if len(returned) != _ESCROW_WORDS * abi.WORD or state > max(EscrowState):
        raise ProviderLied("no escrow was returned")
    return Escrow(EscrowState(state), _word(returned, _STARTED_AT_WORD))


def _word(returned: bytes, place: int) -> int:
    return int.from_bytes(returned[place * abi.WORD : (place + 1) * abi.WORD], "big")


class FillAttestor:
    """Signs that a solver filled an order. Whoever holds the key can release escrows of orders
    that nobody filled, to listed solvers only. ``ValueError`` when the bytes are no key."""

    __slots__ = ("_private_key", "address")

    def __init__(self, private_key: bytes) -> None:
        self._private_key = private_key
        self.address = address_of_key(private_key)

    def prove(self, terms: EscrowTerms, solver: Address) -> bytes:
        """The signature that ``release`` of the source escrow takes: r, s, v."""
        domain = Domain(DOMAIN_NAME, DOMAIN_VERSION, terms.source_chain_id, terms.source_escrow)
        values = {"orderId": terms.order_id, "solver": solver}
        return sign_digest(self._private_key, digest(domain, FILL_PROOF, values))
