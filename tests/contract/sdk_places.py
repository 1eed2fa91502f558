"""Where the SDK's contract is judged: at a running installation, and at the fake that merchants
test with. The same rows run at both, so that the fake cannot promise what the server does not.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from gstable import AsyncClient, Client, MockTransport, Request, Response
from gstable.testing import FakeAccount, FakeGStable
from gstable_server.chain.checksum import to_checksum
from tests.contract import shapes
from tests.contract.support import WALLET, Merchant, pay
from tests.running import Running, eventually


@dataclass(frozen=True)
class Shop:
    """A merchant as the SDK knows it. ``secret`` may do everything, ``restricted`` only read."""

    account_id: str
    removed_account_id: str
    secret: str
    restricted: str


class Place(Protocol):
    """A platform with a merchant, and hands to do what buyers do there."""

    shop: Shop

    def now(self) -> int:
        """The platform's time, in Unix seconds."""

    def clients(self, secret: str) -> tuple[Client, AsyncClient]:
        """Both clients with that key."""

    def pay(self, session: Any) -> None:
        """Pay a session, and wait until it is ``paid`` at least."""

    def complete(self, session: Any) -> None:
        """Pay a session, and wait until the payment is final."""


class RealPlace:
    """A running installation."""

    def __init__(self, running: Running, merchant: Merchant) -> None:
        self._running = running
        self.shop = Shop(
            merchant.account_id, merchant.removed_account_id, merchant.secret, merchant.restricted
        )

    def now(self) -> int:
        return int(time.time())

    def clients(self, secret: str) -> tuple[Client, AsyncClient]:
        base = {
            "base_url": self._running.about["baseUrl"],
            "public_base_url": self._running.about["publicBaseUrl"],
        }
        return Client(secret, **base), AsyncClient(secret, **base)

    def pay(self, session: Any) -> None:
        self._pay(session, "paid")

    def complete(self, session: Any) -> None:
        self._pay(session, "completed")

    def _pay(self, session: Any, status: str) -> None:
        asyncio.run(pay(self._running, session.payment_url))
        client, _ = self.clients(self.shop.secret)
        with client:
            find = client.checkout_session.detail
            eventually(lambda: find(session.session_id).session.status == status, status)


class FakePlace:
    """The fake; every answer of it is held against the shapes of the wire."""

    def __init__(self) -> None:
        wallet = to_checksum(WALLET)
        self.fake = FakeGStable(accounts=[FakeAccount("Main", wallet), FakeAccount("Old", wallet)])
        kept, removed = self.fake.account_ids
        self.fake.remove_account(removed)
        self.shop = Shop(kept, removed, self.fake.api_key, self.fake.restricted_key)

    def now(self) -> int:
        return self.fake.clock.now

    def clients(self, secret: str) -> tuple[Client, AsyncClient]:
        def judged(request: Request) -> Response:
            answer = self.fake.transport().send(request)
            judge(request, answer)
            return answer

        transport = MockTransport(judged)
        client = self.fake.client(secret, transport=transport)
        return client, self.fake.async_client(secret, transport=transport)

    def pay(self, session: Any) -> None:
        self.fake.pay(session.session_id)

    def complete(self, session: Any) -> None:
        self.fake.pay(session.session_id)
        self.fake.settle(session.session_id)


def _page(name: str, item: Any, number: type) -> dict[str, Any]:
    return {"total": int, "page": number, "size": number, name: [item]}


ATTEMPT = {
    "attemptNumber": int,
    "startedAt": shapes.TIME,
    "durationMs": int,
    "statusCode": {None, *range(100, 600)},
    "error": {None, "timeout"},
    "response": {None, ""},
}
EVENT = {
    "eventId": shapes.Id("evt_"),
    "eventType": str,
    "businessType": str,
    "occurrence": shapes.TIME,
    "isSubscribable": bool,
    "payload": dict,
    "sequence": int,
    "apiVersion": str,
}
ENTRY = {
    **dict.fromkeys(("requestId", "keyId", "method", "path"), str),
    **dict.fromkeys(("status", "code", "durationMs"), int),
    "time": shapes.TIME,
}
REFUNDED = {**shapes.DETAIL, "session": {**shapes.SESSION, "refunds?": [shapes.REFUND]}}
DELIVERY = {
    "webhookId": shapes.Id("wkid_"),
    "status": {"pending", "held", "delivered", "exhausted", "stopped"},
    "attemptCount": int,
    "nextAttemptTime": {None, shapes.TIME},
    "attempts": [ATTEMPT],
}
ANSWERS: dict[str, Any] = {
    "/product/create": shapes.PRODUCT,
    "/product/list/by/ids": [shapes.PRODUCT],
    "/product/list/": _page("products", shapes.PRODUCT, str),
    "/account/list": [shapes.ACCOUNT],
    "/account/detail/": shapes.ACCOUNT,
    "/payment/link/create": shapes.CREATED_LINK,
    "/payment/link/list/": _page("links", shapes.LISTED_LINK, str),
    "/payment/link/lnk_": shapes.LINK,
    "/session/checkout/create": shapes.SESSION,
    "/session/checkout/capture": shapes.SESSION,
    "/session/checkout/void": shapes.SESSION,
    "/session/list/": _page("sessions", shapes.DETAIL, int),
    "/session/refund/prepare": shapes.REFUND,
    "/session/refund/list/": {"refunds": [shapes.REFUND]},
    "/session/refund/detail/": shapes.REFUND,
    "/session/sess_": REFUNDED,
    "/webhook/create": shapes.WEBHOOK,
    "/webhook/list": {"webhooks": [shapes.WEBHOOK]},
    "/webhook/detail/": shapes.WEBHOOK,
    "/webhook/key/refresh": {**shapes.DONE, "key": shapes.Id("wkk_")},
    "/webhook/test": {**shapes.DONE, "eventId": shapes.Id("evt_")},
    "/webhook/attempts/": _page("attempts", {**ATTEMPT, "eventId": shapes.Id("evt_")}, int),
    "/event/list/": _page("events", EVENT, int),
    "/event/detail/": EVENT,
    "/event/feed/": {"events": [EVENT], "cursor": str},
    "/event/deliveries/": {"deliveries": [DELIVERY]},
    "/event/resend": {**shapes.DONE, "messages": int},
    "/log/feed/": {"entries": [ENTRY], "cursor": str},
    "/capabilities/all": shapes.MATRIX,
}
DONE_VERBS = (
    "/product/update", "/product/archive", "/product/unarchive", "/product/remove",
    "/payment/link/update", "/payment/link/disable", "/payment/link/enable",
    "/session/checkout/cancel", "/session/refund/cancel", "/test/session/advance",
    "/webhook/update", "/webhook/disable", "/webhook/enable", "/webhook/remove",
)  # fmt: skip
ANSWERS.update(dict.fromkeys(DONE_VERBS, shapes.DONE))


def judge(request: Request, answer: Response) -> None:
    """Fails where an answer has not the form that the wire promises."""
    envelope = json.loads(answer.body)
    assert answer.headers["x-request-id"].startswith("req_")
    if envelope["code"] != 0:
        shape = {"code": int, "message": str, "data": {None}}
        shapes.matches(envelope, shape, "envelope")
        return
    path = urlsplit(request.url).path.split("/api/v1", 1)[1]
    fitting = [prefix for prefix in ANSWERS if path.startswith(prefix)]
    assert fitting, f"no shape for {path}"
    shapes.matches(envelope["data"], ANSWERS[max(fitting, key=len)], path)
