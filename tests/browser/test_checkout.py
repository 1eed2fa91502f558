"""Paying in a real browser, on real local chains, with a wallet that signs for real."""

from __future__ import annotations

import re
import secrets
from urllib.parse import parse_qs, urlsplit

import pytest
from eth_account import Account
from playwright.sync_api import BrowserContext, Page, Route, expect

from gstable_server.chain.checksum import to_checksum
from gstable_server.kernel.tenant import Mode
from tests.browser.conftest import PRICE, Seller
from tests.browser.wallet import InjectedWallet, choose_wallet
from tests.running import Running

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

APPROVE = "0x095ea7b3"
TRANSFER = "0xa9059cbb"


def choose_transaction(page: Page) -> None:
    """Choose the wallet, and to send transactions where a signature would do."""
    choose_wallet(page)
    page.get_by_role("button", name="Pay by transaction instead").click()
    expect(page.get_by_role("button", name="Pay by transaction instead")).to_be_hidden()
    expect(page.locator("#review")).to_be_visible()


def choose_token(page: Page, token_id: str) -> None:
    """By a click, also where it is chosen already: the page then chooses nothing by itself."""
    page.locator(f'input[value="{token_id}"]').click()


def pay(page: Page) -> None:
    page.locator("#confirm").click()


def headline(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#headline")).to_have_text(text)


def address(running: Running, token_id: str) -> str:
    return to_checksum(running.networks.require_token(token_id, Mode.TEST).address)


def router(running: Running, name: str) -> str:
    return to_checksum(running.networks.network(name).router)


def approval(spender: str, amount: int) -> str:
    return APPROVE + spender[2:].lower().rjust(64, "0") + f"{amount:064x}"


def test_a_session_is_paid_with_an_exact_approval(
    page: Page, seller: Seller, wallet: InjectedWallet, running: Running
) -> None:
    session_id, url = seller.session(fee_model=2)
    page.goto(url)
    choose_transaction(page)
    # 0.2 % of 24.75 on top, said in words before the wallet is asked for anything.
    expect(page.locator("#term-total")).to_have_text("24.7995 USDC")
    expect(page.locator("#term-fee")).to_have_text("0.0495 USDC")
    expect(page.locator("#term-router")).to_have_text(router(running, "polygon"))
    assert wallet.sent == []
    pay(page)
    headline(page, "Payment complete")
    approve, payment = wallet.sent
    assert approve["to"] == address(running, "polygon::usdc")
    assert approve["data"] == approval(router(running, "polygon"), 24_799_500)
    assert payment["to"] == router(running, "polygon")
    expect(page.locator("#receipt-text")).to_have_text(re.compile("24.7995 USDC"))
    expect(page.locator("#receipt-hash")).to_have_text(wallet.hashes[1])
    assert seller.state(session_id) == "completed"


def test_a_fixed_link_is_paid_and_shows_the_merchants_words(page: Page, seller: Seller) -> None:
    page.goto(seller.link(custom_success_text="The book is on its way."))
    page.get_by_role("button", name="Continue to pay 49.50 USD").click()
    expect(page).to_have_url(re.compile(r"/pay/sess_"))
    choose_wallet(page)
    expect(page.locator("#term-total")).to_have_text("49.50 USDC")
    pay(page)
    headline(page, "Payment complete")
    expect(page.locator("#detail")).to_have_text("The book is on its way.")


def test_a_custom_link_takes_a_picked_and_a_typed_amount(page: Page, seller: Seller) -> None:
    url = seller.link(link_type="custom", payer_email_required=True)
    page.goto(url)
    page.get_by_label("12.50").check()
    page.get_by_label("Your e-mail").fill("reader@example.com")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.locator("#order-title")).to_have_text(re.compile(r"12\.50"))
    page.goto(url)
    page.get_by_label("Other", exact=True).check()
    page.get_by_label("Other amount").fill("7,300")
    page.get_by_label("Your e-mail").fill("reader@example.com")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.locator("#amount-help")).to_have_text(re.compile("in figures, like 12.50"))
    page.get_by_label("Other amount").fill("7,30")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.locator("#order-title")).to_have_text(re.compile(r"7\.30"))
    choose_wallet(page)
    pay(page)
    headline(page, "Payment complete")


