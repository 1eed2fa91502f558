"""Walking lists: every page once, every item once, and an end in every case."""

from typing import Any

import pytest

from gstable import GStableError, MockTransport, Request, Response
from tests.unit.sdk import samples
from tests.unit.sdk.support import ASKS, World

WALKS = {
    "product.iterate": ("/product/list/{}/{}", "products", samples.PRODUCT, "productId"),
    "payment_link.iterate": ("/payment/link/list/{}/{}", "links", samples.LINK, "linkId"),
    **{
        f"checkout_session.iterate_{name}": (
            f"/session/list/{route}/{{}}/{{}}",
            "sessions",
            samples.SESSION,
            "sessionId",
        )
        for name, route in {
            "all": "all",
            "paid": "paid",
            "settling": "settling",
            "completed": "completed",
            "cancelled": "cancelled",
            "settlement_pending": "settlement/pending",
        }.items()
    },
}


@pytest.fixture(params=ASKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Shelf:
    """A server that holds ids, newest first, and pages them like the platform."""

    def __init__(self, name: str, ids: list[str]) -> None:
        _, self.key, self.sample, self.id_name = WALKS[name]
        self.ids = ids
        self.total: int | None = None
        self.arriving: list[str] = []

    def __call__(self, request: Request) -> Response:
        page, size = (int(part) for part in request.url.split("/")[-2:])
        found = self.ids[(page - 1) * size : page * size]
        items: list[Any] = [{**self.sample, self.id_name: one} for one in found]
        if self.key == "sessions":
            items = [{"session": item, "transaction": None} for item in items]
        total = len(self.ids) if self.total is None else self.total
        if self.arriving:
            self.ids.insert(0, self.arriving.pop())
        data = {"total": total, "page": str(page), "size": str(size), self.key: items}
        return Response.envelope(data)


def walk(kind: str, name: str, transport: MockTransport, size: int) -> list[str]:
    def call(client: Any) -> Any:
        namespace, method = name.split(".")
        return getattr(getattr(client, namespace), method)(size)

    found = ASKS[kind](call, World(), transport)
    id_field = {"products": "product_id", "links": "link_id"}.get(WALKS[name][1])
    return [i.session.session_id if id_field is None else getattr(i, id_field) for i in found]


@pytest.mark.parametrize("name", WALKS)
def test_every_list_is_walked_to_its_end(kind: str, name: str) -> None:
    ids = [f"id_{number}" for number in range(5)]
    transport = MockTransport(Shelf(name, list(ids)))
    assert walk(kind, name, transport, 2) == ids
    pages = [
        request.url.removeprefix("https://api.gstable.io/api/v1") for request in transport.requests
    ]
    assert pages == [WALKS[name][0].format(number, 2) for number in (1, 2, 3)]


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2)])
def test_no_page_is_asked_for_in_vain(kind: str, count: int, requests: int) -> None:
    ids = [str(number) for number in range(count)]
    transport = MockTransport(Shelf("product.iterate", list(ids)))
    assert walk(kind, "product.iterate", transport, 2) == ids
    assert len(transport.requests) == requests


def test_what_is_made_meanwhile_gives_nothing_twice(kind: str) -> None:
    shelf = Shelf("product.iterate", ["e", "d", "c", "b", "a"])
    shelf.arriving = ["f"]
    assert walk(kind, "product.iterate", MockTransport(shelf), 2) == ["e", "d", "c", "b", "a"]


def test_a_total_that_lies_does_not_make_it_endless(kind: str) -> None:
    shelf = Shelf("product.iterate", ["b", "a"])
    shelf.total = 10**9
    transport = MockTransport(shelf)
    assert walk(kind, "product.iterate", transport, 2) == ["b", "a"]
    assert len(transport.requests) == 2


@pytest.mark.parametrize(
    "change",
    [{"total": None}, {"page": "one"}, {"size": "1e2"}, {"page": True}, {"products": None}],
)
def test_a_page_that_is_none_is_refused(kind: str, change: dict[str, Any]) -> None:
    response = Response.envelope({**samples.PRODUCTS_PAGE, **change})
    (name,) = change
    with pytest.raises(GStableError, match=rf"data\.{name}"):
        ASKS[kind](lambda c: c.product.list(), World(), MockTransport(lambda request: response))
