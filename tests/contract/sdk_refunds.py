"""The calls of refunds, which need a payment that is final: rows beside those of ``sdk_calls``."""

from __future__ import annotations

from typing import Any

from tests.contract.sdk_counter import Arguments, Counter, args, happy
from tests.contract.support import USDC, WALLET

PREPARE = "checkout_session.refund_prepare"


def given_up(counter: Counter) -> Arguments:
    """A refund that was cancelled."""
    refund_id = counter.refund()
    counter.client.checkout_session.refund_cancel(refund_id)
    return args(refund_id)


@happy(
    PREPARE,
    lambda counter: args(counter.paid(), amount=3, reason="Out of stock"),
)
def _(counter: Counter, given: Arguments, refund: Any) -> None:
    assert refund.refund_id.startswith("rfd_")
    assert (refund.session_id, refund.status) == (given[0][0], "prepared")
    assert (refund.amount, refund.amount_in_token, refund.token) == (3, 3, USDC)
    assert (refund.reason, refund.tx_hash) == ("Out of stock", "")
    assert bytes.fromhex(refund.from_[2:]) == WALLET
    assert refund.to == counter.client.checkout_session.detail(given[0][0]).session.payer
    assert refund.transaction.data.startswith("0xa9059cbb")
    assert (refund.transaction.chain_id, refund.transaction.value) == (refund.chain_id, 0)
    shown = counter.client.checkout_session.detail(given[0][0]).session.refunds
    assert shown[-1] == refund


@happy("checkout_session.refund_cancel", lambda counter: args(counter.refund()))
def _(counter: Counter, given: Arguments, result: Any) -> None:
    assert result.success is True
    assert counter.client.checkout_session.refund_detail(given[0][0]).status == "cancelled"


@happy("checkout_session.refund_detail", lambda counter: args(counter.refund()))
def _(counter: Counter, given: Arguments, refund: Any) -> None:
    assert refund.refund_id == given[0][0]
    assert refund.transaction is not None


def _refunded(counter: Counter) -> Arguments:
    counter.refund()
    return args(counter.paid())


@happy("checkout_session.refund_list", _refunded)
def _(counter: Counter, given: Arguments, refunds: Any) -> None:
    assert len(refunds) >= 1
    assert {refund.session_id for refund in refunds} == {given[0][0]}
    assert refunds == counter.client.checkout_session.detail(given[0][0]).session.refunds
