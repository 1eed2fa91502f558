"""What a payer is shown and asked to sign comes from the bytes of the order that the platform
signed: whoever changes anything on the way to the wallet is found out before it is asked.

No chain runs, because nothing gets as far as one; the wallet's keys are real.
"""

from __future__ import annotations

import copy
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import segno
from playwright.sync_api import BrowserContext, Page, expect

from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.orders import OrderSigner, SignedOrder, direct_call
from gstable_server.kernel.address import Address
from gstable_server.routing.model import Way
from gstable_server.sessions.collecting import wallet_work
from gstable_server.sessions.model import Session
from gstable_server.web.checkout.prepared import call_json
from tests.browser.conftest import until
from tests.browser.gallery import Gallery
from tests.browser.paper import (
    IS_SIGNER,
    NAME,
    PAID,
    PAUSED,
    SEND,
    SIGN,
    PaperWallet,
)
from tests.browser.reading import note_texts
from tests.browser.studio import PAYER

pytestmark = pytest.mark.browser

APPROVE, PAY, TRANSFER = "0x095ea7b3", "0xec4445ee", "0xa9059cbb"
REFUSED = re.compile("not what this page shows")
FOR_PROGRAMS = {
    *("chainId", "chainIdHex", "networkName", "nativeSymbol", "rpcUrl", "tokenAddress"),
    *("tokenSymbol", "ways", "terms"),
}
"""What the page does not read: it has its own words for these, or reads them in the bytes."""

TRY_ALL = """
async (answers) => {
  const [found, real] = [[], window.fetch];
  for (const answer of answers) {
    window.fetch = (path, ...more) =>
      String(path).includes("/prepare") ? Response.json(answer) : real(path, ...more);
    document.querySelector("#wallets button").click();
    found.push(await new Promise((resolve) => {
      const look = () => {
        const problem = document.getElementById("problem");
        if (!problem.hidden) resolve(problem.textContent);
        else if (!document.getElementById("review").hidden) resolve("review");
        else setTimeout(look, 1);
      };
      look();
    }));
    document.getElementById("back").click();
  }
  window.fetch = real;
  return found;
}
"""


@pytest.fixture
def context(phone: BrowserContext) -> BrowserContext:
    """Where the page of these tests is opened: without the wallet of the local chains."""
    return phone


@pytest.fixture
def session(gallery: Gallery, page: Page, paper: PaperWallet) -> Session:
    """A session of 74.50 USD, its page open."""
    session: Session = gallery.run(gallery.studio.session())
    page.goto(f"{gallery.base_url}/pay/{session.session_id}")
    expect(page.get_by_role("button", name=NAME)).to_be_visible()
    return session


def choose(page: Page, token_id: str, way: str) -> None:
    """Choose a token, and how it is to be taken instead of the easiest way."""
    option = page.locator(f'input[value="{token_id}"]')
    option.check()
    option.evaluate("(input, way) => { input.dataset.way = way; }", way)