def test_success_leads_back_to_the_shop_with_the_session(page: Page, seller: Seller) -> None:
    shop = "https://shop.example.com/thanks?orderId=7"

    def answer(route: Route) -> None:
        route.fulfill(body="thanks")

    page.route("https://shop.example.com/**", answer)
    session_id, url = seller.session(success_url=shop)
    page.goto(url)
    choose_wallet(page)
    pay(page)
    page.wait_for_url("https://shop.example.com/**")
    query = parse_qs(urlsplit(page.url).query)
    assert query == {"orderId": ["7"], "sessionId": [session_id], "status": ["completed"]}


@pytest.mark.parametrize(
    "method", ["eth_requestAccounts", "eth_sendTransaction", "eth_signTypedData_v4"]
)
def test_a_payer_may_decline_and_try_again(
    page: Page, seller: Seller, wallet: InjectedWallet, method: str
) -> None:
    choose = choose_transaction if method == "eth_sendTransaction" else choose_wallet
    session_id, url = seller.session()
    page.goto(url)
    wallet.reject.add(method)
    choose(page)
    if method != "eth_requestAccounts":
        pay(page)
    expect(page.get_by_role("alert")).to_have_text(re.compile("You declined in your wallet"))
    assert wallet.sent == wallet.signed == []
    assert seller.state(session_id) == "initialized"
    wallet.reject.clear()
    choose(page)
    pay(page)
    headline(page, "Payment complete")


def test_chk_06_a_wallet_on_another_chain_learns_the_right_one(
    page: Page, seller: Seller, wallet: InjectedWallet
) -> None:
    _, url = seller.session("base::usdc")
    page.goto(url)
    choose_token(page, "base::usdc")
    choose_transaction(page)
    expect(page.locator("#term-network")).to_have_text(re.compile("Base"))
    assert "wallet_addEthereumChain" in wallet.asked
    pay(page)
    headline(page, "Payment complete")
    assert {sent["chainId"] for sent in wallet.sent} == {wallet.chain_id}


def test_chk_06_a_payer_who_stays_on_another_chain_is_told_and_sends_nothing(
    page: Page, seller: Seller, wallet: InjectedWallet
) -> None:
    wallet.reject.update({"wallet_switchEthereumChain", "wallet_addEthereumChain"})
    _, url = seller.session("base::usdc")
    page.goto(url)
    choose_token(page, "base::usdc")
    choose_wallet(page)
    expect(page.get_by_role("alert")).to_have_text(re.compile("You declined in your wallet"))
    assert wallet.sent == []


def test_chk_06_another_account_means_new_terms(
    page: Page, seller: Seller, wallet: InjectedWallet
) -> None:
    _, url = seller.session()
    page.goto(url)
    choose_wallet(page)
    expect(page.locator("#term-payer")).to_have_text(wallet.address)
    wallet.use_account(page, 1)
    expect(page.get_by_role("alert")).to_have_text(re.compile("changed its account"))
    expect(page.locator("#review")).to_be_hidden()
    choose_wallet(page)
    expect(page.locator("#term-payer")).to_have_text(wallet.address)
    # The wallet changes silently while the terms are read: found out before anything is sent.
    wallet.account_index = 0
    pay(page)
    expect(page.get_by_role("alert")).to_have_text(re.compile("Nothing was sent"))
    assert wallet.sent == wallet.signed == []


def test_chk_06_a_double_click_asks_the_wallet_once(
    page: Page, seller: Seller, wallet: InjectedWallet
) -> None:
    _, url = seller.session()
    page.goto(url)
    choose_transaction(page)
    page.locator("#confirm").dblclick()
    headline(page, "Payment complete")
    assert len(wallet.sent) == 2


def test_chk_07_an_invented_transaction_is_never_shown_as_paid(
    page: Page, context: BrowserContext, seller: Seller, wallet: InjectedWallet
) -> None:
    session_id, url = seller.session()
    page.goto(url)
    choose_transaction(page)
    expect(page.locator("#review")).to_be_visible()
    wallet.invent_hashes = True
    wallet.allowance_is_enough = True
    pay(page)
    expect(page.locator("#sent-text")).to_have_text(re.compile("Waiting for the network"))
    # A reload does not offer to pay again as if nothing had been sent.
    page.reload()
    expect(page.locator("#sent-text")).to_have_text(re.compile("Waiting for the network"))
    expect(page.locator("#choose")).to_be_hidden()
    headline(page, "Waiting for your payment")
    assert seller.state(session_id) == "initialized"


