"""The contracts that keep money for a while, as far as the server relies on them: the collector of
deposits, and the hold rail. The real ones are in ``contracts``, and have tests of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gstable_server.chain import abi
from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.abi.payments import RECOVERED, TRANSFERRED
from gstable_server.chain.deposits import DepositTerms, deposit_address
from gstable_server.chain.networks import Network
from gstable_server.chain.orders import Order, PaymentOrder, RoutedOrder
from gstable_server.chain.rails.escrow_terms import EscrowTerms
from gstable_server.chain.rails.hold import HoldTerms, hold_terms
from gstable_server.chain.rpc import Log
from gstable_server.chain.testing import event_log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import UnixSeconds
from gstable_server.kernel.money import share_rounded_up
from tests.sim.effects import REVERTED, Asked, Branch, Done, Effects, Gone, at_address, in_hold
from tests.sim.payments import Collection, paid_by, payment_log

_TERMS = 7
"""Words of the terms of a deposit."""


@dataclass(frozen=True, slots=True)
class Held:
    """To whom the money of a session's hold may go."""

    payer: Address
    merchant: Address
    token: Address
    terms: HoldTerms


class HoldBox:
    """The hold rail of one network; ``known`` has the terms of each session's hold by its key,
    and what is kept there is in the branch."""

    def __init__(self, network: Network) -> None:
        contract = network.contracts.hold_rail
        assert contract is not None, "every network here has one"
        self.address = contract.address
        self.known: dict[bytes, Held] = {}

    def open(self, order: RoutedOrder, payer: Address) -> tuple[tuple[bytes, int], ...]:
        """Money of ``order`` comes in; what it changes in the branch. A session has one order."""
        held = Held(payer, order.merchant, order.token.address, hold_terms(order.rail_data))
        self.known[order.session_key] = held
        return ((in_hold(order.session_key), order.amount),)

    def capture(self, asked: Asked) -> Effects:
        """``capture(bytes32,uint256)``"""
        key, amount = asked.word(0), int.from_bytes(asked.word(1), "big")
        held, left = self._held(asked, key)
        if held is None or not self._may_command(held, asked.sender):
            return REVERTED
        fee = share_rounded_up(amount, held.terms.fee_ppm)
        if asked.time >= held.terms.capture_before or amount > left or fee >= amount:
            return REVERTED
        log = event_log(
            rails_abi.CAPTURED,
            self.address,
            asked.tx_hash,
            key,
            held.merchant,
            held.token,
            amount,
            amount - fee,
            fee,
            left - amount,
        )
        gone = Gone("captured", key, held.token, amount, amount - fee, fee)
        return Effects((log,), gone=(gone,), kept=((in_hold(key), -amount),))

    def void(self, asked: Asked) -> Effects:
        """``void(bytes32)``"""
        held, left = self._held(asked, asked.word(0))
        if held is None or not self._may_command(held, asked.sender):
            return REVERTED
        return self._give_back(asked, held, left, "voided")

    def reclaim(self, asked: Asked) -> Effects:
        """``reclaim(bytes32)``"""
        held, left = self._held(asked, asked.word(0))
        if held is None or asked.time < held.terms.capture_before:
            return REVERTED
        return self._give_back(asked, held, left, "reclaimed")

    def _held(self, asked: Asked, key: bytes) -> tuple[Held | None, int]:
        left = asked.branch.kept[in_hold(key)]
        return (self.known[key] if left else None), left

    @staticmethod
    def _may_command(held: Held, sender: Address) -> bool:
        return sender in {held.merchant, held.terms.operator}

    def _give_back(self, asked: Asked, held: Held, left: int, what: str) -> Effects:
        key = asked.word(0)
        event = rails_abi.VOIDED if what == "voided" else rails_abi.HOLD_RECLAIMED
        told = event_log(event, self.address, asked.tx_hash, key, held.payer, held.token, left)
        back, kept = returned(asked.tx_hash, held.token, self.address, held.payer, left)
        gone = Gone(what, key, held.token, left)
        return Effects((back, told), gone=(gone,), kept=((in_hold(key), -left), kept))


