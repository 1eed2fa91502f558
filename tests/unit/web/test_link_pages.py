"""What payers choose on a link's page: quantities, amounts, and a fresh session like an old one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from gstable_server.accounts.branding import operations as brandings
from gstable_server.kernel.ids import SessionId
from gstable_server.links import operations as links
from gstable_server.links.model import PaymentLink
from gstable_server.links.operations import Shop
from gstable_server.links.wire import LinkCreateInput
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import Session
from gstable_server.sessions.model import SessionState as S
from tests.browser.studio import Studio
from tests.unit.web.shop import (
    PRICE,
    PUBLIC_URL,
    Merchant,
    add_payment,
    new_app,
    set_link_status,
    set_state,
)
from tests.unit.web.test_pages import OURS, PAYER, session_count, submit

pytestmark = pytest.mark.anyio


@dataclass
class Counter:
    """A link whose payer chooses 1 to 5 of its only line."""

    merchant: Merchant
    payer: AsyncClient
    link: PaymentLink

    @property
    def name(self) -> str:
        return f"quantity-{self.link.line_items[0].line_item_id}"

    async def opened(self, answer: Response) -> Session:
        assert answer.status_code == 303, answer.text
        session_id = SessionId(answer.headers["location"].removeprefix("/pay/").partition("?")[0])
        async with self.merchant.db.read() as tx:
            return (await sessions.view(tx, session_id)).session

    async def press(self, button: str, text: str, **fields: str) -> str:
        """The page after a press of "more" or "fewer"."""
        line_id = self.link.line_items[0].line_item_id
        answer = await self.payer.post(
            f"/link/{self.link.link_id}",
            data={button: line_id, self.name: text, **fields},
            headers=OURS,
        )
        assert answer.status_code == 200
        return answer.text


@pytest.fixture
async def counter(payer: AsyncClient, merchant: Merchant) -> Counter:
    return Counter(merchant, payer, await merchant.link(lineItems=[merchant.counted()]))


def chosen(page: str) -> tuple[str, str]:
    """The number in the field, and the total."""
    number = re.search(r'type="number"[^>]* value="([^"]*)"', page)
    total = re.search(r'id="link-total"[^>]*>([^<]+)<', page)
    assert number
    assert total
    return number.group(1), total.group(1)


async def test_the_payer_chooses_how_many(counter: Counter) -> None:
    page = (await counter.payer.get(f"/link/{counter.link.link_id}")).text
    assert chosen(page) == ("2", "50.00 USD")
    assert 'min="1" max="5"' in page
    session = await counter.opened(
        await submit(counter.payer, counter.link.link_id, **{counter.name: "4"})
    )
    [line] = session.line_items
    assert (session.amount, line.quantity, line.adjustable) == (4 * PRICE, 4, None)
    assert "4 × 25.00 USD" in (await counter.payer.get(f"/pay/{session.session_id}")).text


async def test_the_buttons_count_without_a_script_and_open_nothing(counter: Counter) -> None:
    assert chosen(await counter.press("more", "2")) == ("3", "75.00 USD")
    assert chosen(await counter.press("fewer", "2")) == ("1", "25.00 USD")
    assert chosen(await counter.press("fewer", "1")) == ("1", "25.00 USD")
    assert chosen(await counter.press("more", "5")) == ("5", "125.00 USD")
    assert chosen(await counter.press("more", "nonsense")) == ("3", "75.00 USD")
    page = await counter.press("more", "2", email="reader@example.com")
    assert "Continue to pay 75.00 USD" in page
    assert await session_count(counter.merchant) == 0


@pytest.mark.parametrize("text", ["0", "6", "-1", "2.5", "", "9999999999999", "<b>"])
async def test_a_quantity_out_of_range_is_told_beside_it(counter: Counter, text: str) -> None:
    answer = await submit(counter.payer, counter.link.link_id, **{counter.name: text})
    assert answer.status_code == 422
    assert answer.text.count("Choose a number from 1 to 5.") == 2
    assert 'aria-invalid="true"' in answer.text
    assert "<b>" not in answer.text
    assert await session_count(counter.merchant) == 0


async def test_the_clients_total_and_other_lines_count_for_nothing(counter: Counter) -> None:
    answer = await submit(counter.payer, counter.link.link_id, amount="0.01", pick="0.01")
    assert (await counter.opened(answer)).amount == 2 * PRICE
    fixed = await counter.merchant.link()
    name = f"quantity-{fixed.line_items[0].line_item_id}"
    answer = await submit(counter.payer, fixed.link_id, **{name: "1"})
    assert answer.status_code == 422
    foreign = await counter.payer.post(
        f"/link/{fixed.link_id}", data={"more": "x"}, headers={"sec-fetch-site": "cross-site"}
    )
    assert foreign.status_code == 403


async def test_what_the_merchant_changed_meanwhile_is_not_sold_unseen(counter: Counter) -> None:
    link, merchant = counter.link, counter.merchant
    terms = LinkCreateInput.model_validate(
        {
            "linkType": "fixed",
            "linkName": link.name,
            "accountId": link.account_id,
            "settlementToken": link.settlement_token,
            "feeModel": 1,
            "lineItems": [{**merchant.counted(), "unitPrice": 2 * PRICE}],
        }
    ).terms()
    shop = Shop(merchant.desk.networks, merchant.desk.public_url)
    await merchant.db.run(links.update, shop, merchant.tenant, link.link_id, terms)
    answer = await submit(counter.payer, link.link_id, **{counter.name: "3"})
    assert answer.status_code == 422
    assert "The merchant has changed this page." in answer.text
    assert chosen(answer.text) == ("2", "100.00 USD")


async def test_a_total_that_cannot_be_paid_names_the_bounds(
    payer: AsyncClient, merchant: Merchant
) -> None:
    line = merchant.counted(quantity=1, maximum=100_000)
    counter = Counter(merchant, payer, await merchant.link(lineItems=[line]))
    answer = await submit(payer, counter.link.link_id, **{counter.name: "50000"})
    assert answer.status_code == 422
    assert "Only amounts from 0.01 USD to 1,000,000.00 USD can be paid here." in answer.text


async def test_bounds_and_only_payable_suggestions_are_shown_before(
    payer: AsyncClient, merchant: Merchant
) -> None:
    link = await merchant.link(linkType="custom")
    page = (await payer.get(f"/link/{link.link_id}", headers={"accept-language": "de"})).text
    assert "0,01 USD" in page
    assert "1.000.000,00 USD" in page
    assert 'placeholder="0,00"' in page
    answer = await submit(payer, link.link_id, amount="12,50")
    assert answer.status_code == 303


async def test_fifteen_hundred_are_not_taken_for_one_and_a_half(
    payer: AsyncClient, merchant: Merchant
) -> None:
    """In half of our languages the point is between the thousands."""
    counter = Counter(merchant, payer, await merchant.link(linkType="custom"))
    for typed in ("1.500", "1,500", "12.345", "١٬٥٠٠"):
        answer = await submit(payer, counter.link.link_id, amount=typed)
        assert (answer.status_code, "Write the amount in figures" in answer.text) == (422, True)
    # A merchant's own price, which the page offers, is what it is.
    session = await counter.opened(await submit(payer, counter.link.link_id, pick="1.125"))
    assert session.amount == 1_125_000
    session = await counter.opened(await submit(payer, counter.link.link_id, amount="0.125"))
    assert session.amount == 125_000


# --- again ------------------------------------------------------------------------------------


async def again(counter: Counter, session: Session, code: str | None = None) -> Response:
    return await counter.payer.post(
        f"/pay/{session.session_id}/again?lang=de",
        data={"clientCode": session.client_code if code is None else code},
        headers=OURS,
    )


async def expired(counter: Counter, **fields: str) -> Session:
    opened = await counter.opened(await submit(counter.payer, counter.link.link_id, **fields))
    return await set_state(counter.merchant.db, opened, S.EXPIRED)


async def test_one_tap_opens_a_fresh_session_with_the_same_choice(
    payer: AsyncClient, merchant: Merchant
) -> None:
    link = await merchant.link(lineItems=[merchant.counted()], payerEmailRequired=1)
    counter = Counter(merchant, payer, link)
    old = await expired(counter, email="reader@example.com", **{counter.name: "4"})
    page = (await payer.get(f"/pay/{old.session_id}")).text
    assert "reader@example.com" not in page
    assert re.search(r'<div id="again">', page)
    answer = await again(counter, old)
    assert answer.headers["location"].endswith("?lang=de")
    fresh = await counter.opened(answer)
    assert fresh.session_id != old.session_id
    assert (fresh.amount, fresh.line_items[0].quantity) == (4 * PRICE, 4)
    assert fresh.payer_email == "reader@example.com"
    async with merchant.db.read() as tx:
        rows = await tx.fetch("SELECT session_id, language FROM receipt_letters")
    assert {row["session_id"]: row["language"] for row in rows}[fresh.session_id] == "de"


async def test_a_custom_amount_is_the_same_again(payer: AsyncClient, merchant: Merchant) -> None:
    counter = Counter(merchant, payer, await merchant.link(linkType="custom"))
    fresh = await counter.opened(await again(counter, await expired(counter, amount="7.25")))
    assert fresh.amount == 7_250_000


async def test_only_who_has_the_page_may_and_only_when_nothing_came(counter: Counter) -> None:
    old = await expired(counter)
    assert (await again(counter, old, code="cc_wrong")).status_code == 409
    await add_payment(counter.merchant.db, old, pays=False, flags=("late",))
    page = (await counter.payer.get(f"/pay/{old.session_id}")).text
    assert re.search(r'<div id="again" hidden>', page)
    answer = await again(counter, old)
    assert answer.headers["location"].startswith(f"/pay/{old.session_id}")
    for state in (S.INITIALIZED, S.PAID, S.COMPLETED, S.CANCELLED):
        other = await set_state(
            counter.merchant.db,
            await counter.opened(await submit(counter.payer, counter.link.link_id)),
            state,
        )
        answer = await again(counter, other)
        assert answer.headers["location"].startswith(f"/pay/{other.session_id}")


async def test_an_address_to_which_nothing_came_keeps_nobody_from_paying_anew(
    database: Database, clock: FakeClock
) -> None:
    studio = await Studio.open(database, clock, PUBLIC_URL)
    app = new_app(studio.db, studio.merchant.desk)
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url=PUBLIC_URL) as payer:
        today, link = clock.now(), await studio.merchant.link()
        counter = Counter(studio.merchant, payer, link)
        clock.set(today - timedelta(minutes=31))
        nothing, part = [await studio.merchant.link_session(link) for _ in range(2)]
        for session in (nothing, part):
            await studio.deposit(session)
        await studio.arrive(part, "polygon::usdc", 20_000_000)
        clock.set(today)
        await studio.expire()
        fresh = await counter.opened(await again(counter, nothing))
        assert fresh.session_id not in {nothing.session_id, part.session_id}
        # What did come is there still: another payment would double it.
        answer = await again(counter, part)
        assert answer.headers["location"].startswith(f"/pay/{part.session_id}")


async def test_a_link_that_closed_meanwhile_says_so(counter: Counter) -> None:
    old = await expired(counter)
    await set_link_status(counter.merchant.db, counter.link, "inactive")
    answer = await again(counter, old)
    assert answer.headers["location"] == f"/link/{counter.link.link_id}?lang=de"


# --- languages --------------------------------------------------------------------------------


async def test_the_letter_is_in_the_language_of_the_page_that_was_acted_on(
    payer: AsyncClient, merchant: Merchant
) -> None:
    link = await merchant.link(payerEmailRequired=1)

    async def noted(session_id: str) -> str:
        async with merchant.db.read() as tx:
            return str(
                await tx.fetchval(
                    "SELECT language FROM receipt_letters WHERE session_id = $1", session_id
                )
            )

    counter = Counter(merchant, payer, link)
    # A browser in no language of ours: the page is in the merchant's, and so is the letter.
    entries = {"displayName": "Buchladen", "defaultLanguage": "de"}
    await merchant.db.run(
        brandings.save, merchant.tenant.merchant_id, entries, actor="anna@bluedoor.example"
    )
    payer.headers["accept-language"] = "tlh"
    session = await counter.opened(await submit(payer, link.link_id, email="a@example.com"))
    assert await noted(session.session_id) == "de"
    # Another language was chosen on the way.
    answer = await payer.post(
        f"/pay/{session.session_id}/prepare?lang=ja",
        json={
            "clientCode": session.client_code,
            "tokenId": "polygon::usdc",
            "payer": PAYER,
        },
        headers=OURS,
    )
    assert answer.status_code == 200, answer.text
    assert await noted(session.session_id) == "ja"