def test_chk_07_the_page_tells_a_payment_made_in_another_tab(
    page: Page, context: BrowserContext, seller: Seller
) -> None:
    _, url = seller.session()
    page.goto(url)
    other = context.new_page()
    other.goto(url)
    choose_wallet(page)
    pay(page)
    headline(page, "Payment complete")
    headline(other, "Payment complete")
    expect(other.locator("#payment")).to_be_hidden()


def test_chk_09_tether_is_reset_before_a_new_allowance(
    page: Page, seller: Seller, wallet: InjectedWallet, running: Running
) -> None:
    token, spender = address(running, "polygon::usdt"), router(running, "polygon")
    wallet.account_index = 2
    wallet.transact(token, approval(spender, 1))
    _, url = seller.session("polygon::usdt")
    page.goto(url)
    choose_transaction(page)
    pay(page)
    headline(page, "Payment complete")
    assert [sent["data"] for sent in wallet.sent[1:3]] == [
        approval(spender, 0),
        approval(spender, PRICE),
    ]


def test_chk_09_missing_funds_are_told_before_anything_is_signed(
    page: Page, seller: Seller, wallet: InjectedWallet
) -> None:
    wallet.private_keys = ["0x" + "7e" * 32]
    _, url = seller.session()
    page.goto(url)
    choose_wallet(page)
    expect(page.get_by_role("alert")).to_have_text(re.compile(r"less than 24\.75 USDC on Polygon"))
    assert wallet.sent == []


def test_a_signature_pays_without_gas(
    page: Page, seller: Seller, wallet: InjectedWallet, running: Running
) -> None:
    # An account with exactly the price, and nothing for the network's fee.
    penniless = "0x" + secrets.token_hex(32)
    receiver = Account.from_key(penniless).address
    transfer = TRANSFER + receiver[2:].lower().rjust(64, "0") + f"{PRICE:064x}"
    wallet.transact(address(running, "polygon::usdc"), transfer)
    wallet.private_keys, wallet.sent = [penniless], []
    session_id, url = seller.session()
    page.goto(url)
    choose_wallet(page)
    expect(page.locator("#confirm")).to_have_text("Pay 24.75 USDC")
    expect(page.locator("#term-promise")).to_contain_text("no network fee for you")
    pay(page)
    headline(page, "Payment complete")
    assert wallet.sent == []
    (signed,) = wallet.signed
    assert signed["primaryType"] == "ReceiveWithAuthorization"
    assert signed["message"]["value"] == str(PRICE)
    expect(page.locator("#receipt-text")).to_have_text(re.compile("24.75 USDC on Polygon"))
    assert seller.state(session_id) == "completed"


def test_tether_is_paid_by_one_permission_and_a_signature(
    page: Page, seller: Seller, wallet: InjectedWallet, running: Running
) -> None:
    wallet.account_index = 1
    _, url = seller.session("polygon::usdt")
    page.goto(url)
    choose_wallet(page)
    expect(page.locator("#term-asks")).to_have_text("Harbour Wallet will ask you to:")
    expect(page.locator("#term-steps li")).to_have_text(
        ["Allow exactly 24.75 USDT", "Sign the payment"]
    )
    pay(page)
    headline(page, "Payment complete")
    permit2 = running.networks.network("polygon").permit2
    assert permit2 is not None
    (permission,) = wallet.sent
    assert permission["data"] == approval(to_checksum(permit2), PRICE)
    assert [one["primaryType"] for one in wallet.signed] == ["PermitBatchWitnessTransferFrom"]


def test_another_token_on_another_network_pays(
    page: Page, seller: Seller, wallet: InjectedWallet
) -> None:
    session_id, url = seller.session(fee_model=2)
    page.goto(url)
    choose_token(page, "base::usdc")
    choose_wallet(page)
    # 0.6 % of 24.75 on top; the merchant gets the price, on the network of the session.
    expect(page.locator("#term-total")).to_have_text("24.8985 USDC")
    expect(page.locator("#term-merchant")).to_have_text("24.75 USDC")
    expect(page.locator("#term-destination")).to_have_text(re.compile("on Polygon"))
    expect(page.locator("#term-network")).to_have_text(re.compile("Base"))
    pay(page)
    headline(page, "Payment complete")
    expect(page.locator("#receipt-text")).to_have_text(re.compile("24.8985 USDC on Base"))
    assert wallet.sent == []
    assert seller.state(session_id) == "completed"


