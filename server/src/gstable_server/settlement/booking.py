"""The book's rows of a crossing beyond the payment: from the rail's contract to the rail's far end.

Sessions book from the payer to the rail, and from the rail to the merchant; between them stands
the conversion of one asset into another, which no account of the merchant's sees.
"""

from __future__ import annotations

from gstable_server.chain.facts import DeliveryLog, EscrowLog, EscrowWhat, PaymentLog, RailName
from gstable_server.chain.networks import Networks
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Tx
from gstable_server.settlement.model import Case, Leg


async def post(tx: Tx, networks: Networks, before: Case, after: Case) -> None:
    """Book the legs that came to stand, and take back those that do so no more."""
    for leg in after.legs:
        was = next((one for one in before.legs if one.log.object_id == leg.log.object_id), None)
        booked = was is not None and was.stands and was.payment is not None
        stands = leg.stands and leg.payment is not None
        if was is not None and booked and not (stands and was.cause == leg.cause):
            for transfer in _transfers(networks, before, was):
                await ledger.post(tx, transfer.reversed_by(f"reverted:{transfer.cause}"))
        if stands and not (was is not None and booked and was.cause == leg.cause):
            for transfer in _transfers(networks, after, leg):
                await ledger.post(tx, transfer)


def _transfers(networks: Networks, case: Case, leg: Leg) -> tuple[book.Transfer, ...]:
    assert leg.payment is not None
    settlement = case.settlement(leg.payment)
    assert settlement is not None, "a leg belongs to a crossing that is known"
    if isinstance(leg.log, EscrowLog):
        return (_out_of_escrow(networks, leg, leg.log),)
    return _delivered(networks, settlement.payment, leg, leg.log)


def _delivered(
    networks: Networks, payment: PaymentLog, leg: Leg, log: DeliveryLog
) -> tuple[book.Transfer, ...]:
    """The settlement asset came to the rail's far end; burnt money is gone from the near one."""
    assert payment.rail is not None
    rail = payment.rail.value
    giver = book.conversion(rail) if log.solver is None else book.solver(log.solver)
    arrived = book.delivery(
        f"delivery:{leg.cause}",
        networks.token_id_at(log.network, log.token),
        giver=giver,
        receiver=book.in_rail(rail),
        amount=log.amount,
        costs=log.fee,
        rail=rail,
    )
    if payment.rail is not RailName.CCTP:
        return (arrived,)
    converted = book.delivery(
        f"conversion:{leg.cause}",
        networks.token_id_at(payment.network, payment.token),
        giver=book.in_rail(rail),
        receiver=book.conversion(rail),
        amount=payment.amount,
        rail=rail,
    )
    return (converted, arrived)


def _out_of_escrow(networks: Networks, leg: Leg, log: EscrowLog) -> book.Transfer:
    """The paying asset left the escrow: to who filled, or back to who paid."""
    returned = log.what is EscrowWhat.RECLAIMED
    return book.moved(
        f"escrow:{leg.cause}",
        book.Kind.RETURN if returned else book.Kind.RELEASE,
        networks.token_id_at(log.network, log.token),
        book.Entry(book.in_rail(RailName.ESCROW.value), -log.amount),
        book.Entry(book.PAYERS if returned else book.solver(log.receiver), log.amount),
    )
