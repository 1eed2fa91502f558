"""Webhooks in the console: endpoints, keys, the log, tests, and letters sent again; with a real
receiver of letters."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.operations import Filter
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.events import Event
from gstable_server.plumbing.http_client import GuardedClient
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeClock
from gstable_server.web.dashboard.developers.webhooks_presenter import EVENT_GROUPS
from gstable_server.webhooks import operations
from gstable_server.webhooks.model import EVENT_TYPES, EndpointStatus
from tests.unit.web.console import PASSWORD, Browser, browser_on, reader
from tests.unit.web.shop import Merchant, new_desk
from tests.unit.webhooks.support import deliver_due, receiving, status, tell

pytestmark = pytest.mark.anyio

WEBHOOKS = "/dashboard/test/webhooks"
URL = "https://shop.example/hook"
PAID = {"event-session.paid": "on"}
KEY = re.compile(r"wkk_[A-Za-z0-9]{40}")


@pytest.fixture
async def http() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(allow_loopback=True) as client:
        yield client


async def add(browser: Browser, url: str = URL, name: str = "Shop", *, path: str = WEBHOOKS) -> str:
    """The path of a new endpoint's page."""
    answer = await browser.post(path, webhookName=name, webhookUrl=url, **PAID)
    assert answer.status_code == 200, answer.text
    return next(link for link in reader(answer).links() if re.search(r"/wkid_\w+$", link))


async def test_an_endpoint_is_added_and_its_key_shown_in_that_answer_only(
    browser: Browser, owner: Merchant
) -> None:
    assert "No endpoints yet" in (await browser.get(WEBHOOKS)).text
    answer = await browser.post(WEBHOOKS, webhookName="Shop", webhookUrl=URL, **PAID)
    [key] = KEY.findall(answer.text)
    async with owner.db.read() as tx:
        [endpoint] = await operations.list_webhooks(tx, owner.tenant)
    assert endpoint.keys.current == key
    assert endpoint.target.events == ("session.paid",)
    page = await browser.get(f"{WEBHOOKS}/{endpoint.webhook_id}")
    listed = await browser.get(WEBHOOKS)
    assert URL in page.text
    assert URL in listed.text
    assert not KEY.search(page.text + listed.text)
    assert "webhooks.verify" in page.text


@pytest.mark.parametrize(
    ("field", "entries", "text"),
    [
        ("webhookUrl", {"webhookUrl": "ftp://shop.example"}, "Must be an absolute https URL"),
        ("webhookUrl", {"webhookUrl": "https://10.0.0.1/hook"}, "10.0.0.1 is not a public address"),
        ("webhookName", {"webhookName": " "}, "Must have 1 to 100 characters"),
        ("subscribedEvents", {"event-session.paid": ""}, "Must have at least one."),
    ],
)
async def test_a_wrong_endpoint_is_refused_beside_its_field_and_kept(
    browser: Browser, owner: Merchant, field: str, entries: dict[str, str], text: str
) -> None:
    sent = {"webhookName": "Shop", "webhookUrl": URL, "webhookDescription": "Mine", **PAID}
    answer = await browser.post(WEBHOOKS, **{**sent, **entries})
    page = reader(answer)
    assert answer.status_code == 422
    assert text in page.text
    assert page.field("webhookDescription")["value"] == "Mine"
    if field != "subscribedEvents":
        assert page.field(field)["aria-invalid"] == "true"
        assert "checked" in page.field("event-session.paid")
    async with owner.db.read() as tx:
        assert await operations.list_webhooks(tx, owner.tenant) == []


def test_every_event_can_be_picked_and_is_put_in_words() -> None:
    offered = [name for _, group in EVENT_GROUPS for name in group]
    assert sorted(offered) == sorted(EVENT_TYPES)
    assert all(words for _, group in EVENT_GROUPS for words in group.values())


async def test_dsh_06_two_people_change_one_webhook_and_the_second_is_shown_what_changed(
    browser: Browser, owner: Merchant
) -> None:
    place = await add(browser)
    opened = reader(await browser.get(f"{place}/edit")).field("version")["value"]
    mine = {"webhookName": "Mine", "webhookUrl": URL, "version": opened, **PAID}
    theirs = {**mine, "webhookName": "Theirs", "webhookUrl": f"{URL}/2"}
    assert (await browser.post(place, **theirs)).status_code == 303
    answer = await browser.post(place, **mine)
    page = reader(answer)
    assert answer.status_code == 409
    assert "Theirs" in page.text
    assert "Mine" in page.text
    async with owner.db.read() as tx:
        [endpoint] = await operations.list_webhooks(tx, owner.tenant)
    assert endpoint.target.name == "Theirs"
    # The page's own form saves what was typed, knowing what it undoes.
    again = {
        at["name"]: at.get("value", "") for tag, at in page.tags if tag == "input" and "name" in at
    }
    again.pop("formToken")
    assert (await browser.post(place, **again)).status_code == 303
    async with owner.db.read() as tx:
        [endpoint] = await operations.list_webhooks(tx, owner.tenant)
    assert (endpoint.target.name, endpoint.target.url) == ("Mine", URL)
    # What nobody changed meanwhile is saved at once, and without a version nothing is.
    bare = {name: text for name, text in mine.items() if name != "version"}
    assert (await browser.post(place, **bare, webhookDescription="x")).status_code == 409


