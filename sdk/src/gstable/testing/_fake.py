"""`FakeGStable`: the merchant API in this process, with hands to do what payers and time do."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gstable._async.client import AsyncClient
from gstable._errors import error_for
from gstable._event import Event, parse_event
from gstable._sync.client import Client
from gstable._transport import MockTransport
from gstable.testing import _tokens
from gstable.testing._accounts import Accounts, FakeAccount
from gstable.testing._asgi import Door
from gstable.testing._clock import FakeClock
from gstable.testing._events import Events
from gstable.testing._links import Links
from gstable.testing._log import Log
from gstable.testing._mail import Delivery, Mail
from gstable.testing._payments import Payments
from gstable.testing._products import Products
from gstable.testing._receivers import (
    ASGIApp,
    WSGIApp,
    asgi_receiver,
    function_receiver,
    wsgi_receiver,
)
from gstable.testing._refunds import Refunds
from gstable.testing._refusals import Refused
from gstable.testing._server import Key, Server
from gstable.testing._sessions import Sessions
from gstable.testing._test_mode import TestMode
from gstable.testing._webhooks import Webhooks
from gstable.testing._world import World, token

PAYER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
PUBLIC_URL = "https://pay.gstable.test"
BASE_URL = f"{PUBLIC_URL}/api/v1"
PUBLIC_BASE_URL = f"{PUBLIC_URL}/public/api/v1"


class FakeGStable:
    """A platform with one merchant in test mode: no network, no database, no chain.

        fake = FakeGStable()
        client = fake.client()
        session = client.checkout_session.create(account_id=fake.account_id, ...)
        fake.pay(session.session_id)
        fake.settle(session.session_id)

    `api_key` and `restricted_key`: what its clients send; random unless given. `accounts`: the
    receiving accounts. `now`: Unix seconds where its clock begins, the machine's unless given.
    `public_url`: the address that its links and payment pages name; nothing answers there.
    Sequential calls from several threads are fine, simultaneous ones are not.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        restricted_key: str | None = None,
        accounts: Sequence[FakeAccount] = (FakeAccount(),),
        now: int | None = None,
        public_url: str = PUBLIC_URL,
    ) -> None:
        self.api_key = api_key or f"sk_test_{token(40)}"
        self.restricted_key = restricted_key or f"rk_test_{token(40)}"
        self.clock = FakeClock(now)
        self._world = World(self.clock, public_url.rstrip("/"))
        self._accounts = Accounts(self._world, accounts)
        products = Products(self._world)
        links = Links(self._world, self._accounts, products)
        self._sessions = Sessions(self._world, self._accounts, products, links)
        self._payments = Payments(self._world, self._sessions)
        self._refunds = Refunds(self._world, self._sessions)
        self._mail = Mail(self._world)
        webhooks = Webhooks(self._world, self._mail)
        log = Log(self.clock, [])
        rooms = (
            self._accounts,
            products,
            links,
            self._payments,
            self._refunds,
            TestMode(self._world, self._sessions, self._payments, self._refunds),
            self._sessions,
            webhooks,
            Events(self._world, self._mail, webhooks),
            log,
        )
        keys = (
            Key(self.api_key, writes=True, key_id=f"key_{token(16)}"),
            Key(self.restricted_key, writes=False, key_id=f"key_{token(16)}"),
        )
        rows = [route for room in rooms for route in room.routes()]
        self._server = Server(self.clock, keys, rows, _tokens.routes(), log)

    # --- clients ---------------------------------------------------------------------------------

    def transport(self) -> MockTransport:
        """What carries the requests of any `Client` or `AsyncClient` here; it keeps them in
        `requests`. The client's `base_url` may be any that ends with `/api/v1`."""
        return MockTransport(self._server.answer)

    def client(self, api_key: str | None = None, **settings: Any) -> Client:
        """A client with the merchant's key. `settings`: as for `Client`."""
        return Client(api_key or self.api_key, **self._settings(settings))

    def async_client(self, api_key: str | None = None, **settings: Any) -> AsyncClient:
        """The same, asynchronous."""
        return AsyncClient(api_key or self.api_key, **self._settings(settings))

    def asgi(self) -> Callable[[Any, Any, Any], Awaitable[None]]:
        """The fake as an ASGI application, for programs that are configured by an address only."""
        return Door(self._server)

    def _settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        own = {"base_url": BASE_URL, "public_base_url": PUBLIC_BASE_URL}
        return {**own, "transport": self.transport(), **given}

    # --- what there is ---------------------------------------------------------------------------

    @property
    def account_id(self) -> str:
        """The first receiving account in use."""
        return self._accounts.ids[0]

    @property
    def account_ids(self) -> tuple[str, ...]:
        """All receiving accounts in use, in the order given."""
        return self._accounts.ids

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened, oldest first."""
        return tuple(parse_event(body) for body in self._world.packed())

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """Every try to deliver an event, oldest first."""
        return tuple(self._mail.deliveries)

    # --- deliveries ------------------------------------------------------------------------------

    def deliver_to(self, receiver: Callable[[bytes, Mapping[str, str]], int]) -> None:
        """Hand each delivery to a function: raw body and headers in, HTTP status out.

        What waits is sent at once, the rest as it happens. A status outside 2xx is tried again as
        the clock advances; what the function raises comes out of the call that caused the event.
        Events go to the endpoints that were registered with `client.webhook.create`.
        """
        self._mail.receiver = function_receiver(receiver)
        self._mail.deliver()

    def deliver_to_asgi(self, app: ASGIApp) -> None:
        """Hand each delivery to an application of FastAPI, Starlette or Django, at the path of
        the endpoint's URL. It runs in a thread of its own, without lifespan events."""
        self._mail.receiver = asgi_receiver(app)
        self._mail.deliver()

    def deliver_to_wsgi(self, app: WSGIApp) -> None:
        """Hand each delivery to an application of Flask or Django, likewise."""
        self._mail.receiver = wsgi_receiver(app)
        self._mail.deliver()

    # --- what others do --------------------------------------------------------------------------

    def open_link(
        self,
        link_id: str,
        amount: int | None = None,
        quantities: Mapping[str, int] | None = None,
    ) -> str:
        """A payer opens a payment link; returns the id of the session. `amount`: Micro-USD, for
        custom links only; `quantities`: by line item id, where the payer may choose. Raises
        `GStableError` 100101, 100103, 400101."""
        with _told():
            return self._sessions.open_link(link_id, amount, quantities or {}).session_id

    def pay(self, session_id: str, *, token_id: str | None = None, payer: str = PAYER) -> None:
        """A payment is in a block: `paid`. What is captured later waits for its capture.

        `token_id`: what the payer pays with, the settlement token unless given; `payer`: their
        address. Raises `GStableError` as the payment page would: 100201, 100203 to 100205,
        100209, 400202.
        """
        with _told():
            self._payments.pay(session_id, token_id, payer)

    def begin_settlement(self, session_id: str) -> None:
        """The money is under way to another network: `settling`."""
        with _told():
            self._payments.begin_settlement(session_id)

    def delay_settlement(self, session_id: str) -> None:
        """What carries the money hangs: `settlement_pending`."""
        with _told():
            self._payments.delay_settlement(session_id)

    def settle(self, session_id: str) -> None:
        """The money is in the merchant's wallet for good: `completed`."""
        with _told():
            self._payments.settle(session_id)

    def expire(self, session_id: str) -> None:
        """The session's time is over, without moving the clock for others: `expired`."""
        with _told():
            self._payments.expire(session_id)

    def send_refund(self, refund_id: str) -> None:
        """The merchant's wallet sends a prepared refund, and it is final: `session.refunded`.
        Raises `GStableError` 100501, 100502."""
        with _told():
            self._refunds.send(refund_id)

    def remove_account(self, account_id: str) -> None:
        """The merchant removes a receiving account in the dashboard. Raises `GStableError` 100401,
        100403."""
        with _told():
            self._accounts.remove(account_id)


@contextmanager
def _told() -> Iterator[None]:
    """A refusal comes out as the error that a client would raise."""
    try:
        yield
    except Refused as refused:
        raise error_for(refused.code, refused.message, None, refused.status) from None
