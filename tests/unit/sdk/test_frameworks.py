"""The receivers of docs/guide/frameworks, as they stand there, with deliveries of the fake."""

import asyncio
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gstable import webhooks
from gstable.testing import FakeGStable

GUIDES = Path(__file__).parents[3] / "docs" / "guide" / "frameworks"
URL = "https://shop.example.com/gstable"
Shop = tuple[Any, Callable[[], list[str]]]


def python_blocks(name: str) -> list[str]:
    text = (GUIDES / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def executed(source: str, name: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": name}
    exec(compile(source, f"docs/guide/frameworks/{name}", "exec", dont_inherit=True), names)
    return names


@pytest.fixture
def fake() -> FakeGStable:
    return FakeGStable()


@pytest.fixture
def key(fake: FakeGStable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The signing key of the shop's endpoint, where the receivers look for it."""
    endpoint = fake.client().webhook.create(
        webhook_name="Shop",
        webhook_url=URL,
        subscribed_events=["session.paid", "session.completed", "product.created"],
    )
    monkeypatch.setenv("GSTABLE_WEBHOOK_KEY", endpoint.key)
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.sqlite"))
    return endpoint.key


@pytest.fixture(scope="module")
def django_shop() -> Iterator[Callable[[str], Shop]]:
    """Django is set up once for a process; its database lives in memory."""
    import django
    from django.conf import settings
    from django.db import connection

    urls = ModuleType("shop.urls")
    names = {"shop": ModuleType("shop"), "shop.models": ModuleType("shop.models")}
    sys.modules.update(names, **{"shop.urls": urls})
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        ALLOWED_HOSTS=["shop.example.com"],
        ROOT_URLCONF="shop.urls",
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
        USE_TZ=True,
    )
    django.setup()
    models, views = python_blocks("django")
    inbox = executed(models, "shop.models")["Inbox"]
    sys.modules["shop.models"].Inbox = inbox  # type: ignore[attr-defined]
    shop = executed(views, "shop.views")

    from django.core.wsgi import get_wsgi_application
    from django.urls import path

    urls.urlpatterns = [path("gstable", shop["receive"])]  # type: ignore[attr-defined]
    with connection.schema_editor() as editor:
        editor.create_model(inbox)

    def opened(key: str) -> Shop:
        settings.GSTABLE_WEBHOOK_KEY = key
        return get_wsgi_application(), shop["work"]

    yield opened
    connection.close()
    for name in (*names, "shop.urls"):
        del sys.modules[name]


def fastapi_shop() -> Shop:
    shop = executed(python_blocks("fastapi")[0], "fastapi.md")
    return shop["app"], shop["work"]


def flask_shop() -> Shop:
    shop = executed(python_blocks("flask")[0], "flask.md")
    return shop["app"], shop["work"]


@pytest.fixture(params=["fastapi", "flask", "django"])
def shop(
    request: pytest.FixtureRequest, fake: FakeGStable, key: str
) -> tuple[Callable[[], None], Callable[[], list[str]]]:
    """What connects the fake to a receiver, and the receiver's worker."""
    if request.param == "fastapi":
        app, work = fastapi_shop()
        return (lambda: fake.deliver_to_asgi(app)), work
    if request.param == "flask":
        app, work = flask_shop()
    else:
        app, work = request.getfixturevalue("django_shop")(key)
    return (lambda: fake.deliver_to_wsgi(app)), work


def sell(fake: FakeGStable) -> str:
    line: Any = {"item_type": "one_time", "quantity": 1, "unit_price": 4_500_000}
    line["product_data"] = {"product_name": "Tea"}
    session = fake.client().checkout_session.create(
        account_id=fake.account_id,
        settlement_token="polygon::usdc",
        line_items=[line],
    )
    return session.session_id


def test_each_receiver_takes_each_event_once(
    fake: FakeGStable, shop: tuple[Callable[[], None], Callable[[], list[str]]]
) -> None:
    connect, work = shop
    connect()
    session_id = sell(fake)
    fake.client().product.create(name="Tea", common_prices=[1])
    fake.pay(session_id)
    assert work() == []
    fake.settle(session_id)
    completed = fake.deliveries[-1]
    assert completed.event_type == "session.completed"
    fake.client().event.resend(completed.event_id)
    assert [delivery.status for delivery in fake.deliveries] == [204] * 4
    assert work() == [session_id]
    assert work() == []


def test_each_receiver_refuses_what_is_not_signed_by_us(
    fake: FakeGStable, shop: tuple[Callable[[], None], Callable[[], list[str]]]
) -> None:
    connect, work = shop
    connect()
    receiver = fake._mail.receiver
    assert receiver is not None
    body, headers = webhooks.example("session.completed", "wkk_another_key")
    assert receiver(URL, body, headers)[0] == 400
    assert receiver(URL, b"{}", {"content-type": "application/json"})[0] == 400
    assert work() == []


def test_the_test_of_the_guide_passes(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = executed(python_blocks("fastapi")[1], "fastapi.md")
    monkeypatch.setenv("GSTABLE_WEBHOOK_KEY", guide["endpoint"].key)
    guide["test_an_order_is_shipped_once_the_money_is_there"](*fastapi_shop())


def test_starlette_is_the_same_without_the_decorator(fake: FakeGStable, key: str) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Route

    guide = executed(python_blocks("fastapi")[0], "fastapi.md")
    routes = [Route("/gstable", guide["receive"], methods=["POST"])]
    fake.deliver_to_asgi(Starlette(routes=routes))
    session_id = sell(fake)
    fake.pay(session_id)
    fake.settle(session_id)
    assert guide["work"]() == [session_id]


def test_django_answers_under_asgi_too(
    fake: FakeGStable, key: str, django_shop: Callable[[str], Shop]
) -> None:
    from django.core.asgi import get_asgi_application

    django_shop(key)
    fake.deliver_to_asgi(get_asgi_application())
    receiver = fake._mail.receiver
    assert receiver is not None
    body, headers = webhooks.example("product.created", key)
    assert receiver(URL, body, headers)[0] == 204

    async def while_a_loop_runs() -> int:
        return receiver(URL, body, headers)[0]

    assert asyncio.run(while_a_loop_runs()) == 204
