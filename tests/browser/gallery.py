"""Every state of the payer's pages, each made in milliseconds and served over real HTTP.

The server is the whole application on a thread of its own, over a real database, under a clock
that stands still. ``Gallery.url`` brings a fresh session or link into a state and says where its
page is; ``State.act`` is what a payer then does there, for states that only a browser has.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

import uvicorn
from playwright.sync_api import Page, WebSocketRoute, expect

from gstable_server.links import operations as links
from gstable_server.plumbing.config import Settings
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock, FakeIdMint
from gstable_server.serve import api_of
from gstable_server.sessions import operations as sessions
from gstable_server.web.checkout.live import Live
from tests.browser.paper import NAME, hold
from tests.browser.studio import DEPTH, PAYER, Studio
from tests.unit.web.shop import set_link_status

T = TypeVar("T")

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PATIENCE_SECONDS = 180.0

RELAY_URL = "wss://relay.example"
"""Where wallets of other devices would be met: no such host."""

DUE = 74_500_000
"""What a session of the studio costs, in the smallest units of USDC."""


@dataclass(frozen=True)
class State:
    """``make`` brings something into the state and returns the path of its page; ``act`` is what
    the payer does there, with the wallet of ``tests.browser.paper``."""

    name: str
    sentence: str
    make: Callable[[Studio], Awaitable[str]]
    act: Callable[[Page], None] | None = None


def _page(session: Any) -> str:
    return f"/pay/{session.session_id}"


# --- link pages -----------------------------------------------------------------------------------


async def _link_fixed(studio: Studio) -> str:
    return f"/link/{(await studio.merchant.link()).link_id}"


async def _link_custom(studio: Studio) -> str:
    return f"/link/{(await studio.merchant.link(linkType='custom')).link_id}"


async def _link_email(studio: Studio) -> str:
    return f"/link/{(await studio.merchant.link(payerEmailRequired=1, feeModel=2)).link_id}"


async def _link_quantity(studio: Studio) -> str:
    counted = studio.merchant.counted(maximum=10)
    return f"/link/{(await studio.merchant.link(lineItems=[counted])).link_id}"


def _take_too_many(page: Page) -> None:
    """As a browser that does not know the bounds of fields would."""
    page.locator("#link").evaluate("form => { form.noValidate = true; }")
    page.get_by_label("Quantity", exact=True).fill("12")
    page.locator("#link-continue").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _type_too_little(page: Page) -> None:
    page.get_by_label("Other amount").fill("0.001")
    page.locator("#link-continue").click()
    expect(page.get_by_role("alert")).to_be_visible()


async def _link_disabled(studio: Studio) -> str:
    link = await studio.merchant.link(customDisabledText="We are counting stock. Back on Monday.")
    async with studio.db.begin() as tx:
        shop = links.Shop(studio.merchant.desk.networks, studio.merchant.desk.public_url)
        await links.disable(tx, shop, studio.merchant.tenant, link.link_id)
    return f"/link/{link.link_id}"


async def _link_archived(studio: Studio) -> str:
    link = await studio.merchant.link()
    await set_link_status(studio.db, link, "archived")
    return f"/link/{link.link_id}"


async def _link_none(studio: Studio) -> str:
    return "/link/lnk_none"


# --- before the payment ---------------------------------------------------------------------------


async def _open(studio: Studio) -> str:
    return _page(await studio.session())


async def _open_with_fee(studio: Studio) -> str:
    return _page(await studio.session(feeModel=2, payerEmailRequired=1))


async def _address(studio: Studio) -> str:
    session = await studio.session()
    await studio.deposit(session, "base::usdc")
    return f"{_page(session)}?deposit=base::usdc"


async def _underpaid(studio: Studio) -> str:
    session = await studio.session()
    await studio.deposit(session)
    await studio.arrive(session, "polygon::usdc", 40_000_000)
    return _page(session)


async def _transfer_arrived(studio: Studio) -> str:
    session = await studio.session()
    await studio.deposit(session)
    await studio.arrive(session, "polygon::usdc", DUE)
    return _page(session)


def _find_wallet(page: Page) -> None:
    expect(page.get_by_role("button", name=NAME)).to_be_visible()


def _choose(page: Page) -> None:
    page.get_by_role("button", name=NAME).click()
    expect(page.locator("#review")).to_be_visible()


def _sign(page: Page) -> None:
    """The wallet is asked to sign, and its owner takes the time to read."""
    _choose(page)
    hold(page)
    page.locator("#confirm").click()
    expect(page.locator("#working")).to_be_visible()


def _send(page: Page) -> None:
    _choose(page)
    page.locator("#confirm").click()
    expect(page.locator("#sent-text")).to_be_visible()


# --- the payment on its way -----------------------------------------------------------------------


async def _seen(studio: Studio) -> str:
    session = await studio.session()
    await studio.paid(session, "seen")
    return _page(session)


async def _confirming(studio: Studio) -> str:
    session = await studio.session()
    await studio.blocks(await studio.paid(session, "seen"), DEPTH // 2)
    return _page(session)


async def _settling(studio: Studio) -> str:
    session = await studio.session(settlementToken="base::usdc")
    await studio.paid(session, token_id="polygon::usdc")
    return _page(session)


async def _delayed(studio: Studio) -> str:
    session = await studio.session(settlementToken="base::usdc")
    await studio.hanging(session, "polygon::usdc")
    return _page(session)


async def _reorganised(studio: Studio) -> str:
    session = await studio.session()
    await studio.paid(session, "seen", "reorged")
    return _page(session)


# --- the end --------------------------------------------------------------------------------------


async def _completed(studio: Studio) -> str:
    session = await studio.session()
    await studio.paid(session)
    return _page(session)


async def _completed_in_shop(studio: Studio) -> str:
    link = await studio.merchant.link(
        successUrl="https://bluedoor.example/thanks",
        customSuccessText="The guides leave our shop tomorrow morning.",
    )
    session = await studio.merchant.link_session(link)
    await studio.paid(session)
    return _page(session)


async def _expired(studio: Studio) -> str:
    session = await studio.past_session()
    await studio.expire()
    return _page(session)


async def _expired_with_shop(studio: Studio) -> str:
    session = await studio.past_session(successUrl="https://bluedoor.example/thanks")
    await studio.expire()
    return _page(session)


async def _expired_link(studio: Studio) -> str:
    session = await studio.past_link_session()
    await studio.expire()
    return _page(session)


async def _cancelled(studio: Studio) -> str:
    session = await studio.session()
    async with studio.db.begin() as tx:
        merchant = studio.merchant
        await sessions.cancel(tx, merchant.desk, merchant.tenant, session.session_id)
    return _page(session)


async def _late(studio: Studio) -> str:
    session = await studio.past_session()
    today = studio.clock.now()
    studio.clock.set(session.created_at)
    log = await studio.payment(session, block_time=session.expires_at + timedelta(seconds=20))
    studio.clock.set(today)
    await studio.expire()
    await studio.hear(("seen", log), ("final", log))
    return _page(session)


async def _late_transfer(studio: Studio) -> str:
    session = await studio.past_session()
    today = studio.clock.now()
    studio.clock.set(session.created_at)
    await studio.deposit(session)
    studio.clock.set(today)
    await studio.expire()
    await studio.arrive(session, "polygon::usdc", DUE)
    return _page(session)


async def _overpaid(studio: Studio) -> str:
    session = await studio.session()
    log = await studio.payment(session)
    more = log.merchant_received + 5_000_000
    await studio.paid(session, merchant_received=more, amount=more, merchant_amount=more)
    return _page(session)


async def _paid_short(studio: Studio) -> str:
    session = await studio.session()
    log = await studio.payment(session)
    less = log.merchant_received - 30_000_000
    await studio.paid(session, merchant_received=less, amount=less, merchant_amount=less)
    return _page(session)


async def _refunded(studio: Studio) -> str:
    session = await studio.session()
    await studio.paid(session)
    await studio.refund(session, 24_500_000)
    return _page(session)


async def _receipt(studio: Studio) -> str:
    return (await _completed(studio)).replace("/pay/", "/receipt/")


async def _receipt_refunded(studio: Studio) -> str:
    return (await _refunded(studio)).replace("/pay/", "/receipt/")


STATES: tuple[State, ...] = (
    State("link-fixed", "A link with a fixed price.", _link_fixed),
    State("link-custom", "A link where the payer says the amount.", _link_custom),
    State("link-email", "A link that asks for an e-mail address, with the fee added.", _link_email),
    State("link-quantity", "A link whose payer says how many.", _link_quantity),
    State("link-quantity-wrong", "More than there are.", _link_quantity, _take_too_many),
    State("link-custom-wrong", "Less than can be paid.", _link_custom, _type_too_little),
    State("link-disabled", "A link that is switched off, in the merchant's words.", _link_disabled),
    State("link-archived", "A link that is closed for good.", _link_archived),
    State("link-none", "An address at which there is no link.", _link_none),
    State("session-open", "Choose how to pay, without a wallet in the browser.", _open),
    State("session-open-wallet", "The same with a wallet: what it can pay.", _open, _find_wallet),
    State("session-open-fee", "The fee added, and an e-mail address wanted.", _open_with_fee),
    State("session-review", "What the wallet will be asked for, to compare.", _open, _choose),
    State("session-signing", "Waiting for the wallet.", _open, _sign),
    State("session-sent", "Signed, and not on the chain yet.", _open, _send),
    State("session-address", "A transfer from any wallet or exchange.", _address),
    State("session-underpaid", "A part of a transfer arrived: the rest is asked for.", _underpaid),
    State("session-arrived", "The transfer is being brought to the merchant.", _transfer_arrived),
    State("session-seen", "The payment stands in a block.", _seen),
    State("session-confirming", "Confirmations are counted.", _confirming),
    State("session-settling", "On its way to another network.", _settling),
    State("session-delayed", "The other network takes longer than usual.", _delayed),
    State("session-reorganised", "The chain took the payment's block back.", _reorganised),
    State("session-completed", "Paid, with the receipt.", _completed),
    State("session-completed-link", "The same in the merchant's words.", _completed_in_shop),
    State("session-expired", "Too late: back to the merchant.", _expired),
    State("session-expired-shop", "The same, with the shop's address.", _expired_with_shop),
    State("session-expired-link", "Too late, and one tap makes a fresh payment.", _expired_link),
    State("session-cancelled", "The merchant withdrew it.", _cancelled),
    State("session-late", "A payment that came after the time was over.", _late),
    State("session-late-transfer", "A transfer that came too late goes back.", _late_transfer),
    State("session-short", "A payment of less than was due.", _paid_short),
    State("session-overpaid", "A payment of more than was due.", _overpaid),
    State("session-refunded", "Some of it was given back.", _refunded),
    State("receipt", "The receipt, to print or keep.", _receipt),
    State("receipt-refunded", "A receipt of which some was given back.", _receipt_refunded),
)


def _show_code(page: Page) -> None:
    """The relay answers what it is asked, and no wallet comes."""

    def answer(relay: WebSocketRoute, text: str) -> None:
        asked = json.loads(text)
        result = "subscription" if asked["method"] == "irn_subscribe" else True
        relay.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}))

    page.route_web_socket(
        re.compile(re.escape(RELAY_URL)),
        lambda relay: relay.on_message(lambda text: answer(relay, str(text))),
    )
    page.reload()
    page.locator("#remote-wallet").click()
    expect(page.locator("#remote-code")).to_be_visible()


REMOTE = State("session-remote", "The code for a wallet of another device.", _open, _show_code)
"""Only where the operator offers them: in a gallery with ``has_relay``."""


class _Quiet(uvicorn.Server):
    """Leaves the signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Gallery:
    """``studio`` runs on a loop of its own: reach it by ``run``."""

    def __init__(self, base_url: str, clock: FakeClock, loop: asyncio.AbstractEventLoop) -> None:
        self.base_url = base_url
        self.clock = clock
        self.studio: Studio
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` comes to, done where the server runs."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def state(self, name: str) -> State:
        [found] = [one for one in (*STATES, REMOTE) if one.name == name]
        return found

    def url(self, name: str, **query: str) -> str:
        """The address of a fresh page in that state."""

        async def make() -> str:
            return await self.state(name).make(self.studio)

        path = self.run(make())
        joint = "&" if "?" in path else "?"
        return f"{self.base_url}{path}{joint + urlencode(query) if query else ''}"

    @contextmanager
    def serving(self, settings: Settings, listening: socket.socket) -> Iterator[None]:
        """Answer on ``listening`` until the end."""
        ids = FakeIdMint(6)
        connecting = Database.connect(settings.database_url, clock=self.clock, ids=ids, size=10)
        db = self.run(connecting)
        try:
            self.studio = self.run(Studio.open(db, self.clock, self.base_url))
            desk, outer = self.studio.merchant.desk, self.studio.outer
            live = Live(db, desk)
            app = api_of(settings, outer, live)
            config = uvicorn.Config(app, log_level="error", access_log=False, proxy_headers=False)
            server = _Quiet(config)
            answering = asyncio.run_coroutine_threadsafe(server.serve([listening]), self._loop)
            try:
                yield
            finally:
                self.run(live.close())
                server.should_exit = True
                answering.result(PATIENCE_SECONDS)
        finally:
            self.run(db.close())


def _settings(database_url: str, public_url: str, *, sends_mail: bool, has_relay: bool) -> Settings:
    return Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "public_url": public_url,
            "order_signing_key": (bytes(31) + b"\x01").hex(),
            "secrets_key": "22" * 32,
            "smtp_url": "smtp://127.0.0.1:1" if sends_mail else None,
            "walletconnect_project_id": "harbour" if has_relay else None,
            "walletconnect_relay_url": RELAY_URL,
            "fee_receiver": "0x" + "44" * 20,
            # Everything comes from one address here.
            "address_rate_per_second": 100_000,
            "address_burst": 100_000,
            "open_pages_per_address": 5_000,
        }
    )


@contextmanager
def opened(
    database_url: str,
    host: str = "127.0.0.1",
    *,
    sends_mail: bool = False,
    has_relay: bool = False,
) -> Iterator[Gallery]:
    """Serve a gallery over an empty, migrated database, on a free port of this machine. Browsers
    make passkeys for a name, and for no address in figures. With ``sends_mail`` letters are
    written, which nobody fetches; ``has_relay`` offers wallets of other devices."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = socket.create_server(("127.0.0.1", 0))
    base_url = f"http://{host}:{listening.getsockname()[1]}"
    gallery = Gallery(base_url, FakeClock(START), loop)
    settings = _settings(database_url, base_url, sends_mail=sends_mail, has_relay=has_relay)
    try:
        with gallery.serving(settings, listening):
            yield gallery
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


__all__ = ["DUE", "PAYER", "REMOTE", "STATES", "Gallery", "State", "Studio", "opened"]