async def test_a_key_is_shown_again_to_whoever_types_the_password(
    browser: Browser, owner: Merchant, clock: FakeClock
) -> None:
    place = await add(browser)
    clock.advance(3600)
    asked = await browser.post(f"{place}/reveal")
    assert asked.status_code == 403
    assert not KEY.search(asked.text)
    wrong = await browser.post(f"{place}/reveal", confirmPassword="something else")
    assert not KEY.search(wrong.text)
    shown = await browser.post(f"{place}/reveal", confirmPassword=PASSWORD)
    async with owner.db.read() as tx:
        [endpoint] = await operations.list_webhooks(tx, owner.tenant)
        noted = await audit.entries(tx, owner.tenant.merchant_id, Filter())
    assert endpoint.keys.current in shown.text
    said = [one.act.note.what for one in noted if one.act.note.what.startswith("webhook.")]
    assert said == ["webhook.revealed", "webhook.created"]
    assert all(not KEY.search(repr(one.act.note)) for one in noted)


async def test_where_events_go_is_changed_by_whoever_types_the_password_and_told(
    database: Database, clock: FakeClock
) -> None:
    async with browser_on(database, new_desk(), sends_mail=True) as browser:
        await browser.register()
        await browser.get("/dashboard/test/security")
        live, thiefs = "/dashboard/live/webhooks", "https://thief.example/hook"
        place = await add(browser, path=live)
        clock.advance(3600)
        version = reader(await browser.get(f"{place}/edit")).field("version")["value"]
        fields = {"webhookName": "Shop", "webhookUrl": thiefs, "version": version, **PAID}
        other = {**fields, "webhookName": "Another"}
        for path, sent in ((place, fields), (live, other), (f"{place}/rotate", {"grace": "0"})):
            asked = await browser.post(path, **sent)
            assert asked.status_code == 403, path
            assert "confirmPassword" in asked.text
        for act in ("disable", "enable", "remove", "reveal"):
            assert (await browser.post(f"{place}/{act}")).status_code == 403, act
        assert thiefs not in (await browser.get(live)).text
        # In test mode nothing real is told, so nobody is written to.
        await browser.post(WEBHOOKS, **other, confirmPassword=PASSWORD)
        assert await _letters(database) == ["sent to a further address"]
        assert (await browser.post(place, **fields)).status_code == 303
        assert (await browser.post(f"{place}/rotate", grace="0")).status_code == 200
        same = reader(await browser.get(f"{place}/edit")).field("version")["value"]
        await browser.post(place, **{**fields, "webhookName": "New name", "version": same})
    assert await _letters(database) == [
        "sent to a further address",
        "sent to another address",
        "replaced the key that signs",
    ]


async def _letters(db: Database) -> list[str]:
    """What each letter to the team says happened; none of them has a key in it."""
    words = ("sent to a further address", "sent to another address", "replaced the key that signs")
    async with db.read() as tx:
        bodies = [row["body"] for row in await tx.fetch("SELECT body FROM notices ORDER BY 1")]
    assert not any(KEY.search(body) for body in bodies)
    return [word for word in words for body in bodies if word in body]


async def test_a_key_is_replaced_while_the_old_one_still_signs(
    browser: Browser, owner: Merchant
) -> None:
    place = await add(browser)
    async with owner.db.read() as tx:
        [before] = await operations.list_webhooks(tx, owner.tenant)
    answer = await browser.post(f"{place}/rotate", grace="3600")
    async with owner.db.read() as tx:
        [after] = await operations.list_webhooks(tx, owner.tenant)
        now = tx.now
    assert after.keys.current in answer.text
    assert after.keys.valid_at(now) == (after.keys.current, before.keys.current)
    assert "The key before this one signs too" in (await browser.get(place)).text
    refused = await browser.post(f"{place}/rotate", grace="99")
    assert refused.status_code == 422


async def test_an_endpoint_is_disabled_enabled_and_removed(
    browser: Browser, owner: Merchant
) -> None:
    place = await add(browser)
    for act, expected in (("disable", EndpointStatus.INACTIVE), ("enable", EndpointStatus.ACTIVE)):
        assert (await browser.post(f"{place}/{act}")).status_code == 303
        async with owner.db.read() as tx:
            [endpoint] = await operations.list_webhooks(tx, owner.tenant)
        assert endpoint.status is expected
    assert (await browser.post(f"{place}/remove")).status_code == 303
    assert (await browser.get(place)).status_code == 404
    async with owner.db.read() as tx:
        assert await operations.list_webhooks(tx, owner.tenant) == []