def prepared(page: Page, session: Session, token_id: str, way: str, payer: str) -> dict[str, Any]:
    """What the server tells a page that asks."""
    choice = {"clientCode": session.client_code, "tokenId": token_id, "way": way, "payer": payer}
    answer = page.request.post(
        f"{page.url}/prepare",
        data=json.dumps(choice),
        headers={"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.ok, answer.text()
    told: dict[str, Any] = answer.json()
    return told


def untouched(wallet: PaperWallet) -> bool:
    """The wallet was asked for nothing that could cost anything."""
    return not {SIGN, SEND} & set(wallet.asked) and not wallet.sent and not wallet.signed


def other(value: Any) -> Any:
    """The same kind of thing, saying something else."""
    if isinstance(value, str) and value.startswith("0x"):
        return value[:-1] + ("1" if value[-1] != "1" else "2")
    if isinstance(value, str):
        return str(int(value) + 1) if value.isdigit() else f"{value}x"
    if isinstance(value, int):
        return value + 1
    return "0x17"


def changed(answer: dict[str, Any], holder: list[str | int], value: Any) -> dict[str, Any]:
    """``answer`` with the member at that place replaced."""
    result = copy.deepcopy(answer)
    inner: Any = result
    for name in holder[:-1]:
        inner = inner[name]
    inner[holder[-1]] = value
    return result


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[list[str | int], Any]]:
    """Every member that has no members itself."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))
    else:
        yield list(at), value


def every_member(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each member of what the page reads, changed, and one that is not expected."""
    for place, value in places({k: v for k, v in answer.items() if k not in FOR_PROGRAMS}):
        yield changed(answer, place, other(value))
    for name in ("pay", "approve", "typedData"):
        if answer[name] is not None:
            yield changed(answer, [name, "gas"], "0x1")


def every_word(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each word of the order's bytes, changed wherever they stand; and more, or fewer, of them."""
    call = answer["order"]
    calls = [call[:2] + "0" + call[3:], call + "00", call + "00" * 32, call[:-64], "0x", None, 5]
    for start in range(10, len(call), 64):
        word = call[start : start + 64]
        calls.append(call[:start] + "8" * 2 + word[2:] + call[start + 64 :])
        calls.append(call[:start] + other("0x" + word)[2:] + call[start + 64 :])
    for one in calls:
        altered = changed(answer, ["order"], one)
        yield altered if answer["pay"] is None else changed(altered, ["pay", "data"], one)


@pytest.mark.parametrize(
    ("token_id", "way"),
    [
        ("polygon::usdc", "approve"),
        ("base::usdc", "approve"),
        ("base::usdc", "erc3009"),
        ("polygon::usdt", "permit2"),
        ("polygon::usdc", "permit"),
    ],
)
def test_chk_05_whatever_is_changed_on_the_way_is_refused_before_the_wallet_is_asked(
    page: Page, paper: PaperWallet, session: Session, token_id: str, way: str
) -> None:
    answer = prepared(page, session, token_id, way, paper.address)
    choose(page, token_id, way)
    changes = [*every_member(answer), *(every_word(answer) if way == "approve" else ())]
    assert page.evaluate(TRY_ALL, [answer]) == ["review"], "as it came it agrees"
    said = page.evaluate(TRY_ALL, changes)
    passed = [change for change, text in zip(changes, said, strict=True) if text == "review"]
    assert passed == []
    assert all(REFUSED.search(text) for text in said)
    assert len(changes) > 10
    assert untouched(paper)


def work_of(signed: SignedOrder, way: Way, payer: bytes) -> dict[str, Any]:
    """What the server would tell of an order that is signed like that."""
    work = wallet_work(signed, way, Address(payer))
    return {
        "order": f"0x{direct_call(signed).data.hex()}",
        "digest": f"0x{signed.digest.hex()}",
        "pay": call_json(work.pay) if work.pay else None,
        "typedData": work.typed_data,
    }


@pytest.mark.parametrize("way", ["approve", "erc3009"])
def test_chk_05_an_order_that_another_key_signed_or_for_another_payment_is_refused(
    page: Page, paper: PaperWallet, session: Session, gallery: Gallery, way: str
) -> None:
    """Whole and right in itself, and yet not this payment."""
    choose(page, "polygon::usdc", way)
    answer = prepared(page, session, "polygon::usdc", way, paper.address)
    studio = gallery.studio
    payer = bytes.fromhex(paper.address[2:])
    order = gallery.run(studio.prepare(session)).signed.order
    network = studio.network("polygon::usdc")
    thief = replace(order, merchant=Address(b"\x66" * 20))
    forged = OrderSigner(secrets.token_bytes(32)).sign(thief, network)
    other_session = gallery.run(studio.session())
    replayed = gallery.run(studio.prepare(other_session)).signed
    other_token = gallery.run(studio.prepare(session, "polygon::usdt")).signed
    said = page.evaluate(
        TRY_ALL,
        [answer]
        + [{**answer, **work_of(one, Way(way), payer)} for one in (forged, replayed)]
        + [{**answer, "order": f"0x{direct_call(other_token).data.hex()}"}],
    )
    assert said[0] == "review"
    assert all(REFUSED.search(text) for text in said[1:])
    assert len(said) == 4
    assert untouched(paper)


def test_chk_05_the_words_come_from_the_orders_bytes(
    page: Page, paper: PaperWallet, session: Session
) -> None:
    """Every text of the answer says something else, and none of it is shown."""
    answer = prepared(page, session, "base::usdc", "approve", paper.address)
    for place, value in places({k: v for k, v in answer.items() if k in FOR_PROGRAMS}):
        answer = changed(answer, place, other(value) if value is not None else "http://x.example")
    choose(page, "base::usdc", "approve")
    page.route("**/prepare?*", lambda route: route.fulfill(json=answer))
    page.get_by_role("button", name=NAME).click()
    expect(page.locator("#term-total")).to_have_text("74.50 USDC")
    expect(page.locator("#term-merchant")).to_have_text(re.compile(r"^7\d\.\d+ USDC$"))
    expect(page.locator("#term-network")).to_have_text("Base")
    expect(page.locator("#term-recipient")).to_have_text(to_checksum(session.recipient))
    router = page.locator('.route:has(input[value="base::usdc"])').get_attribute("data-router")
    expect(page.locator("#term-router")).to_have_text(str(router))
    compare = page.locator("#term-compare")
    expect(compare).to_contain_text(f"ends in {str(router)[-6:]}, the amount is 74.50 USDC")
    expect(compare).to_contain_text("74500000")
    expect(page.locator("#confirm")).to_have_text("Pay 74.50 USDC")


SWAP_EACH = """
async (places) => {
  const found = [];
  for (const [where, name] of places) {
    const held = [...document.querySelectorAll(where)].map((one) => [one, one.dataset[name]]);
    for (const [one, value] of held) {
      one.dataset[name] = value.slice(0, -1) + (value.endsWith("1") ? "2" : "1");
    }
    document.querySelector("#wallets button").click();
    found.push(await new Promise((resolve) => {
      const look = () => {
        const problem = document.getElementById("problem");
        if (!problem.hidden) resolve(problem.textContent);
        else if (!document.getElementById("review").hidden) resolve("review");
        else setTimeout(look, 1);
      };
      look();
    }));
    for (const [one, value] of held) one.dataset[name] = value;
  }
  return found;
}
"""
OF_THE_PAGE = [
    *(("#pay", name) for name in ("session", "signer", "settlementChain", "settlementToken")),
    *((".route", name) for name in ("chain", "router")),
    ("input[name=tokenId]", "token"),
]


@pytest.mark.parametrize(
    ("way", "more"),
    [
        ("erc3009", [("input[name=tokenId]", "name"), ("input[name=tokenId]", "version")]),
        ("permit2", [(".route", "permit2")]),
    ],
)
def test_chk_05_a_page_that_something_changed_asks_the_wallet_for_nothing(
    page: Page, paper: PaperWallet, session: Session, way: str, more: list[tuple[str, str]]
) -> None:
    """An extension, say: what the page holds the order against is another order's then."""
    choose(page, "polygon::usdc", way)
    where = [*OF_THE_PAGE, *more]
    said = page.evaluate(SWAP_EACH, where)
    passed = [at for at, text in zip(where, said, strict=True) if not REFUSED.search(text)]
    assert passed == []
    assert untouched(paper)


def test_chk_05_other_words_on_the_page_change_nothing_that_is_sent(
    page: Page, paper: PaperWallet, session: Session
) -> None:
    choose(page, "polygon::usdc", "approve")
    page.get_by_role("button", name=NAME).click()
    expect(page.locator("#review")).to_be_visible()
    answer = prepared(page, session, "polygon::usdc", "approve", paper.address)
    swap = "(all) => { for (const one of all) one.textContent = '0x' + '66'.repeat(20); }"
    page.locator("#review dd, #review dd *").evaluate_all(swap)
    page.locator("#confirm").click()
    expect(page.locator("#sent-text")).to_be_visible()
    assert [sent["data"] for sent in paper.sent] == [
        answer["approve"]["data"],
        answer["pay"]["data"],
    ]


def test_chk_05_and_chk_11_only_the_address_that_came_with_the_page_is_copied(
    page: Page, context: BrowserContext, gallery: Gallery
) -> None:
    """What is copied, scanned and opened is one transfer, and no other address is offered: also
    not one that begins and ends alike."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(gallery.url("session-address"))
    shown = page.locator("#deposit-address")
    address = str(shown.text_content()).strip()
    copy = page.get_by_role("button", name="Copy: To this address")
    texts = note_texts(copy)
    copy.click()
    until(page, lambda: "Copied" in texts())
    assert page.evaluate("navigator.clipboard.readText()") == address
    uri = str(page.locator("#deposit-uri").get_attribute("href"))
    amount = str(page.locator("#deposit-amount").text_content()).strip()
    assert re.fullmatch(rf"ethereum:0x\w{{40}}@\d+/transfer\?address={address}&uint256=\d+", uri)
    assert int(uri.rpartition("=")[2]) == Decimal(amount) * 10**6
    for name, text in (("QR code of the address", address), ("QR code of the whole transfer", uri)):
        picture = page.locator(f'img[alt="{name}"]').get_attribute("src")
        assert picture == segno.make(text, error="m").svg_data_uri(border=2)
    expect(page.locator("#deposit")).to_contain_text(f"ends in {address[-6:]}")
    likes = address[:6] + "0" * 30 + address[-6:]
    shown.evaluate("(one, text) => { one.textContent = text; }", likes)
    copy.click()
    expect(page.get_by_role("alert")).to_contain_text("Something changed this page")
    assert page.evaluate("navigator.clipboard.readText()") == address
    named = set(re.findall(r"0x[0-9a-fA-F]{40}(?![0-9a-fA-F])", page.content()))
    assert named - {address, likes} <= ours(gallery)
    assert page.locator("datalist").count() == 0
    expect(page.locator("#deposit-refund-to")).to_have_text(to_checksum(PAYER))


def ours(gallery: Gallery) -> set[str]:
    """Every address that a page of the studio may name, but a session's own."""
    desk = gallery.studio.merchant.desk
    found = [desk.signer.address, PAYER]
    for network in desk.networks.all:
        found += [network.router, *(token.address for token in network.tokens)]
        found += [one.address for one in network.contracts.configured.values()]
        found += [network.permit2] if network.permit2 else []
    return set(map(to_checksum, found))


TROUBLES: list[tuple[dict[str, Any], str]] = [
    ({"balance": 1}, r"less than 74\.50 USDC on Polygon"),
    ({"native": 0}, "no .* to pay the network's fee"),
    ({"router": {IS_SIGNER: 1, PAID: 1, PAUSED: 0}}, "paid already"),
    ({"router": {IS_SIGNER: 1, PAID: 0, PAUSED: 1}}, "stopped at the moment"),
    ({"router": {IS_SIGNER: 0, PAID: 0, PAUSED: 0}}, "stopped at the moment"),
    ({"block_time": 2**40}, "time for these terms is over"),
    ({"reverts": {TRANSFER}}, "token refuses to be moved"),
    ({"reverts": {PAY}, "allowance": 10**12}, "this payment would fail"),
]


def test_chk_09_what_would_fail_is_told_in_words_before_the_wallet_is_asked(
    page: Page, paper: PaperWallet, session: Session
) -> None:
    choose(page, "polygon::usdc", "approve")
    for trouble, words in TROUBLES:
        before = {name: getattr(paper, name) for name in trouble}
        for name, value in trouble.items():
            setattr(paper, name, value)
        page.get_by_role("button", name=NAME).click()
        if PAY in paper.reverts:
            page.locator("#confirm").click()
        expect(page.get_by_role("alert").filter(has_text=re.compile(words))).to_be_visible()
        for name, value in before.items():
            setattr(paper, name, value)
    assert untouched(paper)


@pytest.mark.parametrize(
    ("way", "asked", "signed", "sent"), [("permit", SIGN, 1, []), ("approve", SEND, 0, [APPROVE])]
)
def test_chk_06_another_account_after_the_first_answer_pays_nothing(
    page: Page, paper: PaperWallet, session: Session, way: str, asked: str, signed: int,
    sent: list[str],
) -> None:  # fmt: skip
    """What one account permits by a signature or by a transaction, no other may use."""
    choose(page, "polygon::usdc", way)
    page.get_by_role("button", name=NAME).click()
    expect(page.locator("#review")).to_be_visible()
    paper.afterwards[asked] = lambda: setattr(paper, "account_index", 1)
    page.locator("#confirm").click()
    expect(page.get_by_role("alert")).to_contain_text("changed its account or network")
    assert len(paper.signed) == signed
    assert [one["data"][:10] for one in paper.sent] == sent


def test_a_phone_without_a_wallet_is_led_into_wallet_apps_and_a_desktop_to_a_phone(
    page: Page, gallery: Gallery
) -> None:
    url = gallery.url("session-open")
    page.goto(url)
    apps = page.locator(".apps a")
    expect(apps.filter(has_text="MetaMask")).to_be_visible()
    links = [str(apps.nth(at).get_attribute("href")) for at in range(apps.count())]
    own = urlsplit(url).path
    assert [own in unquote(unquote(link)) for link in links] == [True] * 4
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(apps.first).to_be_hidden()
    page.get_by_text("Pay on your phone instead").click()
    code = page.locator('img[alt="QR code with the address of this page"]')
    expect(code).to_be_visible()
    assert code.get_attribute("src") == segno.make(url, error="m").svg_data_uri(border=2)
