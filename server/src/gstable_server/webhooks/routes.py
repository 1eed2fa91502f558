"""The merchant API of webhooks (spec 9, Management)."""

from __future__ import annotations

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.fields import Body
from gstable_server.kernel.ids import WebhookId, id_or_none
from gstable_server.kernel.paging import page_from_path
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.route import Call, Handler, Json, Route
from gstable_server.webhooks import operations, wire

TAGS = ("Webhooks",)
_DONE = wire.Success(success=True)


def webhook_id_of(text: str) -> WebhookId:
    webhook_id = id_or_none(WebhookId, text)
    if webhook_id is None:
        raise Refused(Code.WEBHOOK_NOT_FOUND)
    return webhook_id


def sees_secrets(call: Call) -> bool:
    """Signing keys and what receivers answered are for whoever may write."""
    return call.caller.access is Access.WRITE


async def _create(call: Call) -> Json:
    endpoint = await operations.create(call.tx, call.caller.tenant, call.body.target())
    return wire.render(endpoint, with_key=True)


async def _update(call: Call) -> Json:
    webhook_id = webhook_id_of(call.body.webhook_id)
    await operations.update(call.tx, call.caller.tenant, webhook_id, call.body.target())
    return _DONE


async def _list(call: Call) -> Json:
    endpoints = await operations.list_webhooks(call.tx, call.caller.tenant)
    return {"webhooks": [wire.render(each, with_key=sees_secrets(call)) for each in endpoints]}


async def _detail(call: Call) -> Json:
    webhook_id = webhook_id_of(call.path["webhookId"])
    endpoint = await operations.detail(call.tx, call.caller.tenant, webhook_id)
    return wire.render(endpoint, with_key=sees_secrets(call))


async def _disable(call: Call) -> Json:
    await operations.disable(call.tx, call.caller.tenant, webhook_id_of(call.body.webhook_id))
    return _DONE


async def _enable(call: Call) -> Json:
    await operations.enable(call.tx, call.caller.tenant, webhook_id_of(call.body.webhook_id))
    return _DONE


async def _remove(call: Call) -> Json:
    await operations.remove(call.tx, call.caller.tenant, webhook_id_of(call.body.webhook_id))
    return _DONE


async def _refresh_key(call: Call) -> Json:
    key = await operations.refresh_key(
        call.tx,
        call.caller.tenant,
        webhook_id_of(call.body.webhook_id),
        call.body.grace_seconds,
    )
    return wire.RefreshedKey(success=True, key=key)


async def _test(call: Call) -> Json:
    webhook_id = webhook_id_of(call.body.webhook_id)
    event_id = await operations.send_test(call.tx, call.caller.tenant, webhook_id)
    return wire.TestSent(success=True, eventId=event_id)


async def _attempts(call: Call) -> Json:
    webhook_id = webhook_id_of(call.path["webhookId"])
    page = page_from_path(call.path["page"], call.path["size"])
    total, attempts = await operations.attempts_on(call.tx, call.caller.tenant, webhook_id, page)
    shown = sees_secrets(call)
    return wire.AttemptPage(
        total=total,
        page=page.number,
        size=page.size,
        attempts=[
            {**wire.render_attempt(each, with_response=shown), "eventId": each.event_id}
            for each in attempts
        ],
    )


def routes() -> list[Route]:
    """The rows that ``api`` mounts."""
    return [
        _verb(
            "create",
            _create,
            "Register an endpoint; the answer has its signing key",
            wire.CreateWebhook,
            wire.Webhook,
        ),
        _verb("update", _update, "Replace all fields of an endpoint", wire.UpdateWebhook),
        _read("list", _list, "List all endpoints, newest first", wire.WebhookList),
        _read("detail/{webhookId}", _detail, "Read one endpoint", wire.Webhook),
        _verb("disable", _disable, "Stop deliveries; pending ones are held"),
        _verb("enable", _enable, "Resume deliveries of a disabled or paused endpoint"),
        _verb("remove", _remove, "Remove an endpoint for ever"),
        _verb(
            "key/refresh",
            _refresh_key,
            "Replace the signing key; the old one dies at once or after graceSeconds",
            wire.RefreshKey,
            wire.RefreshedKey,
        ),
        _verb(
            "test",
            _test,
            "Send an event of type webhook.test to one endpoint",
            result=wire.TestSent,
        ),
        _read(
            "attempts/{webhookId}/{page}/{size}",
            _attempts,
            "List what was sent to an endpoint and how it answered, newest first",
            wire.AttemptPage,
        ),
    ]


def _read(path: str, handler: Handler, summary: str, result: type) -> Route:
    return Route("GET", f"/webhook/{path}", handler, summary, Access.READ, result, None, TAGS)


def _verb(
    name: str,
    handler: Handler,
    summary: str,
    body: type[Body] = wire.WebhookReference,
    result: type = wire.Success,
) -> Route:
    return Route("POST", f"/webhook/{name}", handler, summary, Access.WRITE, result, body, TAGS)
