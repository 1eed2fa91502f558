"""What the contracts of the simulated chains do with a call: only what the server relies on.

The real ones are in ``contracts``, and have tests of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rails.escrow_terms import EscrowState, EscrowTerms
from gstable_server.chain.rpc import Log, NodeRefused
from gstable_server.chain.testing import event_log
from gstable_server.kernel.address import Address
from tests.sim.custody import DepositBox, HoldBox, returned
from tests.sim.effects import REVERTED, Asked, Branch, Effects
from tests.sim.networks import SOLVER
from tests.sim.payments import Paid, read_collection

PLENTY = abi.number_word(2**255)
LISTED_SINCE = abi.number_word(1)


@dataclass(frozen=True, slots=True)
class Authorized:
    """A payment that a payer signed: ``logs`` without their transaction; mined until ``deadline``,
    once, in Unix seconds."""

    log: Log
    paid: Paid
    deadline: int


class Contracts:
    """The contracts of one network."""

    def __init__(self, networks: Networks, network: Network) -> None:
        self._networks = networks
        self._network = network
        self.authorized: dict[bytes, Authorized] = {}
        """By the data of the call of our router that carries the signature."""
        self.escrowed: dict[bytes, EscrowTerms] = {}
        """Orders whose money the escrow here was given, by their id."""
        self.holds = HoldBox(network)
        self.deposits = DepositBox(network, self.holds, self.escrowed)
        functions: dict[tuple[Address, str], Callable[[Asked], Effects]] = {
            (self._escrow, rails_abi.FILL): self._fill,
            (self._escrow, rails_abi.RELEASE): self._release,
            (self._escrow, rails_abi.ESCROW_RECLAIM): self._reclaim,
            (self.holds.address, rails_abi.CAPTURE): self.holds.capture,
            (self.holds.address, rails_abi.VOID): self.holds.void,
            (self.holds.address, rails_abi.HOLD_RECLAIM): self.holds.reclaim,
            (self.deposits.address, abi.RECOVER): self.deposits.recover,
        }
        self._functions = {
            (contract, abi.selector(name)): function
            for (contract, name), function in functions.items()
        }

    def execute(self, asked: Asked) -> Effects:
        """What the call does where it is mined."""
        call = asked.call
        if call.data in self.authorized:
            return self._pay(asked, self.authorized[call.data])
        if call.to == self._network.router:
            wanted = read_collection(call, self._networks)
            return REVERTED if wanted is None else self.deposits.collect(asked, wanted)
        function = self._functions.get((call.to, call.data[:4]))
        if function is not None:
            return function(asked)
        return Effects() if not call.data else REVERTED

    def is_repeatable(self, call: ContractCall) -> bool:
        """Whether the same call may rightly be sent again: it says nothing about which of several
        it is."""
        if call.to == self._network.router:
            return call.data not in self.authorized
        return not call.data or call.to in {self.holds.address, self.deposits.address}

    def _pay(self, asked: Asked, signed: Authorized) -> Effects:
        name = ("authorized", keccak256(asked.call.data))
        if name in asked.branch.done or asked.time > signed.deadline:
            return REVERTED
        log = signed.log
        logged = Log(log.address, log.topics, log.data, 0, b"", asked.tx_hash, 0)
        return Effects((logged,), (signed.paid,), (name,))

    def _fill(self, asked: Asked) -> Effects:
        terms = _terms(asked.call.data[4:])
        name = ("filled", terms.order_id)
        if name in asked.branch.done or asked.time > terms.fill_deadline:
            return REVERTED
        log = event_log(
            rails_abi.FILLED,
            self._escrow,
            asked.tx_hash,
            terms.order_id,
            terms.session_key,
            SOLVER,
            terms.merchant,
            terms.settlement_token,
            terms.merchant_amount,
            terms.source_chain_id,
        )
        return Effects((log,), done=(name,))

    def _release(self, asked: Asked) -> Effects:
        order, solver = asked.word(0), Address(asked.word(1)[12:])
        if self.state(order, asked.branch) is not EscrowState.OPEN:
            return REVERTED
        terms = self.escrowed[order]
        log = event_log(
            rails_abi.RELEASED,
            self._escrow,
            asked.tx_hash,
            order,
            terms.session_key,
            solver,
            terms.token,
            terms.amount,
        )
        return Effects((log,), done=(("released", order),))

    def _reclaim(self, asked: Asked) -> Effects:
        order = asked.word(0)
        terms = self.escrowed.get(order)
        if terms is None or self.state(order, asked.branch) is not EscrowState.OPEN:
            return REVERTED
        if asked.time < terms.reclaim_after:
            return REVERTED
        log = event_log(
            rails_abi.ESCROW_RECLAIMED,
            self._escrow,
            asked.tx_hash,
            order,
            terms.session_key,
            terms.payer,
            terms.token,
            terms.amount,
        )
        back, kept = returned(asked.tx_hash, terms.token, self._escrow, terms.payer, terms.amount)
        return Effects((back, log), done=(("reclaimed", order),), kept=(kept,))

    def state(self, order: bytes, branch: Branch) -> EscrowState:
        """Of an order's money in the escrow here."""
        done = branch.done
        if ("released", order) in done:
            return EscrowState.RELEASED
        if ("reclaimed", order) in done:
            return EscrowState.RECLAIMED
        return EscrowState.OPEN if ("escrowed", order) in done else EscrowState.NONE

    def answer(self, data: bytes, branch: Branch) -> bytes:
        """What a read-only call returns. Raises ``NodeRefused``."""
        name, word = data[:4], data[4:36]
        if name == abi.selector(rails_abi.FILLED_BY):
            return abi.address_word(SOLVER) if ("filled", word) in branch.done else bytes(32)
        if name == abi.selector(rails_abi.ESCROWS):
            words = [bytes(32)] * 7
            words[1] = abi.number_word(2)
            words[3] = abi.number_word(self.state(word, branch))
            return b"".join(words)
        if name == abi.selector(abi.BALANCES):
            return self.deposits.balances(data, branch)
        if name in {
            abi.selector(one) for one in (rails_abi.SOLVER_SINCE, rails_abi.ATTESTOR_SINCE)
        }:
            return LISTED_SINCE
        if name in {abi.selector(one) for one in (abi.BALANCE_OF, abi.ALLOWANCE)}:
            return PLENTY
        raise NodeRefused("execution reverted")

    @property
    def _escrow(self) -> Address:
        contract = self._network.contracts.escrow_rail
        assert contract is not None, "every network here has an escrow"
        return contract.address


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