class DepositBox:
    """The collector of deposits of one network, with the router and the rails that it pays by."""

    def __init__(
        self, network: Network, holds: HoldBox, escrowed: dict[bytes, EscrowTerms]
    ) -> None:
        contract = network.contracts.deposit_collector
        assert contract is not None, "every network here has one"
        self.address = contract.address
        self._network = network
        self._holds = holds
        self._escrowed = escrowed

    def collect(self, asked: Asked, wanted: Collection) -> Effects:
        """A payment by the router with what is at the address of the terms in its data."""
        order, terms = wanted.order, _terms(wanted.data)
        place = at_address(order.token.address, wanted.payer)
        is_theirs = (
            wanted.collector == self.address
            and deposit_address(self.address, terms) == wanted.payer
            and (order.session_key, order.merchant) == (terms.session_key, terms.merchant)
            and _settlement(order) == (terms.settlement_chain_id, terms.settlement_token)
        )
        done = ("paid", order.session_key)
        if not is_theirs or asked.time > order.deadline or done in asked.branch.done:
            return REVERTED
        if asked.branch.kept[place] < order.total:
            return REVERTED
        paid = replace(paid_by(order), collected=True)
        log = payment_log(self._network, paid, order, wanted.payer, asked.tx_hash)
        more, kept = self._start(order, wanted.payer, paid.rail)
        return Effects((log,), (paid,), (done, *more), kept=((place, -order.total), *kept))

    def recover(self, asked: Asked) -> Effects:
        """``recover((bytes32,address,uint256,address,address,address,uint256),address)``"""
        terms, token = _terms(asked.call.data[4:]), Address(asked.word(_TERMS)[12:])
        holder = deposit_address(self.address, terms)
        place = at_address(token, holder)
        amount = asked.branch.kept[place]
        if asked.time <= terms.refundable_after or not amount:
            return REVERTED
        told = event_log(
            RECOVERED,
            self.address,
            asked.tx_hash,
            terms.session_key,
            terms.refund_to,
            token,
            amount,
        )
        back, kept = returned(asked.tx_hash, token, holder, terms.refund_to, amount)
        gone = Gone("recovered", terms.session_key, token, amount)
        return Effects((back, told), gone=(gone,), kept=((place, -amount), kept))

    def balances(self, data: bytes, branch: Branch) -> bytes:
        """What ``balances(address[],address[])`` returns; nobody has any of the chain's coin."""
        words = [data[at : at + abi.WORD] for at in range(4, len(data), abi.WORD)]
        count = int.from_bytes(words[2], "big")
        holders, tokens = words[3 : 3 + count], words[4 + count :]
        places = [at_address(Address(t[12:]), Address(h[12:])) for h in holders for t in tokens]
        found = [abi.number_word(branch.kept[place]) for place in places]
        return b"".join((abi.number_word(abi.WORD), abi.number_word(len(found)), *found))

    def _start(
        self, order: Order, payer: Address, rail: str | None
    ) -> tuple[tuple[Done, ...], tuple[tuple[bytes, int], ...]]:
        """What is done besides, and kept, when the rail of ``order`` takes the money in."""
        if rail == "escrow":
            assert isinstance(order, RoutedOrder)
            terms = escrow_for(order, payer)
            self._escrowed[terms.order_id] = terms
            return (("escrowed", terms.order_id),), ()
        if rail == "hold":
            assert isinstance(order, RoutedOrder)
            return (), self._holds.open(order, payer)
        return (), ()


def returned(
    tx_hash: bytes, token: Address, giver: Address, receiver: Address, amount: int
) -> tuple[Log, tuple[bytes, int]]:
    """Tokens that go back to ``receiver``, who may be a deposit address: the token's log, and what
    changes at the receiver's."""
    log = event_log(TRANSFERRED, token, tx_hash, giver, receiver, amount)
    return log, (at_address(token, receiver), amount)


def escrow_for(order: RoutedOrder, payer: Address) -> EscrowTerms:
    """What the escrow keeps of a payment as it was ordered."""
    return EscrowTerms(
        source_chain_id=order.token.chain_id,
        source_escrow=order.rail,
        session_key=order.session_key,
        payer=payer,
        merchant=order.merchant,
        token=order.token.address,
        amount=order.amount,
        settlement_chain_id=order.settlement.chain_id,
        settlement_token=order.settlement.address,
        merchant_amount=order.merchant_amount,
        fill_deadline=int.from_bytes(order.rail_data[:32], "big"),
        reclaim_after=int.from_bytes(order.rail_data[32:], "big"),
    )


def _settlement(order: Order) -> tuple[int, Address]:
    token = order.token if isinstance(order, PaymentOrder) else order.settlement
    return token.chain_id, token.address


def _terms(data: bytes) -> DepositTerms:
    words = [data[at : at + abi.WORD] for at in range(0, _TERMS * abi.WORD, abi.WORD)]
    return DepositTerms(
        session_key=words[0],
        merchant=Address(words[1][12:]),
        settlement_chain_id=int.from_bytes(words[2], "big"),
        settlement_token=Address(words[3][12:]),
        fee_receiver=Address(words[4][12:]),
        refund_to=Address(words[5][12:]),
        refundable_after=UnixSeconds(int.from_bytes(words[6], "big")),
    )
