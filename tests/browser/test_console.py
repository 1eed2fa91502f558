"""The console in a real browser: for everybody who reads it, by keyboard, and as things change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gstable_server.accounts.limits import operations as limits
from gstable_server.accounts.members.model import By
from gstable_server.accounts.payouts.operations import Policy
from gstable_server.kernel.roles import Role
from gstable_server.sessions.refunds import approving
from gstable_server.sessions.refunds import operations as refunds
from gstable_server.sessions.refunds.model import Refund
from gstable_server.sessions.refunds.wire import PrepareRefund
from tests.browser.gallery import opened
from tests.browser.office import PASSWORD, TEAM, Office
from tests.browser.reading import COLORS, english, faults
from tests.conftest import Databases

pytestmark = [pytest.mark.browser]

WRITTEN = ("Paperback, 240 pages", "Pay what you want")
"""What the merchant wrote, which nobody translates."""

LATER_WALLET = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


@pytest.fixture(scope="module")
def office(databases: Databases) -> Iterator[Office]:
    """A business with two weeks behind it."""
    with opened(databases.take(), "localhost") as gallery:
        yield Office.open(gallery)
    databases.give_back()


@pytest.fixture
def desktop(chromium: Browser, office: Office) -> Iterator[BrowserContext]:
    """A window of the owner's. Nothing in it may fail."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    office.sign_in(context)
    troubles: list[str] = []
    context.on("weberror", lambda error: troubles.append(str(error.error)))
    context.on(
        "console",
        lambda message: (
            troubles.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield context
    context.close()
    assert troubles == []


@pytest.fixture
def page(desktop: BrowserContext) -> Page:
    return desktop.new_page()


@pytest.fixture
def base(office: Office) -> str:
    return f"{office.gallery.base_url}/dashboard/test"


def test_every_page_can_be_read_by_everybody_and_fits(chromium: Browser, office: Office) -> None:
    """All pages of the console's own table: no fault by axe-core, in the light no colour that is
    too pale either, nothing to scroll sideways to; and nothing in English for who reads German."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    found: dict[str, list[str]] = {}
    shown = context.new_page()
    shown.emulate_media(color_scheme="dark", reduced_motion="reduce")
    office.sign_in(context)
    for one in office.pages():
        if one.name in office.begun():
            office.let_in(context, one)
        shown.set_viewport_size({"width": 1440, "height": 900})
        answer = shown.goto(office.gallery.base_url + one.path)
        assert answer is not None
        problems = [] if answer.status == 200 else [f"answered {answer.status}"]
        # What is folded away is judged too.
        shown.evaluate(
            "document.querySelectorAll('main details').forEach((one) => one.open = true)"
        )
        problems += faults(shown)
        shown.emulate_media(color_scheme="light", reduced_motion="reduce")
        problems += faults(shown, COLORS)
        shown.emulate_media(color_scheme="dark", reduced_motion="reduce")
        for width in (1440, 390):
            shown.set_viewport_size({"width": width, "height": 900})
            if (wide := shown.evaluate("document.documentElement.scrollWidth")) > width:
                problems.append(f"{wide} wide of {width}")
        german = context.request.get(shown.url, headers={"accept-language": "de"})
        problems += [f"in English: {text}" for text in english(german.text(), WRITTEN)]
        if problems:
            found[one.name] = problems
    context.close()
    assert found == {}


def test_the_palette_goes_anywhere_by_keyboard_alone(page: Page, base: str) -> None:
    page.goto(base)
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Page, or what to look for")
    expect(box).to_be_focused()
    page.keyboard.type("audit")
    chosen = page.get_by_role("option", selected=True)
    expect(chosen).to_contain_text("Audit log")
    expect(box).to_have_attribute("aria-activedescendant", re.compile("way-0"))
    assert faults(page) == []
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{base}/audit")
    # A letter that is typed into a field is a letter.
    page.get_by_label("Who", exact=True).press("g")
    page.keyboard.press("s")
    expect(page).to_have_url(f"{base}/audit")
    page.locator("#content").focus()
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page).to_have_url(f"{base}/links")
    page.keyboard.press("?")
    help_dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_dialog).to_be_visible()
    assert faults(page) == []
    help_dialog.get_by_label("Keys of one letter do something").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page).to_have_url(f"{base}/links")


def test_the_palette_finds_what_the_server_finds_and_what_was_looked_at(
    page: Page, base: str, office: Office
) -> None:
    session_id = office.values["session_id"]
    page.goto(f"{base}/links/{office.values['link_id']}")
    page.goto(base)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("button", name="Go to anything").click()
    expect(page.get_by_role("option", name="Spring catalogue")).to_be_visible()
    page.keyboard.type(session_id)
    found = page.get_by_role("option", name="74.50 USD")
    expect(found).to_be_visible()
    found.click()
    expect(page).to_have_url(re.compile(session_id))


def test_a_list_is_gone_through_by_keys(page: Page, base: str) -> None:
    page.goto(f"{base}/sessions")
    rows = page.locator("main [data-row] a:first-of-type")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(rows.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/sessions/sess_"))


def test_rows_are_chosen_by_key_or_all_at_once(page: Page, base: str) -> None:
    page.goto(f"{base}/unusual")
    boxes = page.get_by_role("row").get_by_role("checkbox", name=re.compile("USDC on Polygon"))
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(boxes.first).to_be_checked()
    expect(boxes.last).not_to_be_checked()
    page.get_by_role("checkbox", name="Choose all").check()
    expect(boxes.last).to_be_checked()
    page.get_by_role("button", name="Dismiss them").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dismiss them?")
    expect(page.locator(".chosen li")).to_have_count(3)


def test_a_list_says_what_is_new_and_a_session_shows_it(
    page: Page, base: str, office: Office
) -> None:
    studio, gallery = office.studio, office.gallery
    _watch(page, f"{base}/sessions")
    session = gallery.run(studio.session())
    fresh = page.get_by_role("button", name="1 changed – show it")
    expect(fresh).to_be_visible()
    fresh.click()
    expect(page.get_by_text(session.session_id)).to_be_visible()
    _watch(page, f"{base}/sessions/{session.session_id}")
    expect(page.get_by_role("main").get_by_text("Completed", exact=True).first).to_be_hidden()
    gallery.run(studio.paid(session))
    expect(page.get_by_role("main").get_by_text("Completed", exact=True).first).to_be_visible()


def test_dsh_04_who_prepared_a_large_refund_sees_that_it_was_approved(
    chromium: Browser, office: Office, base: str
) -> None:
    """Without loading the page anew."""
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    office.sign_in(context, Role.FINANCE)
    phone = context.new_page()
    phone.clock.install()
    refund = office.gallery.run(_large_refund(office))
    phone.goto(f"{base}/refunds/{refund.refund_id}")
    expect(phone.get_by_role("heading", name="1 person has to approve it")).to_be_visible()
    expect(phone.get_by_role("heading", name="Send it", exact=True)).to_be_hidden()
    office.gallery.run(_approve(office, refund))
    phone.clock.fast_forward(10_000)
    expect(phone.get_by_role("heading", name="Send it", exact=True)).to_be_visible()
    expect(phone.get_by_role("heading", name="1 person has to approve it")).to_have_count(0)
    context.close()


async def _large_refund(office: Office) -> Refund:
    """Finance prepares one above the limit, which is lifted again."""
    merchant, policy = office.studio.merchant, Policy(timedelta(0), False, "")
    owner, finance = (By(office.members[one], "") for one in (Role.OWNER, Role.FINANCE))
    body = {"sessionId": office.values["session_id"], "amount": 2_000_000}
    request = PrepareRefund.model_validate(body)
    async with office.studio.db.begin() as tx:
        await limits.change(tx, owner, merchant.tenant, policy, 0)
        refund = await refunds.prepare(tx, merchant.desk, merchant.tenant, request, finance)
        await limits.change(tx, owner, merchant.tenant, policy, None)
    return refund


async def _approve(office: Office, refund: Refund) -> None:
    tenant, owner = office.studio.merchant.tenant, By(office.members[Role.OWNER], "")
    digest = approving.digest_of(refund)
    await office.studio.db.run(approving.approve, tenant, owner, refund.refund_id, digest)


def _watch(page: Page, url: str) -> None:
    """Open a page, until the server tells it what changes."""
    with page.expect_response(re.compile(r"/live(\?|$)")):
        page.goto(url)


def test_nothing_that_was_typed_is_lost(page: Page, base: str, office: Office) -> None:
    """Neither by a wrong word, nor by leaving unasked, nor by a login that ends meanwhile; all of
    it by keyboard."""
    page.goto(f"{base}/accounts")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type("Till")
    asked: list[str] = []

    def stay(dialog: object) -> None:
        asked.append(getattr(dialog, "type", ""))
        getattr(dialog, "dismiss", lambda: None)()

    page.once("dialog", stay)
    page.get_by_role("link", name="Audit log").first.click(no_wait_after=True)
    expect(page.get_by_label("Name", exact=True)).to_have_value("Till")
    assert asked == ["beforeunload"]
    page.keyboard.press("Tab")
    page.get_by_label("Wallet address").focus()
    page.keyboard.type(LATER_WALLET)
    page.context.clear_cookies(name="gstable")
    page.keyboard.press("Enter")
    expect(page.get_by_text("What you typed is kept")).to_be_visible()
    page.get_by_label("E-mail").fill("anna@bluedoor.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("What you typed is here")
    expect(page.get_by_text(LATER_WALLET)).to_be_visible()
    page.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("status").filter(has_text="account")).to_be_visible()
    expect(page.get_by_text(LATER_WALLET)).to_be_visible()


def test_what_was_done_can_be_undone(page: Page, base: str, office: Office) -> None:
    page.goto(f"{base}/products/{office.values['product_id']}")
    page.get_by_role("button", name="Archive").first.click()
    expect(page.get_by_text("The product is archived.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("The product is on sale again.")).to_be_visible()


def test_the_console_is_in_the_language_of_its_reader(
    chromium: Browser, office: Office, base: str
) -> None:
    context = chromium.new_context(locale="de-DE", viewport={"width": 1440, "height": 900})
    # What is chosen stays with whoever chose it, and other tests read the owner's pages in German.
    office.sign_in(context, Role.VIEWER)
    german = context.new_page()
    german.goto(f"{base}/sessions")
    expect(german.locator("html")).to_have_attribute("lang", "de")
    expect(german.get_by_role("heading", level=1)).to_have_text("Zahlvorgänge")
    expect(german.get_by_text("74,50 USD").first).to_be_visible()
    german.goto(f"{base}?lang=en")
    expect(german.get_by_role("heading", level=1)).to_have_text("Overview")
    german.goto(f"{base}/team")
    expect(german.get_by_role("heading", level=1)).to_have_text("Team")
    expect(german.locator("html")).to_have_attribute("lang", "en")
    context.close()


# Each role's day: where its work is done. Owners and admins may see every page.
DAYS = {
    Role.OWNER: ("/team", "Invite somebody"),
    Role.ADMIN: ("/accounts", "Add an account"),
    Role.DEVELOPER: ("/keys", "Create a key"),
    Role.FINANCE: ("/exports", "Exports"),
    Role.SUPPORT: ("/sessions", "Sessions"),
    Role.VIEWER: ("", "Overview"),
}
CLOSED = {
    Role.DEVELOPER: "/audit",
    Role.FINANCE: "/keys",
    Role.SUPPORT: "/keys",
    Role.VIEWER: "/keys",
}


@pytest.mark.parametrize("role", list(Role))
def test_each_roles_day(chromium: Browser, office: Office, base: str, role: Role) -> None:
    """Signing in by hand, finding the way by the menu, the work, and what the role is refused."""
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    phone = context.new_page()
    phone.goto(base)
    phone.get_by_label("E-mail").fill(TEAM.get(role, "anna@bluedoor.example"))
    phone.get_by_label("Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in", exact=True).click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Overview")
    path, work = DAYS[role]
    phone.get_by_text("Menu", exact=True).click()
    sheet = phone.locator(".drawer-sheet")
    sheet.locator(f'a[href="/dashboard/test{path}"]').click()
    expect(phone.get_by_role("heading", name=work)).to_be_visible()
    DOES[role](phone, office)
    if role in CLOSED:
        answer = phone.goto(base + CLOSED[role])
        assert answer is not None
        assert answer.status == 403
        expect(phone.get_by_role("heading", level=1)).to_have_text("Not for your role")
    else:
        phone.goto(f"{base}/team")
        REFUSED[role](phone)
    context.close()


def _leave_nobody_in_charge(phone: Page) -> None:
    phone.get_by_label("Role of anna@bluedoor.example").select_option("viewer")
    phone.get_by_role("button", name="Save the role of anna@bluedoor.example").click()
    expect(phone.locator(".error, [role=alert]").filter(has_text="last owner")).to_be_visible()
    expect(phone.get_by_label("Role of anna@bluedoor.example")).to_have_value("owner")


def _make_an_owner(phone: Page) -> None:
    """Which the page does not offer to an admin: it is changed in the browser."""
    expect(phone.get_by_label("Role of anna@bluedoor.example")).to_have_count(0)
    phone.get_by_label("E-mail").fill("mallory@bluedoor.example")
    role = phone.get_by_role("radio", name=re.compile("^Support"))
    role.check()
    role.evaluate("(radio) => { radio.value = 'owner'; }")
    phone.get_by_role("button", name="Invite").click()
    expect(phone.locator(".error, [role=alert]").filter(has_text="owners only")).to_be_visible()
    expect(phone.get_by_role("cell", name="mallory@bluedoor.example")).to_have_count(0)


REFUSED = {Role.OWNER: _leave_nobody_in_charge, Role.ADMIN: _make_an_owner}
"""What those who may see every page are refused."""


def _invite(phone: Page, _office: Office) -> None:
    phone.get_by_label("E-mail").fill("ivan@bluedoor.example")
    phone.get_by_role("radio", name=re.compile("^Support")).check()
    phone.get_by_role("button", name="Invite").click()
    expect(phone.get_by_role("heading", name="ivan@bluedoor.example is invited")).to_be_visible()


def _add_account(phone: Page, _office: Office) -> None:
    phone.get_by_label("Name", exact=True).fill("Shop two")
    phone.get_by_label("Wallet address").fill("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
    phone.get_by_role("button", name="Add account").click()
    expect(phone.get_by_role("status").filter(has_text="account")).to_be_visible()


def _make_key(phone: Page, _office: Office) -> None:
    phone.get_by_label("Name", exact=True).fill("Second shop")
    phone.get_by_role("button", name="Create key").click()
    expect(phone.locator("#secret")).to_have_text(re.compile("^sk_test_"))


def _prepare_refund(phone: Page, office: Office) -> None:
    session_id = office.values["session_id"]
    phone.goto(f"{office.gallery.base_url}/dashboard/test/sessions/{session_id}")
    phone.get_by_label("Amount in USD").fill("1.00")
    phone.get_by_role("button", name="Prepare the refund").click()
    expect(phone.get_by_role("heading", level=1)).to_contain_text("Give back")


def _find_a_payment(phone: Page, office: Office) -> None:
    session_id = office.values["session_id"]
    phone.goto(f"{office.gallery.base_url}/dashboard/test/search?q={session_id}")
    expect(phone.get_by_role("heading", level=1)).to_contain_text("74.50 USD")
    expect(phone.get_by_role("button", name="Prepare the refund")).to_have_count(0)


def _look(phone: Page, _office: Office) -> None:
    expect(phone.get_by_role("button", name="Save")).to_have_count(0)


DOES = {
    Role.OWNER: _invite,
    Role.ADMIN: _add_account,
    Role.DEVELOPER: _make_key,
    Role.FINANCE: _prepare_refund,
    Role.SUPPORT: _find_a_payment,
    Role.VIEWER: _look,
}
"""What each does there."""
