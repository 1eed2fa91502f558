"""What the book should say, by what the chains say: pure.

Accounts are summed up where the chain cannot tell them apart: a merchant's pending, settled and
exceptional money is all in the same wallet, and so are fees that are final and that are not yet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gstable_server.chain.networks import Networks
from gstable_server.kernel.address import Address
from gstable_server.reconciliation.logs import (
    TRANSFER,
    Brought,
    Escrowed,
    Given,
    Happening,
    Released,
    Unheld,
)
from gstable_server.reconciliation.model import Claim, Owner, RawLog

PAYERS = "payers"
FEES = "fees"
UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class Expected:
    """``amount`` atomic units that the book should have added to ``account``.

    ``of_session``: in a transfer that names the session; what happens on the way between two
    networks names none.
    """

    session_key: bytes
    token_id: str
    account: str
    amount: int
    of_session: bool = True


class Expectation:
    """The books of everything that happened, each happening by itself."""

    def __init__(
        self,
        networks: Networks,
        happenings: Sequence[Happening],
        owners: Mapping[bytes, Owner],
    ) -> None:
        self._networks = networks
        self._happenings = happenings
        self._owners = owners
        self._given: dict[bytes, list[Given]] = defaultdict(list)
        self._orders: dict[bytes, tuple[str, bytes]] = {}
        for one in happenings:
            if isinstance(one, Given):
                self._given[one.session_key].append(one)
            elif isinstance(one, Escrowed):
                self._orders[one.order_id] = one.network, one.tx_hash

    def all(self) -> Iterable[Expected]:
        """What every happening should have added, in their order."""
        for one in self._happenings:
            match one:
                case Given():
                    yield from self._of_payment(one)
                case Brought():
                    yield from self._of_delivery(one)
                case Released():
                    yield from self._of_release(one)
                case Unheld():
                    yield from self._of_hold(one)

    def _of_payment(self, one: Given) -> Iterable[Expected]:
        key, token = one.session_key, self._token(one.network, one.token)
        yield Expected(key, token, PAYERS, -(one.amount + one.fee))
        yield Expected(key, token, FEES, one.fee)
        if one.rail is None:
            yield Expected(key, token, self._merchant(key), one.amount)
        elif one.rail == "swap":
            bought = self._token(one.network, one.settlement_token)
            yield Expected(key, token, "conversion:swap", one.amount)
            yield Expected(key, bought, "conversion:swap", -one.delivered)
            yield Expected(key, bought, self._merchant(key), one.delivered)
        else:
            yield Expected(key, token, f"rail:{one.rail}", one.amount)

    def _of_delivery(self, one: Brought) -> Iterable[Expected]:
        given = self.given_for(one)
        if given is None:
            return
        key, rail = one.session_key, f"rail:{one.rail}"
        token = self._token(one.network, one.token)
        giver = f"solver:0x{one.solver.hex()}" if one.solver else f"conversion:{one.rail}"
        yield Expected(key, token, giver, -(one.amount + one.costs), of_session=False)
        yield Expected(key, token, rail, one.amount, of_session=False)
        yield Expected(key, token, f"costs:{one.rail}", one.costs, of_session=False)
        yield Expected(key, token, rail, -one.amount)
        yield Expected(key, token, self._merchant(key), one.amount)
        if one.solver is None:
            # What was burnt is gone from the network where it was paid.
            burnt = self._token(given.network, given.token)
            yield Expected(key, burnt, rail, -given.amount, of_session=False)
            yield Expected(key, burnt, giver, given.amount, of_session=False)

    def given_for(self, one: Brought) -> Given | None:
        """The payment that a delivery is of: anybody may bring money in any session's name."""
        here = self._networks.network(one.network).chain_id
        for given in self._given[one.session_key]:
            source = self._networks.network(given.network)
            if (given.rail, source.chain_id, given.settlement_chain_id, given.settlement_token) != (
                one.rail,
                one.source_chain_id,
                here,
                one.token,
            ) or given.merchant != one.merchant:
                continue
            if one.order_id is None:
                if one.amount + one.costs == given.amount:
                    return given
            elif self._orders.get(one.order_id) == (given.network, given.tx_hash):
                return given
        return None

    def _of_release(self, one: Released) -> Iterable[Expected]:
        given = self._given[one.session_key]
        if not any(each.rail == "escrow" and each.network == one.network for each in given):
            return
        token = self._token(one.network, one.token)
        receiver = PAYERS if one.returned else f"solver:0x{one.receiver.hex()}"
        key = one.session_key
        yield Expected(key, token, "rail:escrow", -one.amount, of_session=False)
        yield Expected(key, token, receiver, one.amount, of_session=False)

    def _of_hold(self, one: Unheld) -> Iterable[Expected]:
        key, token = one.session_key, self._token(one.network, one.token)
        yield Expected(key, token, "rail:hold", -one.amount)
        if one.returned:
            yield Expected(key, token, PAYERS, one.amount)
            return
        yield Expected(key, token, self._merchant(key), one.received)
        yield Expected(key, token, FEES, one.fee)
        # What a token withheld from the merchant.
        yield Expected(key, token, "costs:hold", one.amount - one.received - one.fee)

    def of_claims(self, claims: Iterable[Claim], transfers: Iterable[RawLog]) -> Iterable[Expected]:
        """What refunds should have moved: only those that a transfer proves, each by one of its
        own."""
        unclaimed = Counter(_terms(log) for log in transfers if is_transfer(log))
        by_id = {owner.session_id: owner for owner in self._owners.values()}
        for claim in claims:
            terms = (
                claim.network,
                claim.tx_hash,
                claim.token,
                claim.sender,
                claim.receiver,
                claim.amount,
            )
            owner = by_id.get(claim.session_id)
            if owner is None or not unclaimed[terms]:
                continue
            unclaimed[terms] -= 1
            key, token = owner.session_key, self._token(claim.network, claim.token)
            yield Expected(key, token, self._merchant(key), -claim.amount)
            yield Expected(key, token, PAYERS, claim.amount)

    def _merchant(self, session_key: bytes) -> str:
        owner = self._owners.get(session_key)
        return f"merchant:{owner.merchant_id}" if owner else UNMATCHED

    def _token(self, network: str, token: Address) -> str:
        return self._networks.token_id_at(network, token)


def is_transfer(log: RawLog) -> bool:
    """Whether it is a token's ``Transfer`` (ERC-20)."""
    return len(log.topics) == 3 and log.topics[0] == TRANSFER


def _terms(log: RawLog) -> tuple[str, bytes, Address, Address, Address, int]:
    return (
        log.network,
        log.tx_hash,
        log.address,
        Address(log.topics[1][12:]),
        Address(log.topics[2][12:]),
        int.from_bytes(log.data, "big"),
    )