async def test_a_test_event_is_sent_and_its_answer_shown(
    browser: Browser, owner: Merchant, http: GuardedClient
) -> None:
    db = owner.db
    headers = {"x-shop": "<b>hello</b>"}
    async with receiving(status(201, headers, "<script>alert(1)</script>")) as receiver:
        place = await add(browser, receiver.url)
        sent = await browser.post(f"{place}/test")
        event = sent.headers["location"]
        waiting = await browser.get(event)
        assert waiting.headers["refresh"] == "2"
        assert await relay_once(db, operations.post_all) >= 1
        await deliver_due(db, http)
        assert len(receiver.letters) == 1
    page = await browser.get(event)
    assert "refresh" not in page.headers
    shown = reader(page)
    assert "Answered 201" in shown.text
    assert "x-shop: <b>hello</b>" in shown.text
    assert "<script>alert(1)</script>" in shown.text
    assert "<script>alert(1)" not in page.text
    assert receiver.url in shown.text
    assert receiver.letters[0].headers["webhook-id"] in shown.text
    # A signature is as good as the key for some minutes.
    assert receiver.letters[0].headers["x-gstable-signature"] not in page.text
    assert "100 %" in (await browser.get(place)).text


async def test_a_lost_letter_is_found_in_the_log_and_sent_again(
    browser: Browser, owner: Merchant, http: GuardedClient
) -> None:
    db = owner.db
    async with receiving(status(500), status(200)) as receiver:
        place = await add(browser, receiver.url)
        await tell(db, owner.tenant)
        await deliver_due(db, http)
        page = reader(await browser.get(f"{place}?view=failed"))
        assert "Answered 500" in page.text
        event = next(link for link in page.links() if "/events/evt_" in link)
        webhook_id = place.rsplit("/", 1)[1]
        again = await browser.post(f"{event}/redeliver", webhookId=webhook_id)
        assert again.status_code == 303
        await deliver_due(db, http)
        assert [one.headers["webhook-id"] for one in receiver.letters] == [
            event.rsplit("/", 1)[1]
        ] * 2
    assert "Answered 200" in reader(await browser.get(event)).text
    assert "Nothing like that" in (await browser.get(f"{place}?view=waiting")).text
    assert "Answered 200" in (await browser.get(f"{place}?view=delivered")).text


async def test_a_range_is_sent_again_and_a_wrong_one_says_what_is_wrong(
    browser: Browser, owner: Merchant, http: GuardedClient
) -> None:
    db = owner.db
    async with receiving() as receiver:
        place = await add(browser, receiver.url)
        for _ in range(3):
            await tell(db, owner.tenant)
        await deliver_due(db, http)
        sent = await browser.post(
            f"{place}/redeliver", since="2020-01-01T00:00", until="2100-01-01T00:00"
        )
        assert sent.status_code == 303
        waiting = await browser.get(f"{place}?view=waiting")
        assert waiting.text.count("session.paid") >= 3
    for since, until, field in (
        ("2020-01-02T00:00", "2020-01-01T00:00", "until"),
        ("soon", "2020-01-01T00:00", "since"),
    ):
        wrong = await browser.post(f"{place}/redeliver", since=since, until=until)
        assert wrong.status_code == 422
        assert reader(wrong).field(field)["aria-invalid"] == "true"
        assert reader(wrong).field("since")["value"] == since


async def test_events_are_listed_by_page_and_by_object(browser: Browser, owner: Merchant) -> None:
    await add(browser)
    async with owner.db.begin() as tx:
        for number in range(60):
            tx.tell(_event(owner, f"sess_{number % 2}"))
    first = reader(await browser.get("/dashboard/test/events"))
    [older] = [link for link in first.links() if "before=" in link]
    second = reader(await browser.get(older))
    names = {link for link in [*first.links(), *second.links()] if "/events/evt_" in link}
    assert len(names) == 60
    about = reader(await browser.get("/dashboard/test/events?about=sess_1"))
    assert len([link for link in about.links() if "/events/evt_" in link]) == 30
    nothing = await browser.get("/dashboard/test/events?about=sess_9")
    assert "Nothing about that" in nothing.text


async def test_events_and_endpoints_of_others_are_not_found(
    browser: Browser, owner: Merchant
) -> None:
    desk = new_desk()
    other = await Merchant.open(owner.db, desk, "Somebody")
    async with owner.db.begin() as tx:
        tx.tell(_event(other, "sess_9"))
    async with owner.db.read() as tx:
        event_id = await tx.fetchval("SELECT event_id FROM events WHERE object_id = 'sess_9'")
    for path in (f"events/{event_id}", "webhooks/wkid_nothing"):
        assert (await browser.get(f"/dashboard/test/{path}")).status_code == 404
    refused = await browser.post(f"/dashboard/test/events/{event_id}/redeliver")
    assert refused.status_code == 404


def _event(merchant: Merchant, object_id: str) -> Event:
    return Event("session.created", object_id, {}, tenant=merchant.tenant, business_type="session")
