"""What an x402 client is asked for and what it answers, and whether the answer fits the question
(x402 version 2, scheme ``exact`` on EIP-155 networks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from gstable_server.chain.executor.model import IntentView, State
from gstable_server.chain.networks import Network, Token
from gstable_server.chain.signed_transfers import Flaw, Method, SignedTransfer, method_of
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds, unix_seconds
from gstable_server.kernel.errors import Trouble
from gstable_server.kernel.ids import LinkId, SessionId
from gstable_server.kernel.money import MicroUsd
from gstable_server.sessions.deposits.model import DepositView
from gstable_server.sessions.model import Announced, Session

TIMEOUT_SECONDS_MAX = 300
"""How long a client is asked to let its signature be valid."""

TIMEOUT_SECONDS_MIN = 30
"""What is left less of a session is not sold this way any more."""

COLLECTING_SECONDS = 30
"""What is kept of a session's life for collecting the money after it has arrived."""

SENDING_SECONDS = 6
"""A signature that is valid for less is not worth sending."""


class Reason(StrEnum):
    """Why a payment was not taken: the words of the x402 packages where they have one."""

    INVALID_VERSION = "invalid_x402_version"
    INVALID_PAYLOAD = "invalid_payload"
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    NETWORK = "network_mismatch"
    REQUIREMENTS = "invalid_payment_requirements"
    RECIPIENT = "invalid_exact_evm_payload_recipient_mismatch"
    VALUE = "invalid_exact_evm_payload_authorization_value_mismatch"
    VALID_BEFORE = "invalid_exact_evm_payload_authorization_valid_before"
    VALID_AFTER = "invalid_exact_evm_payload_authorization_valid_after"
    SIGNATURE = "invalid_exact_evm_payload_signature"
    NONCE = "invalid_exact_evm_nonce_already_used"
    BALANCE = "invalid_exact_evm_insufficient_balance"
    FACTORY = "eip6492_factory_not_allowed"
    SIMULATION = "invalid_exact_evm_transaction_simulation_failed"
    PERMIT2_SPENDER = "invalid_permit2_spender"
    PERMIT2_RECIPIENT = "invalid_permit2_recipient_mismatch"
    PERMIT2_TOKEN = "permit2_token_mismatch"  # noqa: S105
    PERMIT2_VALUE = "permit2_amount_mismatch"
    PERMIT2_DEADLINE = "permit2_deadline_expired"
    PERMIT2_VALID_AFTER = "permit2_not_yet_valid"
    PERMIT2_SIGNATURE = "invalid_permit2_signature"
    PERMIT2_NONCE = "permit2_invalid_nonce"
    PERMIT2_ALLOWANCE = "permit2_allowance_required"
    DUPLICATE = "duplicate_settlement"
    IDENTIFIER = "payment_identifier_conflict"
    FAILED = "transaction_failed"
    PENDING = "settlement_pending"


_OF_PERMIT2: Mapping[Reason, Reason] = {
    Reason.RECIPIENT: Reason.PERMIT2_RECIPIENT,
    Reason.VALUE: Reason.PERMIT2_VALUE,
    Reason.VALID_BEFORE: Reason.PERMIT2_DEADLINE,
    Reason.VALID_AFTER: Reason.PERMIT2_VALID_AFTER,
    Reason.SIGNATURE: Reason.PERMIT2_SIGNATURE,
    Reason.NONCE: Reason.PERMIT2_NONCE,
}
_OF_FLAW: Mapping[Flaw, Reason] = {
    Flaw.NONCE_USED: Reason.NONCE,
    Flaw.BALANCE: Reason.BALANCE,
    Flaw.ALLOWANCE: Reason.PERMIT2_ALLOWANCE,
    Flaw.SIGNATURE: Reason.SIGNATURE,
    Flaw.NOT_DEPLOYED: Reason.FACTORY,
    Flaw.REVERTED: Reason.SIMULATION,
}


class Rejected(Trouble):
    """The payment is not taken; nothing was changed."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


def rejected(reason: Reason, method: Method) -> Rejected:
    """The rejection in the words of that method."""
    return Rejected(_OF_PERMIT2.get(reason, reason) if method is Method.PERMIT2 else reason)


def rejected_by_chain(flaw: Flaw, method: Method) -> Rejected:
    """The rejection for what a contract would refuse."""
    return rejected(_OF_FLAW[flaw], method)


@dataclass(frozen=True, slots=True)
class Resource:
    """What is bought: a link or a session, one of both, and what the buyer says with it.

    ``amount`` (Micro-USD) is for links whose amount the payer chooses. ``refund_to`` gets what
    does not pay, after the deadline; left out, it is the merchant's wallet.
    """

    link_id: LinkId | None = None
    session_id: SessionId | None = None
    amount: MicroUsd | None = None
    payer_email: str | None = None
    refund_to: Address | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One way to pay: ``amount`` atomic units of ``token`` to ``pay_to``, by ``method``.

    ``announced`` comes back with the payment: a link's session is opened only then.
    """

    method: Method
    network: Network
    token: Token
    amount: int
    pay_to: Address
    timeout_seconds: int
    announced: Announced | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A session, opened or only announced, and how it can be paid now; ``pending``: a payment is
    on its way."""

    session: Session
    requirements: tuple[Requirement, ...]
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The requirement that a client says it fulfils, as it repeats it; none of it is believed."""

    scheme: str
    network: str
    asset: Address
    amount: int
    pay_to: Address
    method: str | None
    announced: Announced | None


