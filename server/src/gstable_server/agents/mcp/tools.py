"""The tools. Each is one call of the SDK; what the API refuses is a tool error with its code.

A tool's docstring is what the model reads of it. Source: specification sections 3 to 9.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.types import CallToolResult, TextContent
from pydantic import Field

from gstable import AsyncClient, GStableError
from gstable_server.agents.mcp import answers
from gstable_server.agents.mcp.answers import (
    AccountAnswer,
    CancelledAnswer,
    EventAnswer,
    EventHeadAnswer,
    PageAnswer,
    PaymentLinkAnswer,
    ProductAnswer,
    SessionAnswer,
)
from gstable_server.agents.mcp.inputs import (
    FeePayer,
    IdempotencyKey,
    LinkLine,
    PageNumber,
    PageSize,
    SessionLine,
    Status,
    fee_model_of,
    link_line_of,
    session_line_of,
)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

Lines = Annotated[list[LinkLine], Field(min_length=1, max_length=100)]
SessionLines = Annotated[list[SessionLine], Field(min_length=1, max_length=100)]


def refusals_told(
    tool: Callable[Arguments, Awaitable[Result]],
) -> Callable[Arguments, Awaitable[Result | CallToolResult]]:
    """The tool, with the API's refusals as results that the model can read and act upon."""

    @wraps(tool)
    async def told(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result | CallToolResult:
        try:
            return await tool(*args, **kwargs)
        except GStableError as error:
            return refusal(error)

    return told


def refusal(error: GStableError) -> CallToolResult:
    """A tool error that carries the platform's code and words (section 11)."""
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.request_id is not None:
        told["request_id"] = error.request_id
    return CallToolResult(
        content=[TextContent(type="text", text=json.dumps(told))],
        structured_content=told,
        is_error=True,
    )


class ReadingTools:
    """What a key may do that only reads."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list_accounts(self) -> PageAnswer[AccountAnswer]:
        """List the merchant's receiving accounts. A link or session needs the id of one and a
        settlement token that it lists."""
        found = await self._client.account.list()
        items = tuple(answers.account_of(account) for account in found)
        return PageAnswer(total=len(items), page=1, size=len(items), items=items)

    async def list_products(
        self, page: PageNumber = 1, size: PageSize = 20
    ) -> PageAnswer[ProductAnswer]:
        """List the products of the merchant's catalogue with their prices, newest first."""
        found = await self._client.product.list(page, size)
        items = tuple(answers.product_of(product) for product in found.items)
        return PageAnswer(total=found.total, page=found.page, size=found.size, items=items)

    async def list_payment_links(
        self, page: PageNumber = 1, size: PageSize = 20
    ) -> PageAnswer[PaymentLinkAnswer]:
        """List the merchant's payment links, newest first."""
        found = await self._client.payment_link.list(page, size)
        items = tuple(answers.link_of(link) for link in found.items)
        return PageAnswer(total=found.total, page=found.page, size=found.size, items=items)

    async def get_payment_link(self, link_id: str) -> PaymentLinkAnswer:
        """Read one payment link."""
        return answers.link_of(await self._client.payment_link.detail(link_id))

    async def get_session(self, session_id: str) -> SessionAnswer:
        """Read one session, to see whether it is paid. `completed` means the money has arrived."""
        return answers.session_of((await self._client.checkout_session.detail(session_id)).session)

    async def list_sessions(
        self, status: Status = "all", page: PageNumber = 1, size: PageSize = 20
    ) -> PageAnswer[SessionAnswer]:
        """List sessions, newest first: all of them, or those in one status."""
        sessions = self._client.checkout_session
        read = {
            "all": sessions.list_all,
            "paid": sessions.list_paid,
            "settling": sessions.list_settling,
            "completed": sessions.list_completed,
            "cancelled": sessions.list_cancelled,
            "settlement_pending": sessions.list_settlement_pending,
        }[status]
        found = await read(page, size)
        items = tuple(answers.session_of(item.session) for item in found.items)
        return PageAnswer(total=found.total, page=found.page, size=found.size, items=items)

    async def list_events(
        self, page: PageNumber = 1, size: PageSize = 20
    ) -> PageAnswer[EventHeadAnswer]:
        """List what happened, newest first, without payloads; read one with get_event."""
        found = await self._client.event.list(page, size)
        items = tuple(answers.event_head_of(event) for event in found.items)
        return PageAnswer(total=found.total, page=found.page, size=found.size, items=items)

    async def get_event(self, event_id: str) -> EventAnswer:
        """Read one event with its payload: the object as it was at that moment."""
        return answers.event_of(await self._client.event.detail(event_id))


class WritingTools:
    """What needs a key that may write."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create_payment_link(
        self,
        link_name: Annotated[str, Field(min_length=1, max_length=100)],
        account_id: str,
        settlement_token: Annotated[str, Field(description="Of the account, as polygon::usdc")],
        line_items: Lines,
        fee_payer: FeePayer = "merchant",
        payer_email_required: bool = False,
        success_url: str | None = None,
        custom_success_text: str | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> PaymentLinkAnswer:
        """Create a reusable payment page for products of the catalogue; send payers to link_url.

        One line without a price makes a link whose payer names the price.
        """
        is_custom = any(line.unit_price_usd is None for line in line_items)
        return answers.link_of(
            await self._client.payment_link.create(
                link_type="custom" if is_custom else "fixed",
                link_name=link_name,
                account_id=account_id,
                settlement_token=settlement_token,
                fee_model=fee_model_of(fee_payer),
                line_items=[link_line_of(line) for line in line_items],
                payer_email_required=payer_email_required,
                success_url=success_url,
                custom_success_text=custom_success_text,
                idempotency_key=idempotency_key,
            )
        )

    async def create_checkout_session(
        self,
        account_id: str,
        settlement_token: Annotated[str, Field(description="Of the account, as polygon::usdc")],
        line_items: SessionLines,
        fee_payer: FeePayer = "merchant",
        payer_email_required: bool = False,
        success_url: str | None = None,
        expiration_time: Annotated[
            int | None, Field(description="Unix seconds; 30 minutes to 7 days ahead")
        ] = None,
        metadata: Annotated[
            dict[str, Any] | None, Field(description="The merchant's own data, such as an order id")
        ] = None,
        idempotency_key: IdempotencyKey = None,
    ) -> SessionAnswer:
        """Create a one-time payment page; send the payer to payment_url. It lives 30 minutes
        unless expiration_time is given."""
        return answers.session_of(
            await self._client.checkout_session.create(
                account_id=account_id,
                settlement_token=settlement_token,
                line_items=[session_line_of(line) for line in line_items],
                fee_model=fee_model_of(fee_payer),
                payer_email_required=payer_email_required,
                success_url=success_url,
                expiration_time=expiration_time,
                metadata=metadata,
                idempotency_key=idempotency_key,
            )
        )

    async def cancel_session(self, session_id: str) -> CancelledAnswer:
        """Cancel a session that nobody has begun to pay. This cannot be undone."""
        done = await self._client.checkout_session.cancel(session_id)
        return CancelledAnswer(session_id=session_id, success=done.success)
