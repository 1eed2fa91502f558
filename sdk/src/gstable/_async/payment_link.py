"""Payment links. Source: specification section 5."""

from collections.abc import AsyncIterator

from gstable import _parse
from gstable._async.paging import iterate
from gstable._async.requester import AsyncRequester
from gstable._body import LineItems, body, path, wire_flag, wire_line_items
from gstable._models import OperationResult, Page, PaymentLink


class AsyncPaymentLinkNamespace:
    """`client.payment_link`. Every method raises `GStableError`; link codes are 1001xx."""

    def __init__(self, requester: AsyncRequester) -> None:
        self._requester = requester

    async def create(
        self,
        *,
        link_type: str,
        link_name: str,
        account_id: str,
        settlement_token: str,
        fee_model: int,
        line_items: LineItems,
        payer_email_required: bool | None = None,
        success_url: str | None = None,
        custom_success_text: str | None = None,
        custom_disabled_text: str | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentLink:
        """Create a reusable payment page.

        `link_type`: `fixed`, or `custom` where the payer names the price. `link_name`: up to
        100 characters. `settlement_token`: such as `polygon::usdc`. `fee_model`: see `FeeModel`.
        `line_items`: 1 to 100; `unit_price` in Micro-USD. Texts: up to 500 characters.
        Raises `GStableCommonError` 400101 naming the field, `GStableError` 100401 for an unknown
        account, `GStableProductError` for a product that cannot be sold.
        """
        content = _content(
            link_type=link_type,
            link_name=link_name,
            account_id=account_id,
            settlement_token=settlement_token,
            fee_model=fee_model,
            items=line_items,
            payer_email_required=payer_email_required,
            success_url=success_url,
            custom_success_text=custom_success_text,
            custom_disabled_text=custom_disabled_text,
        )
        parse = _parse.one(_parse.payment_link)
        return await self._requester.post(
            "/payment/link/create", body(**content), parse, idempotency_key
        )

    async def update(
        self,
        link_id: str,
        *,
        link_type: str,
        link_name: str,
        account_id: str,
        settlement_token: str,
        fee_model: int,
        line_items: LineItems,
        payer_email_required: bool | None = None,
        success_url: str | None = None,
        custom_success_text: str | None = None,
        custom_disabled_text: str | None = None,
        idempotency_key: str | None = None,
    ) -> OperationResult:
        """Replace the whole link: what is not given is cleared. Fields as in `create`.

        The `line_items` of an earlier answer may be handed back. The link gets a new
        `version_code`. Raises `GStableError` 100101 where there is no such link.
        """
        content = _content(
            link_type=link_type,
            link_name=link_name,
            account_id=account_id,
            settlement_token=settlement_token,
            fee_model=fee_model,
            items=line_items,
            payer_email_required=payer_email_required,
            success_url=success_url,
            custom_success_text=custom_success_text,
            custom_disabled_text=custom_disabled_text,
        )
        return await self._requester.post(
            "/payment/link/update",
            body(link_id=link_id, **content),
            _parse.one(_parse.operation_result),
            idempotency_key,
        )

    async def disable(self, link_id: str, *, idempotency_key: str | None = None) -> OperationResult:
        """Stop taking payments through the link."""
        return await self._operate("/payment/link/disable", link_id, idempotency_key)

    async def enable(self, link_id: str, *, idempotency_key: str | None = None) -> OperationResult:
        """Take payments again."""
        return await self._operate("/payment/link/enable", link_id, idempotency_key)

    async def detail(self, link_id: str) -> PaymentLink:
        """One link. Raises `GStableError` 100101 where there is none."""
        route = path("/payment/link/{link_id}", link_id=link_id)
        return await self._requester.get(route, _parse.one(_parse.payment_link))

    async def list(self, page: int = 1, size: int = 20) -> Page[PaymentLink]:
        """One page, newest first. `page` from 1; `size` 1 to 100."""
        return await self._requester.get(
            path("/payment/link/list/{page}/{size}", page=page, size=size),
            _parse.page_of("links", _parse.payment_link),
        )

    def iterate(self, size: int = 100) -> AsyncIterator[PaymentLink]:
        """Every link, newest first, fetched in pages of `size`."""
        return iterate(self.list, lambda link: link.link_id, size)

    async def _operate(
        self, route: str, link_id: str, idempotency_key: str | None
    ) -> OperationResult:
        return await self._requester.post(
            route, body(link_id=link_id), _parse.one(_parse.operation_result), idempotency_key
        )


def _content(
    *, items: LineItems, payer_email_required: bool | None, **fields: object
) -> dict[str, object]:
    return {
        **fields,
        "line_items": wire_line_items(items),
        "payer_email_required": wire_flag(payer_email_required),
    }
