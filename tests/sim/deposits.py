"""Payers who pay by a plain transfer to an address of the session's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from gstable_server.chain.abi.payments import TRANSFERRED
from gstable_server.chain.networks import Networks
from gstable_server.chain.testing import event_log
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import unix_seconds
from gstable_server.kernel.errors import Refused
from gstable_server.plumbing.db import Database
from gstable_server.routing.model import RouteOption
from gstable_server.sessions.deposits import operations
from gstable_server.sessions.deposits.model import is_worth_returning
from gstable_server.sessions.operations import Desk
from tests.sim.chain import SimChain, SimTx
from tests.sim.effects import Effects, at_address
from tests.sim.networks import stranger
from tests.sim.sales import Plan, Sale, Transfer

OWN_TOKEN = 0.7
"""The share of transfers in the session's own token; the others are swapped, or cross."""
NAMELESS = 4
"""Every so manieth payer names nobody who gets back what does not pay."""


class Deposits:
    """The addresses that were handed out, and what is at them."""

    def __init__(
        self, networks: Networks, chains: Mapping[str, SimChain], chance: Random, *, taken: bool
    ) -> None:
        self._networks = networks
        self._chains = chains
        self._chance = chance
        self.are_taken = taken
        """Whether anybody in this history pays so."""
        self.sales: dict[Address, Sale] = {}
        """By the address that the payer was given."""

    @property
    def given(self) -> int:
        """How many addresses were handed out."""
        return len(self.sales)

    async def ask(self, db: Database, desk: Desk, sale: Sale, payer: Address) -> bool:
        """The payer asks for the address; False when there is none to be had any more."""
        assert sale.session is not None
        try:
            view, _ = await db.run(
                operations.open_deposit,
                desk,
                sale.session.session_id,
                client_code=sale.session.client_code,
                token_id=sale.paying.token_id,
                refund_to=payer if sale.number % NAMELESS else None,
                payer_email=None,
            )
        except Refused:
            return False
        sale.deposit = view
        self.sales[view.deposit.address] = sale
        sale.transfers = self._planned(sale)
        return True

    def _planned(self, sale: Sale) -> list[Transfer]:
        """What the payer is going to send."""
        assert sale.deposit is not None
        option = self._option(sale)
        network, token = option.network.name, option.token.address
        due = option.quote.payer_pays.atomic
        match sale.plan:
            case Plan.SHORT:
                return [Transfer(network, token, due - self._chance.choice((1, due // 2)))]
            case Plan.OVER:
                return [Transfer(network, token, due + self._chance.choice((1, due)))]
            case Plan.TWICE:
                # Each would pay; they may be on two networks, whose routers do not know each other.
                again = self._chance.choice(sale.deposit.options)
                more = again.quote.payer_pays.atomic
                other = Transfer(again.network.name, again.token.address, more)
                return [Transfer(network, token, due), other]
            case Plan.PARTS:
                first = self._chance.randrange(1, due)
                return [Transfer(network, token, part) for part in (first, due - first)]
            case Plan.WRONG_TOKEN:
                return [Transfer(network, stranger(network), due)]
        return [Transfer(network, token, due)]

    def _option(self, sale: Sale) -> RouteOption:
        assert sale.deposit is not None
        own, *others = sale.deposit.options
        if not others or self._chance.random() < OWN_TOKEN:
            return own
        return self._chance.choice(others)

    def is_ready(self, sale: Sale) -> bool:
        """Whether the payer has something to send now."""
        if not sale.transfers or sale.session is None or sale.plan is Plan.NEVER:
            return False
        now = self._chains[sale.network.name].now
        return sale.plan is not Plan.LATE or now > unix_seconds(sale.session.expires_at)

    def send(self, sale: Sale, tx_hash: bytes, payer: Address) -> None:
        """The payer's next transfer reaches the pool."""
        assert sale.deposit is not None
        one, address = sale.transfers.pop(0), sale.deposit.deposit.address
        log = event_log(TRANSFERRED, one.token, tx_hash, payer, address, one.amount)
        effects = Effects(
            (log,),
            kept=((at_address(one.token, address), one.amount),),
            succeeded=sale.plan is not Plan.FAILED,
        )
        tx = SimTx(tx_hash, effects)
        self._chains[one.network].pool.append(tx)
        sale.sent += 1
        sale.txs.append(tx)

    def left(self) -> Iterator[tuple[Sale, str, Address, int]]:
        """What is at the addresses still: whose, on which network, which token and how much."""
        for network, chain in self._chains.items():
            known = self._networks.network(network)
            tokens = [*(token.address for token in known.tokens), stranger(network)]
            for address, sale in self.sales.items():
                for token in tokens:
                    amount = chain.branch.kept[at_address(token, address)]
                    if amount:
                        yield sale, network, token, amount

    def to_be_returned(self) -> list[str]:
        """What is there still and is worth being sent back, for people to read."""
        return [
            f"{amount} of 0x{token.hex()} of {sale.key} on {network}"
            for sale, network, token, amount in self.left()
            if is_worth_returning(self._networks.network(network), token, amount)
        ]