@dataclass(frozen=True, slots=True)
class Signed:
    """What a client signed, as it says. ``token`` and ``spender`` are Permit2's; None for
    EIP-3009, where the token is the contract that is asked."""

    method: Method
    payer: Address
    receiver: Address
    value: int
    valid_after: int
    valid_before: int
    nonce: bytes
    signature: bytes
    token: Address | None = None
    spender: Address | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """The content of a ``PAYMENT-SIGNATURE`` header."""

    accepted: Accepted
    signed: Signed
    identifier: str | None = None
    """The client's own name for it (extension ``payment-identifier``)."""


def network_name(network: Network) -> str:
    """The network as x402 writes it (CAIP-2)."""
    return f"eip155:{network.chain_id}"


def timeout_seconds(session: Session, now: datetime) -> int:
    """How long a signature for the session may be valid; below ``TIMEOUT_SECONDS_MIN`` it is too
    late."""
    left = unix_seconds(session.expires_at) - unix_seconds(now) - COLLECTING_SECONDS
    return min(left, TIMEOUT_SECONDS_MAX)


def requirements(
    view: DepositView, announced: Announced | None, now: datetime
) -> tuple[Requirement, ...]:
    """How the deposit can be paid by a signature, the session's own token first: what routing
    offers for a transfer, is worth its gas, and is a token that can be moved so."""
    timeout = timeout_seconds(view.session, now)
    found: list[Requirement] = []
    for option in view.options:
        network, token = option.network, option.token
        method, missing = method_of(network, token), view.missing(option)
        worth = view.session.amount >= network.x402.amount_min
        if method is None or missing == 0 or not worth or timeout < TIMEOUT_SECONDS_MIN:
            continue
        address = view.deposit.address
        found.append(Requirement(method, network, token, missing, address, timeout, announced))
    return tuple(found)


def transfer_of(payment: Payment, network: Network, token: Token) -> SignedTransfer:
    """What the client signed, on the network and of the token that it names."""
    signed = payment.signed
    return SignedTransfer(
        method=signed.method,
        network=network,
        token=token,
        payer=signed.payer,
        receiver=signed.receiver,
        value=signed.value,
        valid_after=signed.valid_after,
        valid_before=signed.valid_before,
        nonce=signed.nonce,
        signature=signed.signature,
    )


def check(payment: Payment, offered: Sequence[Requirement], now: datetime) -> Requirement:
    """The requirement that ``payment`` fulfils, as far as its own words tell.

    Raises ``Rejected`` when it repeats none of ``offered``, or when what was signed is something
    else than what it repeats. The signature itself is the chain's to judge.
    """
    accepted, signed = payment.accepted, payment.signed
    if accepted.scheme != "exact":
        raise Rejected(Reason.UNSUPPORTED_SCHEME)
    there = [each for each in offered if network_name(each.network) == accepted.network]
    if not there:
        raise Rejected(Reason.NETWORK)
    for each in there:
        if each.token.address == accepted.asset and each.method is signed.method:
            _check_terms(accepted, signed, each, unix_seconds(now))
            return each
    raise Rejected(Reason.REQUIREMENTS)


def _check_terms(accepted: Accepted, signed: Signed, wanted: Requirement, now: int) -> None:
    method = wanted.method
    if accepted.method not in {None, method.value}:
        raise Rejected(Reason.REQUIREMENTS)
    if signed.receiver != wanted.pay_to or accepted.pay_to != wanted.pay_to:
        raise rejected(Reason.RECIPIENT, method)
    if signed.value != wanted.amount or accepted.amount != wanted.amount:
        raise rejected(Reason.VALUE, method)
    if method is Method.PERMIT2 and signed.token != wanted.token.address:
        raise Rejected(Reason.PERMIT2_TOKEN)
    if method is Method.PERMIT2 and signed.spender != wanted.network.x402.permit2_proxy:
        raise Rejected(Reason.PERMIT2_SPENDER)
    if signed.valid_before < now + SENDING_SECONDS:
        raise rejected(Reason.VALID_BEFORE, method)
    if signed.valid_after > now:
        raise rejected(Reason.VALID_AFTER, method)


def send_until(transfer: SignedTransfer, session: Session) -> datetime:
    """Until when the transfer is sent: while it is valid, and can still be collected."""
    collectable = unix_seconds(session.expires_at) - COLLECTING_SECONDS // 2
    return from_unix_seconds(min(transfer.valid_before - 1, collectable))


class Standing(Enum):
    """Where a payment stands that was taken."""

    SETTLED = "the transfer is in a block"
    PENDING = "the transfer is on its way"
    FAILED = "the transfer was not made, and is not tried any more"


_FAILED = frozenset({State.FAILED, State.REFUSED, State.WITHDRAWN})
_SETTLED = frozenset({State.MINED, State.FINAL})


def standing_of(sent: IntentView) -> Standing:
    """Where the payment stands whose transfer the executor has."""
    if sent.state in _SETTLED and sent.included is not None and sent.included.succeeded:
        return Standing.SETTLED
    if sent.state in _FAILED or (sent.included is not None and not sent.included.succeeded):
        return Standing.FAILED
    return Standing.PENDING


@dataclass(frozen=True, slots=True)
class Taken:
    """A payment that was taken, as it is stored: ``digest`` is what was signed. ``amount``: atomic
    units of the token at ``token``."""

    digest: bytes
    session_id: SessionId
    network: str
    token: Address
    method: Method
    payer: Address
    amount: int
    identifier: str | None

    @property
    def cause(self) -> str:
        """The name under which the executor has the transfer: one signature is one intent."""
        return f"x402:{self.digest.hex()}"


@dataclass(frozen=True, slots=True)
class Progress:
    """A payment that was taken, and where its transfer stands; ``tx_hash`` once it is signed."""

    taken: Taken
    standing: Standing
    tx_hash: bytes | None
