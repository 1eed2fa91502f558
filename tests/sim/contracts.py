"""What the contracts of the simulated chains do with a call: only what the server relies on.

The real ones are in ``contracts``, and have tests of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.escrow_terms import EscrowState, EscrowTerms
from gstable_server.chain.rpc import Log, NodeRefused
from gstable_server.chain.testing import event_log
from gstable_server.kernel.address import Address
from tests.sim.networks import SOLVER

PLENTY = abi.number_word(2**255)
LISTED_SINCE = abi.number_word(1)

Done = Mapping[tuple[str, bytes], int]
"""What was done on a branch, by name, and in which block."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What a payment moved, as the oracle counts it; amounts in atomic units.

    ``rail`` is the word of the rail, None for a direct payment; ``arrived`` is what reached the
    merchant in the same transaction, in ``settlement``, a token id.
    """

    session_key: bytes
    merchant: Address
    token: Address
    amount: int
    fee: int
    by_router: bool = True
    rail: str | None = None
    settlement: str = ""
    arrived: int = 0
    promised: int = 0


@dataclass(frozen=True, slots=True)
class Effects:
    """What a transaction did where it was mined: its logs, the payment that it was, and what is
    done by it and cannot be done twice."""

    logs: tuple[Log, ...] = ()
    paid: tuple[Paid, ...] = ()
    done: tuple[tuple[str, bytes], ...] = ()
    succeeded: bool = True


REVERTED = Effects(succeeded=False)


@dataclass(frozen=True, slots=True)
class Authorized:
    """A payment that a payer signed: ``logs`` without their transaction; mined until ``deadline``,
    once, in Unix seconds."""

    log: Log
    paid: Paid
    deadline: int


class Contracts:
    """The contracts of one network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.authorized: dict[bytes, Authorized] = {}
        """By the data of the call of our router that carries the signature."""
        self.escrowed: dict[bytes, EscrowTerms] = {}
        """Orders whose money the escrow here was given, by their id."""

    def execute(self, tx_hash: bytes, call: ContractCall, done: Done, time: int) -> Effects:
        """What ``call`` does now."""
        if call.data in self.authorized:
            return self._pay(tx_hash, self.authorized[call.data], call, done, time)
        selector, words = call.data[:4], call.data[4:]
        if selector == _selector(rails_abi.FILL):
            return self._fill(tx_hash, _terms(words), done, time)
        if selector == _selector(rails_abi.RELEASE):
            return self._release(tx_hash, words[:32], Address(words[44:64]), done)
        if selector == _selector(rails_abi.ESCROW_RECLAIM):
            return self._reclaim(tx_hash, words[:32], done, time)
        return Effects() if not call.data else REVERTED

    def _pay(
        self, tx_hash: bytes, signed: Authorized, call: ContractCall, done: Done, time: int
    ) -> Effects:
        name = ("authorized", keccak256(call.data))
        if name in done or time > signed.deadline:
            return REVERTED
        log = signed.log
        logged = Log(log.address, log.topics, log.data, 0, b"", tx_hash, 0)
        return Effects((logged,), (signed.paid,), (name,))

    def _fill(self, tx_hash: bytes, terms: EscrowTerms, done: Done, time: int) -> Effects:
        name = ("filled", terms.order_id)
        if name in done or time > terms.fill_deadline:
            return REVERTED
        log = event_log(
            rails_abi.FILLED,
            self._escrow,
            tx_hash,
            terms.order_id,
            terms.session_key,
            SOLVER,
            terms.merchant,
            terms.settlement_token,
            terms.merchant_amount,
            terms.source_chain_id,
        )
        return Effects((log,), (), (name,))

    def _release(self, tx_hash: bytes, order: bytes, solver: Address, done: Done) -> Effects:
        if self.state(order, done) is not EscrowState.OPEN:
            return REVERTED
        terms = self.escrowed[order]
        log = event_log(
            rails_abi.RELEASED,
            self._escrow,
            tx_hash,
            order,
            terms.session_key,
            solver,
            terms.token,
            terms.amount,
        )
        return Effects((log,), (), (("released", order),))

    def _reclaim(self, tx_hash: bytes, order: bytes, done: Done, time: int) -> Effects:
        terms = self.escrowed.get(order)
        if terms is None or self.state(order, done) is not EscrowState.OPEN:
            return REVERTED
        if time < terms.reclaim_after:
            return REVERTED
        log = event_log(
            rails_abi.ESCROW_RECLAIMED,
            self._escrow,
            tx_hash,
            order,
            terms.session_key,
            terms.payer,
            terms.token,
            terms.amount,
        )
        return Effects((log,), (), (("reclaimed", order),))

    def state(self, order: bytes, done: Done) -> EscrowState:
        """Of an order's money in the escrow here."""
        if ("released", order) in done:
            return EscrowState.RELEASED
        if ("reclaimed", order) in done:
            return EscrowState.RECLAIMED
        return EscrowState.OPEN if ("escrowed", order) in done else EscrowState.NONE

    def answer(self, data: bytes, done: Done) -> bytes:
        """What a read-only call returns. Raises ``NodeRefused``."""
        selector, word = data[:4], data[4:36]
        if selector == _selector(rails_abi.FILLED_BY):
            return abi.address_word(SOLVER) if ("filled", word) in done else bytes(32)
        if selector == _selector(rails_abi.ESCROWS):
            words = [bytes(32)] * 7
            words[1] = abi.number_word(2)
            words[3] = abi.number_word(self.state(word, done))
            return b"".join(words)
        if selector in {_selector(rails_abi.SOLVER_SINCE), _selector(rails_abi.ATTESTOR_SINCE)}:
            return LISTED_SINCE
        if selector in {_selector(abi.BALANCE_OF), _selector(abi.ALLOWANCE)}:
            return PLENTY
        raise NodeRefused("execution reverted")

    @property
    def _escrow(self) -> Address:
        contract = self._network.contracts.escrow_rail
        assert contract is not None, "every network here has an escrow"
        return contract.address


def _selector(signature: str) -> bytes:
    return _SELECTORS.setdefault(signature, keccak256(signature.encode())[:4])


_SELECTORS: dict[str, bytes] = {}


def _terms(words: bytes) -> EscrowTerms:
    word = [words[at : at + 32] for at in range(0, 12 * 32, 32)]
    number = [int.from_bytes(each, "big") for each in word]
    return EscrowTerms(
        source_chain_id=number[0],
        source_escrow=Address(word[1][12:]),
        session_key=word[2],
        payer=Address(word[3][12:]),
        merchant=Address(word[4][12:]),
        token=Address(word[5][12:]),
        amount=number[6],
        settlement_chain_id=number[7],
        settlement_token=Address(word[8][12:]),
        merchant_amount=number[9],
        fill_deadline=number[10],
        reclaim_after=number[11],
    )
