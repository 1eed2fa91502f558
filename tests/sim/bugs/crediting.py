"""Bugs of whoever credits payments."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from gstable_server.chain import decode as decoding
from gstable_server.chain import finality, indexer
from gstable_server.chain.facts import ChainLog, FactWhat, PaymentLog
from gstable_server.chain.rpc import LogFilter
from gstable_server.sessions import hearing, matching
from gstable_server.sessions.cases import Case
from gstable_server.sessions.model import Flag
from tests.sim.networks import FOREIGN_ROUTER
from tests.sim.planting import bug, replaced


@bug("credit-without-amount-check")
def credits_any_amount() -> Iterator[None]:
    def any_amount(_attested: Collection[int], _log: PaymentLog) -> frozenset[Flag]:
        return frozenset()

    with replaced(matching, "amount_flags", any_amount):
        yield


@bug("credit-in-any-token")
def credits_any_token() -> Iterator[None]:
    def of_any_token(self: Case, *_: Any) -> frozenset[int]:
        return frozenset().union(*self.attested.values())

    with replaced(Case, "attested_for", of_any_token):
        yield


def _without(flag: Flag) -> Any:
    right = matching.flags_of

    def flags_of(*given: Any, **named: Any) -> frozenset[Flag]:
        return right(*given, **named) - {flag}

    return flags_of


@bug("credit-of-late-money")
def credits_late_money() -> Iterator[None]:
    with replaced(matching, "flags_of", _without(Flag.LATE)):
        yield


@bug("credit-of-money-for-others")
def credits_money_for_others() -> Iterator[None]:
    with replaced(matching, "flags_of", _without(Flag.WRONG_RECIPIENT)):
        yield


@bug("two-payments-pay")
def two_payments_pay() -> Iterator[None]:
    with replaced(matching, "flags_of", _without(Flag.DUPLICATE)):
        yield


@bug("credit-before-finality")
def credits_before_finality() -> Iterator[None]:
    def at_once(_block_number: int, _newest: int, _confirmations: int) -> bool:
        return True

    with replaced(indexer, "is_deep", at_once):
        yield


@bug("credit-of-a-foreign-router")
def credits_a_foreign_router() -> Iterator[None]:
    told, wanted = decoding._told, decoding.wanted

    def told_by_any(network: Any, header: Any, log: Any, rails: Any, senders: Any) -> Any:
        if log.address == FOREIGN_ROUTER:
            return decoding._paid(network, header, log)
        return told(network, header, log, rails, senders)

    def wanted_of_any(network: Any, watches: Any) -> tuple[LogFilter, ...]:
        return (*wanted(network, watches), LogFilter((FOREIGN_ROUTER,)))

    with (
        replaced(decoding, "_told", told_by_any),
        replaced(indexer, "wanted", wanted_of_any),
        replaced(finality, "wanted", wanted_of_any),
    ):
        yield


@bug("mined-again-is-another-payment")
def mined_again_is_another() -> Iterator[None]:
    right = decoding.named_for_good

    def named_anew(logs: Any, known: Any) -> tuple[ChainLog, ...]:
        newest = max((each.log_position for each in known), default=-1)
        named = right(logs, ())
        return tuple(_moved(each, newest + 1) for each in named)

    with replaced(indexer, "named_for_good", named_anew):
        yield


def _moved(log: Any, by: int) -> Any:
    return replace(log, log_position=log.log_position + by)


@bug("taken-back-payment-stays-credited")
def taken_back_stays() -> Iterator[None]:
    right = hearing._moved

    def moved(tx: Any, case: Any, known: Any, fact: Any) -> Any:
        taken_back = fact.what is FactWhat.REORGED
        return None if taken_back else right(tx, case, known, fact)

    with replaced(hearing, "_moved", moved):
        yield
