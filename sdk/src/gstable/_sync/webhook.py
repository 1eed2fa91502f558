# Generated from _async/webhook.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""Webhook endpoints. Source: specification section 9, Management.

To check what arrives at such an endpoint, see `gstable.webhooks`.
"""

from collections.abc import Sequence

from gstable import _parse
from gstable._sync.requester import Requester
from gstable._body import body, path
from gstable._models import (
    OperationResult,
    Page,
    RefreshedKey,
    Webhook,
    WebhookAttempt,
    WebhookTest,
)


class WebhookNamespace:
    """`client.webhook`. Every method raises `GStableError`; webhook codes are 3001xx."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    def create(
        self,
        *,
        webhook_name: str,
        webhook_url: str,
        subscribed_events: Sequence[str],
        webhook_description: str | None = None,
        idempotency_key: str | None = None,
    ) -> Webhook:
        """Register an endpoint; the answer carries its signing `key`.

        `webhook_name`: up to 100 characters. `webhook_url`: https, up to 1000.
        `subscribed_events`: such as `session.completed`. `webhook_description`: up to 1000.
        Raises `GStableCommonError` 400101 naming the field, `GStableError` 300102 at the limit.
        """
        content = body(
            webhook_name=webhook_name,
            webhook_url=webhook_url,
            subscribed_events=subscribed_events,
            webhook_description=webhook_description,
        )
        parse = _parse.one(_parse.webhook)
        return self._requester.post("/webhook/create", content, parse, idempotency_key)

    def update(
        self,
        webhook_id: str,
        *,
        webhook_name: str,
        webhook_url: str,
        subscribed_events: Sequence[str],
        webhook_description: str | None = None,
        idempotency_key: str | None = None,
    ) -> OperationResult:
        """Replace the whole endpoint: what is not given is cleared. Fields as in `create`.

        Raises `GStableError` 300101 where there is no such webhook.
        """
        content = body(
            webhook_id=webhook_id,
            webhook_name=webhook_name,
            webhook_url=webhook_url,
            subscribed_events=subscribed_events,
            webhook_description=webhook_description,
        )
        parse = _parse.one(_parse.operation_result)
        return self._requester.post("/webhook/update", content, parse, idempotency_key)

    def list(self) -> tuple[Webhook, ...]:
        """All endpoints of the merchant, at most 10."""
        return self._requester.get("/webhook/list", _parse.one(_parse.webhooks))

    def detail(self, webhook_id: str) -> Webhook:
        """One endpoint. Raises `GStableError` 300101 where there is none."""
        route = path("/webhook/detail/{webhook_id}", webhook_id=webhook_id)
        return self._requester.get(route, _parse.one(_parse.webhook))

    def disable(
        self, webhook_id: str, *, idempotency_key: str | None = None
    ) -> OperationResult:
        """Stop deliveries."""
        return self._operate("/webhook/disable", webhook_id, idempotency_key)

    def enable(
        self, webhook_id: str, *, idempotency_key: str | None = None
    ) -> OperationResult:
        """Deliver again; also ends a pause by the platform."""
        return self._operate("/webhook/enable", webhook_id, idempotency_key)

    def refresh_key(
        self,
        webhook_id: str,
        *,
        grace_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> RefreshedKey:
        """Make a new signing key. The old one dies at once, or after `grace_seconds`."""
        return self._requester.post(
            "/webhook/key/refresh",
            body(webhook_id=webhook_id, grace_seconds=grace_seconds),
            _parse.one(_parse.refreshed_key),
            idempotency_key,
        )

    def remove(
        self, webhook_id: str, *, idempotency_key: str | None = None
    ) -> OperationResult:
        """Remove it for ever."""
        return self._operate("/webhook/remove", webhook_id, idempotency_key)

    def test(self, webhook_id: str, *, idempotency_key: str | None = None) -> WebhookTest:
        """Send an event of type `webhook.test` to this endpoint only, whatever it subscribes to.

        Its attempts are in `attempts` and in `client.event.deliveries`.
        """
        return self._requester.post(
            "/webhook/test",
            body(webhook_id=webhook_id),
            _parse.one(_parse.webhook_test),
            idempotency_key,
        )

    def attempts(
        self, webhook_id: str, page: int = 1, size: int = 20
    ) -> Page[WebhookAttempt]:
        """What was sent to this endpoint and how it answered, newest first. `size` 1 to 100."""
        route = path(
            "/webhook/attempts/{webhook_id}/{page}/{size}",
            webhook_id=webhook_id,
            page=page,
            size=size,
        )
        return self._requester.get(route, _parse.page_of("attempts", _parse.webhook_attempt))

    def _operate(
        self, route: str, webhook_id: str, idempotency_key: str | None
    ) -> OperationResult:
        return self._requester.post(
            route,
            body(webhook_id=webhook_id),
            _parse.one(_parse.operation_result),
            idempotency_key,
        )
