"""Checkout sessions. Source: specification section 6."""

from collections.abc import AsyncIterator, Mapping

from gstable import _parse
from gstable._async.paging import iterate
from gstable._async.requester import AsyncRequester
from gstable._body import LineItems, body, path, wire_flag, wire_line_items
from gstable._models import CheckoutSession, OperationResult, Page, Refund, SessionDetail


def _session_id(found: SessionDetail) -> str:
    return found.session.session_id


class AsyncCheckoutSessionNamespace:
    """`client.checkout_session`. Every method raises `GStableError`; session codes are 1002xx."""

    def __init__(self, requester: AsyncRequester) -> None:
        self._requester = requester

    async def create(
        self,
        *,
        account_id: str,
        settlement_token: str,
        line_items: LineItems,
        success_url: str | None = None,
        payer_email_required: bool | None = None,
        fee_model: int | None = None,
        expiration_time: int | None = None,
        metadata: Mapping[str, object] | None = None,
        capture_method: str | None = None,
        idempotency_key: str | None = None,
    ) -> CheckoutSession:
        """Create a one-time payment page; send the buyer to `payment_url`.

        `settlement_token`: such as `polygon::usdc`. `line_items`: 1 to 100, `product` or
        `one_time`; `unit_price` in Micro-USD. `fee_model`: see `FeeModel`, the merchant pays
        unless given. `expiration_time`: Unix seconds, 1,800 s to 7 days ahead, 30 minutes unless
        given. `metadata`: JSON, up to 50 keys and 8 KiB, comes back in queries and events.
        `capture_method`: `manual` holds what is paid until `capture` or `void`; `automatic` unless
        given.
        Raises `GStableCommonError` 400101 naming the field, `GStableError` 100401 for an unknown
        account, `GStableProductError` for a product that cannot be sold.
        """
        content = body(
            account_id=account_id,
            settlement_token=settlement_token,
            line_items=wire_line_items(line_items),
            success_url=success_url,
            payer_email_required=wire_flag(payer_email_required),
            fee_model=fee_model,
            expiration_time=expiration_time,
            metadata=metadata,
            capture_method=capture_method,
        )
        parse = _parse.one(_parse.checkout_session)
        return await self._requester.post(
            "/session/checkout/create", content, parse, idempotency_key
        )

    async def cancel(
        self, session_id: str, *, idempotency_key: str | None = None
    ) -> OperationResult:
        """Cancel while `initialized` and not yet signed for; else `GStableError` 100207."""
        return await self._requester.post(
            "/session/checkout/cancel",
            body(session_id=session_id),
            _parse.one(_parse.operation_result),
            idempotency_key,
        )

    async def detail(self, session_id: str) -> SessionDetail:
        """The session and its payment. Raises `GStableError` 100201 where there is none."""
        route = path("/session/{session_id}", session_id=session_id)
        return await self._requester.get(route, _parse.one(_parse.session_detail))

    async def capture(
        self, session_id: str, *, amount: int | None = None, idempotency_key: str | None = None
    ) -> CheckoutSession:
        """Have a part of what is held given to the merchant, less the fee; may be repeated.

        `amount`: Micro-USD, all that remains unless given. The session is answered as it was
        before: what is captured is on the chain later, and told as `session.captured`.
        Raises `GStableError` 100601 when nothing can be captured or more than remains is asked
        for, 100201 for an unknown session, `GStableCommonError` 400101 naming the field.
        """
        return await self._requester.post(
            "/session/checkout/capture",
            body(session_id=session_id, amount=amount),
            _parse.one(_parse.checkout_session),
            idempotency_key,
        )

    async def void(self, session_id: str, *, idempotency_key: str | None = None) -> CheckoutSession:
        """Have all that is still held given back to the payer; told as `session.voided`.

        Raises `GStableError` 100602 when nothing is held or a capture is on its way, 100201 for an
        unknown session.
        """
        return await self._requester.post(
            "/session/checkout/void",
            body(session_id=session_id),
            _parse.one(_parse.checkout_session),
            idempotency_key,
        )

    async def advance(
        self, session_id: str, *, seconds: int, idempotency_key: str | None = None
    ) -> OperationResult:
        """Test keys only: bring the session's expiry, and that of its prepared refunds, `seconds`
        (1 to 31,536,000) closer, but not before now. What is due then happens by itself.

        Raises `GStableError` 200102 for a live key, 100201 where there is no such test session.
        """
        return await self._requester.post(
            "/test/session/advance",
            body(session_id=session_id, seconds=seconds),
            _parse.one(_parse.operation_result),
            idempotency_key,
        )

    async def refund_prepare(
        self,
        session_id: str,
        *,
        payment_id: str | None = None,
        amount: int | None = None,
        to: str | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Refund:
        """Set money of a final payment aside for 24 hours; send `transaction` from the wallet that
        was paid, and the refund is proven by the chain.

        `payment_id`: needed where a session has several payments. `amount`: Micro-USD, all that
        remains unless given. `to`: the payer's wallet unless given, and needed where what paid is
        not surely one of theirs. `reason`: up to 500 characters, for the merchant.
        Raises `GStableError` 100502 when no money can be given back or more than remains is asked
        for, 100201 for an unknown session, `GStableCommonError` 400101 naming the field.
        """
        content = body(
            session_id=session_id, payment_id=payment_id, amount=amount, to=to, reason=reason
        )
        parse = _parse.one(_parse.refund)
        return await self._requester.post(
            "/session/refund/prepare", content, parse, idempotency_key
        )

    async def refund_cancel(
        self, refund_id: str, *, idempotency_key: str | None = None
    ) -> OperationResult:
        """Give up a refund that is still `prepared`; else `GStableError` 100502. Its transfer still
        counts if it is sent all the same."""
        return await self._requester.post(
            "/session/refund/cancel",
            body(refund_id=refund_id),
            _parse.one(_parse.operation_result),
            idempotency_key,
        )

    async def refund_list(self, session_id: str) -> tuple[Refund, ...]:
        """Every refund of a session, oldest first."""
        route = path("/session/refund/list/{session_id}", session_id=session_id)
        return await self._requester.get(route, _parse.one(_parse.refunds))

    async def refund_detail(self, refund_id: str) -> Refund:
        """One refund. Raises `GStableError` 100501 where there is none."""
        route = path("/session/refund/detail/{refund_id}", refund_id=refund_id)
        return await self._requester.get(route, _parse.one(_parse.refund))

    async def list_all(self, page: int = 1, size: int = 20) -> Page[SessionDetail]:
        """One page of all sessions, newest first. `page` from 1; `size` 1 to 100."""
        return await self._page("/session/list/all/{page}/{size}", page, size)

    async def list_paid(self, page: int = 1, size: int = 20) -> Page[SessionDetail]:
        """One page of the sessions in `paid`: on chain, not settled yet."""
        return await self._page("/session/list/paid/{page}/{size}", page, size)

    async def list_settling(self, page: int = 1, size: int = 20) -> Page[SessionDetail]:
        """One page of the sessions in `settling`."""
        return await self._page("/session/list/settling/{page}/{size}", page, size)

    async def list_completed(self, page: int = 1, size: int = 20) -> Page[SessionDetail]:
        """One page of the sessions in `completed`: the money is in the merchant's wallet."""
        return await self._page("/session/list/completed/{page}/{size}", page, size)

    async def list_cancelled(self, page: int = 1, size: int = 20) -> Page[SessionDetail]:
        """One page of the sessions in `cancelled`."""
        return await self._page("/session/list/cancelled/{page}/{size}", page, size)

    async def list_settlement_pending(self, page: int = 1, size: int = 20) -> Page[SessionDetail]:
        """One page of the sessions in `settlement_pending`: delayed, will settle by itself."""
        return await self._page("/session/list/settlement/pending/{page}/{size}", page, size)

    def iterate_all(self, size: int = 100) -> AsyncIterator[SessionDetail]:
        """Every session, newest first, fetched in pages of `size`."""
        return iterate(self.list_all, _session_id, size)

    def iterate_paid(self, size: int = 100) -> AsyncIterator[SessionDetail]:
        """Every session in `paid`; one that moves on during the walk may be missed."""
        return iterate(self.list_paid, _session_id, size)

    def iterate_settling(self, size: int = 100) -> AsyncIterator[SessionDetail]:
        """Every session in `settling`; one that moves on during the walk may be missed."""
        return iterate(self.list_settling, _session_id, size)

    def iterate_completed(self, size: int = 100) -> AsyncIterator[SessionDetail]:
        """Every session in `completed`, newest first."""
        return iterate(self.list_completed, _session_id, size)

    def iterate_cancelled(self, size: int = 100) -> AsyncIterator[SessionDetail]:
        """Every session in `cancelled`, newest first."""
        return iterate(self.list_cancelled, _session_id, size)

    def iterate_settlement_pending(self, size: int = 100) -> AsyncIterator[SessionDetail]:
        """Every session in `settlement_pending`; one that moves on may be missed."""
        return iterate(self.list_settlement_pending, _session_id, size)

    async def _page(self, template: str, page: int, size: int) -> Page[SessionDetail]:
        return await self._requester.get(
            path(template, page=page, size=size),
            _parse.page_of("sessions", _parse.session_detail),
        )