def test_a_signature_that_the_network_refuses_can_be_made_good_by_transaction(
    page: Page, seller: Seller, wallet: InjectedWallet
) -> None:
    _, url = seller.session()
    page.goto(url)
    choose_wallet(page)
    wallet.sign_wrongly = True
    pay(page)
    refused = re.compile("does not take this payment")
    expect(page.locator("#sent-text")).to_have_text(refused)
    page.get_by_role("button", name="Pay again").click()
    choose_transaction(page)
    pay(page)
    headline(page, "Payment complete")


def test_chk_14_a_wallet_that_shows_money_it_has_not_credits_nothing(
    page: Page, seller: Seller, wallet: InjectedWallet
) -> None:
    """Its network is of somebody's making: the page believes it, and the chain does not."""
    wallet.private_keys = ["0x" + secrets.token_hex(32)]
    wallet.fake_balance = 10**24
    session_id, url = seller.session()
    page.goto(url)
    choose_wallet(page)
    pay(page)
    refused = re.compile("does not take this payment")
    expect(page.locator("#sent-text")).to_have_text(refused)
    headline(page, "Waiting for your payment")
    assert [one["primaryType"] for one in wallet.signed] == ["ReceiveWithAuthorization"]
    assert seller.state(session_id) == "initialized"


def test_chk_10_a_clock_that_is_days_off_counts_down_rightly(page: Page, seller: Seller) -> None:
    page.clock.install()
    page.clock.set_system_time("2001-01-01T00:00:00Z")
    _, url = seller.session()
    page.goto(url)
    expect(page.locator("#time-left")).to_have_text(re.compile(r"^(29|30):"))


def test_chk_01_a_wallets_name_and_picture_are_inert(
    page: Page, context: BrowserContext, seller: Seller
) -> None:
    context.add_init_script(
        """
        addEventListener("eip6963:requestProvider", () => dispatchEvent(
          new CustomEvent("eip6963:announceProvider", { detail: {
            info: {
              uuid: "hostile", rdns: "x",
              name: "<img src=x onerror=window.broken=1>",
              icon: "https://evil.example.com/pixel.png",
            },
            provider: { request: async () => [] },
          } })));
        """
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    _, url = seller.session()
    page.goto(url)
    expect(page.get_by_role("button", name="<img src=x onerror=window.broken=1>")).to_be_visible()
    assert page.evaluate("window.broken") is None
    assert page.locator("#wallets img").count() == 1
    here = urlsplit(url).netloc
    assert {urlsplit(one).netloc for one in asked if not one.startswith("data:")} == {here}


@pytest.mark.parametrize("name", ["pay", "wallet"])
def test_chk_04_a_changed_script_shows_no_way_to_pay_from_a_wallet(
    context: BrowserContext, seller: Seller, wallet: InjectedWallet, name: str
) -> None:
    """Each module by itself: also the one that only another one imports."""
    page = context.new_page()

    def change(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.body() + b"\n")

    page.route(re.compile(rf"/static/{name}-"), change)
    _, url = seller.session()
    with page.expect_event("console", lambda said: "integrity" in said.text.lower()):
        page.goto(url)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#script-failed")).to_be_visible()
    expect(page.locator("#confirm")).to_be_hidden()
    expect(page.get_by_role("button", name="Harbour Wallet")).to_have_count(0)
    assert wallet.sent == []


def test_chk_12_everything_can_be_read_without_javascript(
    context: BrowserContext, seller: Seller
) -> None:
    browser = context.browser
    assert browser is not None
    bare = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = bare.new_page()
    try:
        page.goto(seller.link())
        page.get_by_role("button", name="Continue to pay 49.50 USD").click()
        expect(page.locator("#headline")).to_have_text("Waiting for your payment")
        expect(page.locator("#order-title")).to_have_text(re.compile(r"49\.50"))
        said = page.evaluate("document.querySelector('#payment noscript').textContent")
        assert "this page needs JavaScript" in said
        expect(page.locator("#payment noscript p")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    finally:
        bare.close()
