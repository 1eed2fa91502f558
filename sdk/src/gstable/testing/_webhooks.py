"""Webhook endpoints, managed. Source: specification section 9, Management."""

from typing import Any
from urllib.parse import urlsplit

from gstable.testing._clock import wire_time
from gstable.testing._fields import (
    DESCRIPTION,
    ID,
    NAME,
    WEB_URL,
    Check,
    Field,
    array,
    integer,
    is_loopback,
    left_out,
    record,
)
from gstable.testing._mail import Endpoint, Mail
from gstable.testing._refusals import Refused, invalid
from gstable.testing._routes import DONE, Call, Route, get, post
from gstable.testing._world import Page, World, token

ENDPOINTS_MAX = 10
GRACE_SECONDS_MAX = 7 * 86_400
HIDDEN_KEY = "wkk_hidden"
PORTS = (None, 443, 8443)
EVENT_TYPES = (
    *(f"account.{happened}" for happened in ("created", "updated", "removed")),
    *(
        f"payment.link.{happened}"
        for happened in ("created", "updated", "disabled", "enabled", "archived")
    ),
    *(
        f"product.{happened}"
        for happened in ("created", "updated", "archived", "unarchived", "removed")
    ),
    *(
        f"session.{happened}"
        for happened in (
            "created",
            "paid",
            "settling",
            "settlement_pending",
            "completed",
            "expired",
            "cancelled",
            "underpaid",
            "overpaid",
            "paid_late",
            "payment_reverted",
            "refunded",
            "captured",
            "voided",
        )
    ),
)
"""All that can be subscribed to."""


def _event_type(value: object, at: str) -> object:
    if not isinstance(value, str):
        raise invalid(at, "must be a string")
    if value not in EVENT_TYPES:
        raise invalid(at, "is not a known event type")
    return value


def _subscribed() -> Check:
    check_list = array(_event_type, 1, len(EVENT_TYPES))

    def check(value: object, at: str) -> object:
        checked = check_list(value, at)
        assert isinstance(checked, list)
        if len(set(checked)) != len(checked):
            raise invalid(at, "must not name an event type twice")
        return checked

    return check


_TERMS: dict[str, Field] = {
    "webhookName": NAME,
    "webhookUrl": WEB_URL,
    "subscribedEvents": _subscribed(),
    "webhookDescription": DESCRIPTION,
}


