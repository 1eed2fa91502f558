"""Accounts, API keys and the lists, for somebody who is signed in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.model import KeyLimits
from gstable_server.catalog import operations as catalog
from gstable_server.catalog.model import ProductTerms
from gstable_server.kernel.ids import AccountId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.sessions.model import SessionState
from gstable_server.sessions.unmatched.judging import judge_session
from tests.unit.web.console import Browser, Reader, reader
from tests.unit.web.shop import Merchant, add_payment, set_state

pytestmark = pytest.mark.anyio

WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OTHER_WALLET = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
ACCOUNTS = "/dashboard/test/accounts"
KEYS = "/dashboard/test/keys"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"


async def stocked(owner: Merchant, name: str = "Field guide to harbour birds") -> Merchant:
    """The owner with an account and a product of their own."""
    terms = ProductTerms(name, None, None, (5_000_000, 12_500_000), ())
    async with owner.db.begin() as tx:
        account = await accounts.create_account(
            tx, owner.tenant, owner.desk.networks, name[:100], WALLET
        )
        product = await catalog.create(tx, owner.tenant, owner.desk.public_url, terms)
    return replace(owner, account=account, product=product)


async def add(browser: Browser, name: str, address: str) -> str:
    answer = await browser.post(ACCOUNTS, accountName=name, accountAddress=address)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


# --- accounts ----------------------------------------------------------------------------------


async def test_an_account_is_added_and_shown_with_its_checksum(
    browser: Browser, owner: Merchant
) -> None:
    assert "No accounts yet" in (await browser.get(ACCOUNTS)).text
    place = await add(browser, "Main wallet", WALLET.lower())
    page = await browser.get(f"{place}?done=account-created")
    assert f'data-account-id="{place.rsplit("/", 1)[1]}"' in page.text
    assert "The account was created." in page.text
    listed = reader(await browser.get(ACCOUNTS))
    assert WALLET in listed.text
    assert place in listed.links()
    async with owner.db.read() as tx:
        held = await accounts.list_accounts(tx, owner.tenant)
    assert [account.name for account in held] == ["Main wallet"]


@pytest.mark.parametrize(
    ("name", "address", "field", "text"),
    [
        ("Main", WALLET[:-1] + "c", "accountAddress", "wrong checksum (EIP-55)"),
        ("Main", "0x123", "accountAddress", "Must be 0x followed by 40 hexadecimal digits."),
        ("Main", "0x" + "0" * 40, "accountAddress", "Must not be the zero address."),
        ("Main", "0x" + "1" * 40, "accountAddress", "Must not be a token's or the router's"),
        ("", WALLET, "accountName", "Must have 1 to 100 characters."),
        ("x" * 101, WALLET, "accountName", "Must have 1 to 100 characters."),
    ],
)
async def test_a_wrong_account_is_refused_beside_its_field(
    browser: Browser, owner: Merchant, name: str, address: str, field: str, text: str
) -> None:
    answer = await browser.post(ACCOUNTS, accountName=name, accountAddress=address)
    page = reader(answer)
    assert answer.status_code == 422
    assert text in page.text
    assert page.field(field)["aria-invalid"] == "true"
    assert page.field("accountName")["value"] == name
    assert page.field("accountAddress")["value"] == address
    async with owner.db.read() as tx:
        assert await accounts.list_accounts(tx, owner.tenant) == []


async def test_at_most_20_accounts(browser: Browser, owner: Merchant) -> None:
    for number in range(20):
        await add(browser, f"Wallet {number}", f"0x{number + 0x10000:040x}")
    page = await browser.get(ACCOUNTS)
    assert "20 accounts are the most there can be." in page.text
    assert 'name="accountAddress"' not in page.text
    refused = await browser.post(ACCOUNTS, accountName="One more", accountAddress=WALLET)
    assert refused.status_code == 422
    assert "20 accounts are the most there can be." in refused.text
    async with owner.db.read() as tx:
        assert len(await accounts.list_accounts(tx, owner.tenant)) == 20


async def test_an_account_is_renamed_and_removed_after_a_question(
    browser: Browser, owner: Merchant
) -> None:
    place = await add(browser, "Main", WALLET)
    renamed = await browser.post(place, accountName="Savings")
    assert renamed.headers["location"] == f"{place}?done=account-renamed"
    wrong = await browser.post(place, accountName=" ")
    assert (wrong.status_code, "Must have 1 to 100" in wrong.text) == (422, True)
    question = await browser.get(f"{place}/remove")
    assert "Savings" in reader(question).text
    gone = await browser.post(f"{place}/remove")
    assert gone.headers["location"] == f"{ACCOUNTS}?done=account-archived"
    assert (await browser.get(place)).status_code == 404
    assert (await browser.post(f"{place}/remove")).status_code == 404
    assert "No accounts yet" in (await browser.get(ACCOUNTS)).text


async def test_an_account_of_somebody_else_or_of_another_mode_is_not_found(
    browser: Browser, owner: Merchant
) -> None:
    foreign = f"{ACCOUNTS}/{owner.account.account_id}"
    mine = (await add(browser, "Main", WALLET)).replace("/test/", "/live/")
    for place in (foreign, mine, f"{ACCOUNTS}/acc_none", f"{ACCOUNTS}/nonsense"):
        assert (await browser.get(place)).status_code == 404, place
        assert (await browser.post(place, accountName="Mine")).status_code == 404, place
        assert (await browser.post(f"{place}/remove")).status_code == 404, place
    async with owner.db.read() as tx:
        held = await accounts.require_account(
            tx,
            Tenant(owner.account.tenant.merchant_id, Mode.TEST),
            AccountId(owner.account.account_id),
        )
    assert held.name == "Main"


# --- API keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "access", "prefix"),
    [("test", "write", "sk_test_"), ("test", "read", "rk_test_"), ("live", "write", "sk_live_")],
)
async def test_a_keys_secret_works_and_is_shown_once(
    browser: Browser, owner: Merchant, mode: str, access: str, prefix: str
) -> None:
    answer = await browser.post(KEYS, name="Web shop", mode=mode, access=access)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    secret = next(word for word in reader(answer).text.split() if len(word) == 48)
    assert secret.startswith(prefix)
    async with owner.db.read() as tx:
        caller = await accounts.authenticate(tx, secret)
    assert caller.tenant == Tenant(owner.tenant.merchant_id, Mode(mode))
    assert caller.access is Access(access)
    for path in (f"/dashboard/{mode}/keys", f"/dashboard/{mode}"):
        assert secret not in (await browser.get(path)).text
    assert secret[-4:] in (await browser.get(f"/dashboard/{mode}/keys")).text


@pytest.mark.parametrize(
    ("field", "value"), [("name", ""), ("mode", "prod"), ("access", "admin"), ("access", "")]
)
async def test_a_wrong_key_is_refused_beside_its_field(
    browser: Browser, owner: Merchant, field: str, value: str
) -> None:
    fields = {"name": "Web shop", "mode": "test", "access": "write", field: value}
    answer = await browser.post(KEYS, **fields)
    assert (answer.status_code, 'class="error"' in answer.text) == (422, True)
    async with owner.db.read() as tx:
        assert await accounts.list_keys(tx, owner.tenant) == []


async def test_a_key_whose_time_has_come_is_not_shown_as_active(
    browser: Browser, owner: Merchant
) -> None:
    async with owner.db.begin() as tx:
        limits = KeyLimits(None, tx.now, ())
        await accounts.issue_key(tx, owner.tenant, Access.READ, "Fair", limits)
    page = (await browser.get(KEYS)).text
    assert ">Ended<" in page
    assert ">Active<" not in page


async def test_a_key_is_revoked_after_a_question(browser: Browser, owner: Merchant) -> None:
    async with owner.db.begin() as tx:
        key, secret = await accounts.issue_key(tx, owner.tenant, Access.WRITE, "Old shop")
    place = f"{KEYS}/{key.key_id}/revoke"
    assert place in reader(await browser.get(KEYS)).links()
    assert "Old shop" in (await browser.get(place)).text
    assert (await browser.post(place)).headers["location"] == f"{KEYS}?done=key-revoked"
    assert (await browser.get(place)).status_code == 409
    assert "Revoked" in (await browser.get(KEYS)).text
    async with owner.db.read() as tx:
        with pytest.raises(Exception, match="API key is revoked"):
            await accounts.authenticate(tx, secret)


# --- lists -------------------------------------------------------------------------------------


async def test_empty_lists_say_how_they_fill(browser: Browser, owner: Merchant) -> None:
    for path, text in (
        ("", "Add an account"),
        ("/sessions", "No sessions yet"),
        ("/sessions?state=paid", "No session is like that"),
        ("/links", "No payment links yet"),
        ("/products", "No products yet"),
        ("/unusual", "Nothing unusual"),
        ("/keys", "No keys in test mode"),
    ):
        assert text in (await browser.get(f"/dashboard/test{path}")).text, path
    assert "No live network is configured" in (await browser.get("/dashboard/live")).text


async def test_sessions_are_listed_by_state(browser: Browser, owner: Merchant) -> None:
    seller = await stocked(owner)
    kept, expired = await seller.session(), await seller.session()
    await set_state(owner.db, expired, SessionState.EXPIRED)
    page = (await browser.get("/dashboard/test/sessions?state=expired")).text
    assert expired.session_id in page
    assert kept.session_id not in page
    assert kept.session_id in (await browser.get("/dashboard/test/sessions?state=odd")).text


async def test_a_session_shows_its_money_to_the_last_unit(
    browser: Browser, owner: Merchant
) -> None:
    seller = await stocked(owner)
    session = await seller.session()
    await add_payment(owner.db, session, given=(1_234_567, 1), flags=("late", "under"), pays=False)
    place = f"/dashboard/test/sessions/{session.session_id}"
    page = reader(await browser.get(place))
    for text in ("1.234567", "0.000001", "USDC", "Late", "Too little", "0x" + "ab" * 32, WALLET):
        assert text in page.text, text
    assert f"/pay/{session.session_id}" in page.links()
    assert (await browser.get(place.replace("/test/", "/live/"))).status_code == 404
    foreign = await owner.db.run(_session_of_another, owner)
    assert (await browser.get(f"/dashboard/test/sessions/{foreign}")).status_code == 404


async def _session_of_another(_tx: object, owner: Merchant) -> str:
    other = replace(owner, tenant=owner.account.tenant)
    return (await other.session()).session_id


async def test_unusual_money_is_listed_with_its_transaction(
    browser: Browser, owner: Merchant
) -> None:
    seller = await stocked(owner)
    session = await seller.session()
    await add_payment(owner.db, session)
    await add_payment(
        owner.db, session, flags=("duplicate",), pays=False, tx_hash=b"\x0c" * 32,
        given=(99_800_001, 0),
    )  # fmt: skip
    await owner.db.run(judge_session, owner.desk, session.session_id)
    listed = reader(await browser.get("/dashboard/test/unusual"))
    [link] = [one for one in listed.links() if one.startswith("/dashboard/test/unusual/inf_")]
    assert "99.800001" in listed.text
    page = reader(await browser.get(link))
    assert "0x" + "0c" * 32 in page.text
    assert "0x" + "ab" * 32 not in page.text
    assert "99.800001" in page.text
    assert "chain 1337137" in page.text
    assert "Paid again" in page.text
    assert f"/dashboard/test/sessions/{session.session_id}" in page.links()
    assert "One sum" in (await browser.get("/dashboard/test")).text


async def test_products_and_links_lead_to_the_payers_page(
    browser: Browser, owner: Merchant
) -> None:
    seller = await stocked(owner)
    fixed = await seller.link()
    await seller.link(linkType="custom", linkName="Support us")
    await seller.link(lineItems=[seller.counted()])
    products = reader(await browser.get("/dashboard/test/products"))
    assert "5.00 · 12.50" in products.text
    page = reader(await browser.get("/dashboard/test/links"))
    assert f"/dashboard/test/links/{fixed.link_id}" in page.links()
    one = reader(await browser.get(f"/dashboard/test/links/{fixed.link_id}"))
    assert f"/link/{fixed.link_id}" in one.links()
    assert "Quantity 1 to 5" in page.text
    assert "50.00 USD" in page.text
    assert "Payer decides" in page.text
    async with owner.db.begin() as tx:
        await accounts.remove_account(
            tx, seller.tenant, seller.desk.networks, seller.account.account_id
        )
    assert "Account removed" in (await browser.get("/dashboard/test/links")).text


# --- hostile text ------------------------------------------------------------------------------


async def test_dsh_01_what_merchants_and_payers_write_stays_text(
    browser: Browser, owner: Merchant
) -> None:
    seller = await stocked(owner, HOSTILE)
    link = await seller.link(linkName=HOSTILE)
    session = await seller.link_session(link)
    async with owner.db.begin() as tx:
        key, _ = await accounts.issue_key(tx, owner.tenant, Access.READ, HOSTILE)
        await tx.execute("UPDATE merchants SET name = $1", HOSTILE)
        await tx.execute("UPDATE sessions SET payer_email = $1", HOSTILE)
    pages = (
        "",
        "/sessions",
        f"/sessions/{session.session_id}",
        "/links",
        f"/links/{link.link_id}",
        f"/links/{link.link_id}/edit",
        f"/links/{link.link_id}/archive",
        "/products",
        f"/products/{seller.product.product_id}",
        "/accounts",
        f"/accounts/{seller.account.account_id}",
        f"/accounts/{seller.account.account_id}/remove",
        "/keys",
        f"/keys/{key.key_id}/revoke",
        f"?done={HOSTILE}",
    )
    for path in pages:
        page = reader(await browser.get(f"/dashboard/test{path}"))
        assert page.text.count(HOSTILE) >= 1, path
        _is_inert(page, path)
    refused = await browser.post(ACCOUNTS, accountName=HOSTILE, accountAddress=HOSTILE)
    page = reader(refused)
    assert page.field("accountAddress")["value"] == HOSTILE
    _is_inert(page, "a refused form")


def _is_inert(page: Reader, what: str) -> None:
    """Nothing but what our own templates put there: scripts and pictures of this very server, and
    the drawings of charts."""
    for tag, attributes in page.tags:
        assert tag not in {"object", "embed"}, what
        if tag == "script":
            assert attributes["src"].startswith("/static/"), what
            assert attributes["integrity"], what
        if tag == "img":
            assert attributes["src"].startswith(("/images/", "data:image/svg+xml")), what
        if tag == "svg":
            assert attributes["class"] in {"drawing", "swatch"}, what
        if tag == "iframe":
            assert attributes["sandbox"] == "allow-same-origin", what
        assert not [name for name in attributes if name.startswith("on")], what
        assert not attributes.get("href", "").startswith(("javascript:", "data:text")), what