class Webhooks:
    """The endpoints under their ids, oldest first."""

    def __init__(self, world: World, mail: Mail) -> None:
        self._world = world
        self._mail = mail
        self._all: dict[str, Endpoint] = {}
        world.listeners.append(self._hear)
        mail.stopped.append(self._tell_others)

    @property
    def all(self) -> tuple[Endpoint, ...]:
        return tuple(self._all.values())

    def require(self, webhook_id: str) -> Endpoint:
        """Raises `Refused` 300101."""
        if webhook_id not in self._all:
            raise Refused(300101)
        return self._all[webhook_id]

    def routes(self) -> list[Route]:
        one = record(webhookId=ID)
        grace = left_out(integer(0, GRACE_SECONDS_MAX), 0)
        return [
            post("/webhook/create", self._create, record(**_TERMS)),
            post("/webhook/update", self._update, record(**_TERMS, webhookId=ID)),
            get("/webhook/list", self._list),
            get("/webhook/detail/{webhookId}", self._detail),
            post("/webhook/disable", self._disable, one),
            post("/webhook/enable", self._enable, one),
            post("/webhook/remove", self._remove, one),
            post("/webhook/test", self._test, one),
            post("/webhook/key/refresh", self._refresh, record(webhookId=ID, graceSeconds=grace)),
            get("/webhook/attempts/{webhookId}/{page}/{size}", self._attempts),
        ]

    def _hear(self, event: dict[str, object]) -> None:
        for endpoint in self.all:
            if endpoint.wants(event["eventType"]):
                self._mail.post(event, endpoint)
        self._mail.deliver()

    def _create(self, call: Call) -> object:
        _require_reachable(call.body["webhookUrl"])
        if len(self._all) >= ENDPOINTS_MAX:
            raise Refused(300102, f"at most {ENDPOINTS_MAX} webhooks")
        webhook_id = f"wkid_{token(24)}"
        now = wire_time(self._world.clock.now)
        own = {"key": f"wkk_{token(40)}", "status": "active", "createAt": now, "updateAt": now}
        endpoint = Endpoint({"webhookId": webhook_id, **_told(call.body), **own})
        self._all[webhook_id] = endpoint
        return dict(endpoint.shown)

    def _update(self, call: Call) -> object:
        _require_reachable(call.body["webhookUrl"])
        return self._change(call, **_told(call.body))

    def _list(self, call: Call) -> object:
        return {"webhooks": [_shown(one, call) for one in reversed(self.all)]}

    def _detail(self, call: Call) -> object:
        return _shown(self.require(call.values["webhookId"]), call)

    def _disable(self, call: Call) -> object:
        return self._change(call, status="inactive")

    def _enable(self, call: Call) -> object:
        endpoint = self.require(call.body["webhookId"])
        endpoint.forget_failures()
        if not endpoint.is_active:
            self._mail.release(endpoint)
        answer = self._change(call, status="active")
        self._mail.deliver()
        return answer

    def _remove(self, call: Call) -> object:
        endpoint = self.require(call.body["webhookId"])
        del self._all[endpoint.webhook_id]
        self._mail.stop(endpoint)
        return DONE

    def _refresh(self, call: Call) -> object:
        endpoint = self.require(call.body["webhookId"])
        endpoint.previous_key = str(endpoint.shown["key"])
        endpoint.previous_until = self._world.clock.now + call.body["graceSeconds"]
        key = f"wkk_{token(40)}"
        self._change(call, key=key)
        return {**DONE, "key": key}

    def _test(self, call: Call) -> object:
        endpoint = self.require(call.body["webhookId"])
        if not endpoint.is_active:
            raise invalid("webhookId", "must be an active webhook")
        event = self._notice("test", endpoint)
        self._mail.post(event, endpoint)
        self._mail.deliver()
        return {**DONE, "eventId": event["eventId"]}

    def _tell_others(self, stopped: Endpoint) -> None:
        """Whoever still hears something is told of an endpoint that hears nothing any more."""
        happened = "paused" if stopped.shown["status"] == "paused" else "disabled"
        event = self._notice(happened, stopped)
        for endpoint in self.all:
            if endpoint is not stopped and endpoint.is_active:
                self._mail.post(event, endpoint)

    def _notice(self, happened: str, endpoint: Endpoint) -> dict[str, object]:
        payload = {"webhookData": _shown(endpoint, None)}
        return self._world.tell(f"webhook.{happened}", "webhook", payload)

    def _attempts(self, call: Call) -> object:
        page = Page.of(call.values)
        endpoint = self.require(call.values["webhookId"])
        made = [
            {**one.shown(with_response=call.writes), "eventId": one.event_id}
            for one in reversed(self._mail.deliveries)
            if one.webhook_id == endpoint.webhook_id
        ]
        cut = page.cut(made)
        return {"total": len(made), "page": page.number, "size": page.size, "attempts": cut}

    def _change(self, call: Call, **changes: Any) -> object:
        endpoint = self.require(call.body["webhookId"])
        endpoint.shown.update(changes, updateAt=wire_time(self._world.clock.now))
        return DONE


def _told(terms: dict[str, Any]) -> dict[str, Any]:
    described = {"webhookDescription": terms["webhookDescription"] or ""}
    names = ("webhookName", "webhookUrl", "subscribedEvents")
    return {**{name: terms[name] for name in names}, **described}


def _shown(endpoint: Endpoint, call: Call | None) -> dict[str, object]:
    """Whoever has the key can forge deliveries, so a key that only reads does not see it."""
    if call is not None and call.writes:
        return dict(endpoint.shown)
    return {**endpoint.shown, "key": HIDDEN_KEY}


def _require_reachable(url: str) -> None:
    parts = urlsplit(url)
    if "#" in url:
        raise invalid("webhookUrl", "must not have a fragment")
    if is_loopback(url):
        return
    if parts.scheme != "https":
        raise invalid("webhookUrl", "must start with https://")
    if parts.port not in PORTS:
        raise invalid("webhookUrl", "must use port 443 or 8443")
    if "." not in (parts.hostname or ""):
        raise invalid("webhookUrl", "must name a public host")
