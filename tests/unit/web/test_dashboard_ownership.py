"""An account's wallet: proven to be one's own, warned of where it is no contract, archived."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.ownership import operations as ownership
from gstable_server.accounts.ownership.model import Kind
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.contract_wallets import question
from gstable_server.chain.keys import address_of_key, sign_digest
from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import parse_networks
from gstable_server.chain.rpc import ProviderFailed
from gstable_server.chain.sign_in import personal_digest
from gstable_server.chain.testing import FakeChain, fake_network
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from gstable_server.web.base import Pages
from gstable_server.web.dashboard import routes as dashboard
from tests.unit.web.console import PASSWORD, Browser, reader, registered
from tests.unit.web.shop import NETWORKS, PUBLIC_URL, Merchant, new_desk

pytestmark = pytest.mark.anyio

ACCOUNTS = "/dashboard/test/accounts"
KEY = b"\x66" * 32
WALLET = address_of_key(KEY)
TWO = NETWORKS + NETWORKS.replace("polygon", "base").replace("1337137", "1337138").replace(
    "Polygon", "Base"
).replace("0x1111", "0x1112").replace('route_group = "POL"', 'route_group = "BASE"')


class Console(Browser):
    """A browser at a console whose server asks these chains."""

    chains: dict[str, FakeChain]
    networks: Networks


@pytest.fixture
async def console(database: Database) -> AsyncIterator[Console]:
    networks = parse_networks(TWO)
    chains = {one.name: FakeChain(fake_network()) for one in networks.all}
    pages = Pages.load()
    routes = dashboard.routes(database, new_desk(networks), pages, chains=chains)
    app = Starlette(routes=[*routes, *pages.routes()])
    async with AsyncClient(transport=ASGITransport(app=app), base_url=PUBLIC_URL) as client:
        browser = Console(client)
        browser.chains, browser.networks = chains, networks
        yield browser


@pytest.fixture
async def owner(database: Database, console: Console) -> Merchant:
    return await registered(database, new_desk(console.networks), console)


async def added(console: Console) -> str:
    """The path of the wallet's account."""
    sent = {"accountName": "Main", "accountAddress": to_checksum(WALLET)}
    answer = await console.post(ACCOUNTS, **sent)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


async def challenged(console: Console, place: str, network: str = "polygon") -> dict[str, str]:
    """The fields of a page that asks for a signature."""
    page = await console.post(f"{place}/proof/begin", network=network)
    text = page.text.partition("readonly>\n")[2].partition("</textarea>")[0]
    return {"nonce": reader(page).field("nonce")["value"], "message": unescape(text)}


def signed(message: str, key: bytes = KEY) -> str:
    return "0x" + sign_digest(key, personal_digest(message)).hex()


async def proofs(owner: Merchant, place: str) -> list[Kind]:
    async with owner.db.read() as tx:
        [account] = await accounts.list_accounts(tx, owner.tenant)
        assert place.endswith(account.account_id)
        found = await ownership.proofs(tx, owner.tenant, account.account_id)
    return [one.kind for one in found]


async def refused(
    console: Console, owner: Merchant, place: str, fields: dict[str, str]
) -> Response:
    """An answer that proves nothing, and that uses its nonce up."""
    answer = await console.post(f"{place}/proof", **fields)
    assert answer.status_code == 422, answer.text
    assert await proofs(owner, place) == []
    again = await console.post(f"{place}/proof", **fields)
    assert "has been used" in again.text
    return answer


async def test_aut_15_a_wallets_key_proves_it_once(console: Console, owner: Merchant) -> None:
    place = await added(console)
    asked = await challenged(console, place)
    assert "shop.test wants you to sign in" in asked["message"]
    # Browsers send line ends as CRLF.
    sent = {**asked, "message": asked["message"].replace("\n", "\r\n")}
    answer = await console.post(f"{place}/proof", **sent, signature=signed(asked["message"]))
    assert answer.status_code == 303
    assert await proofs(owner, place) == [Kind.KEY]
    assert "holds on every network" in (await console.get(place)).text
    replayed = await console.post(f"{place}/proof", **sent, signature=signed(asked["message"]))
    assert replayed.status_code == 422
    assert "has been used" in replayed.text


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("shop.test wants", "evil.test wants", "another site"),
        ("URI: http://shop.test", "URI: http://evil.test", "another site"),
        ("Chain ID: 1337137", "Chain ID: 1337138", "another chain"),
        ("Nonce: ", "Nonce: x", "another nonce"),
        ("This wallet is mine", "That wallet is mine", "not the message"),
        ("Version: 1", "Version: 2", "not the message"),
    ],
)
async def test_aut_15_a_message_of_another_site_chain_or_nonce_is_refused(
    console: Console, owner: Merchant, old: str, new: str, why: str
) -> None:
    place = await added(console)
    asked = await challenged(console, place)
    message = asked["message"].replace(old, new)
    assert message != asked["message"]
    fields = {**asked, "message": message, "signature": signed(message)}
    answer = await refused(console, owner, place, fields)
    assert why in reader(answer).text


async def test_aut_15_a_message_that_has_expired_is_refused(
    console: Console, owner: Merchant, clock: FakeClock
) -> None:
    place = await added(console)
    asked = await challenged(console, place)
    clock.advance(15 * 60)
    fields = {**asked, "signature": signed(asked["message"]), "confirmPassword": PASSWORD}
    answer = await refused(console, owner, place, fields)
    assert "Has expired." in reader(answer).text


async def test_aut_15_another_key_signs_for_nobody_but_itself(
    console: Console, owner: Merchant
) -> None:
    place = await added(console)
    asked = await challenged(console, place)
    other = signed(asked["message"], b"\x67" * 32)
    await refused(console, owner, place, {**asked, "signature": other})


@pytest.mark.parametrize("signature", ["", "0x", "0xzz", "hello", "0x" + "00" * 100_000])
async def test_aut_15_what_is_no_signature_uses_the_nonce_up_too(
    console: Console, owner: Merchant, signature: str
) -> None:
    place = await added(console)
    asked = await challenged(console, place)
    answer = await console.post(f"{place}/proof", **asked, signature=signature)
    assert answer.status_code == 422
    assert await proofs(owner, place) == []


async def test_aut_15_a_contract_wallet_proves_it_on_its_network(
    console: Console, owner: Merchant
) -> None:
    place = await added(console)
    asked = await challenged(console, place, "base")
    signature = b"\x07" * 70
    ask = question(WALLET, personal_digest(asked["message"]), signature)
    console.chains["base"].programs[ask] = b"\x01"
    answer = await console.post(f"{place}/proof", **asked, signature="0x" + signature.hex())
    assert answer.status_code == 303
    assert await proofs(owner, place) == [Kind.CONTRACT]
    assert "contract on Base (local)" in reader(await console.get(place)).text


async def test_aut_15_a_contract_that_returns_magic_for_anything_proves_nothing(
    console: Console, owner: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def anything(creation_code: bytes, gas: int) -> bytes:
        return b"\x01"

    monkeypatch.setattr(console.chains["polygon"], "run", anything)
    place = await added(console)
    asked = await challenged(console, place)
    await refused(console, owner, place, {**asked, "signature": "0x" + "07" * 70})


async def test_aut_15_where_no_node_answers_nothing_is_proven(
    console: Console, owner: Merchant
) -> None:
    place = await added(console)
    asked = await challenged(console, place)
    console.chains["polygon"].trouble.append(ProviderFailed("down"))
    fields = {**asked, "signature": "0x" + "07" * 70}
    answer = await console.post(f"{place}/proof", **fields)
    assert answer.status_code == 422
    assert await proofs(owner, place) == []


async def test_aut_15_a_nonce_of_another_account_is_none(console: Console, owner: Merchant) -> None:
    place = await added(console)
    asked = await challenged(console, place)
    other = f"{ACCOUNTS}/acc_{'a' * 24}"
    answer = await console.post(f"{other}/proof", **asked, signature=signed(asked["message"]))
    assert answer.status_code == 404
    assert await proofs(owner, place) == []


async def test_a_contract_wallet_is_warned_of_where_it_is_not(
    console: Console, owner: Merchant
) -> None:
    console.chains["polygon"].codes[WALLET] = b"\x60\x80"
    sent = {"accountName": "Safe", "accountAddress": to_checksum(WALLET)}
    warned = await console.post(ACCOUNTS, **sent)
    page = reader(warned)
    assert warned.status_code == 422
    assert "On Base (local) there is nothing at this address." in page.text
    assert page.field("accountAddress")["value"] == sent["accountAddress"]
    known = await console.post(ACCOUNTS, **sent, acknowledged="on")
    assert known.status_code == 303
    shown = await console.get(known.headers["location"])
    assert "On Base (local) there is nothing at this address." in reader(shown).text


@pytest.mark.parametrize(
    "codes",
    [
        {},
        {"polygon": b"\x60", "base": b"\x60"},
        {"polygon": bytes.fromhex("ef0100") + b"\x01" * 20},
    ],
)
async def test_a_wallet_that_is_reached_everywhere_is_added_at_once(
    console: Console, owner: Merchant, codes: dict[str, bytes]
) -> None:
    for name, code in codes.items():
        console.chains[name].codes[WALLET] = code
    place = await added(console)
    assert "may be lost" not in (await console.get(place)).text


@pytest.mark.parametrize("address", ["0x" + "0" * 39 + "1", "0x" + "0" * 36 + "dEaD"])
async def test_an_address_that_nobody_holds_is_refused(
    console: Console, owner: Merchant, address: str
) -> None:
    answer = await console.post(ACCOUNTS, accountName="x", accountAddress=address.lower())
    assert answer.status_code == 422
    assert "nobody holds" in reader(answer).text


async def test_an_account_is_archived_and_used_again(console: Console, owner: Merchant) -> None:
    place = await added(console)
    gone = await console.post(f"{place}/remove")
    assert gone.headers["location"].endswith("done=account-archived")
    page = reader(await console.get(ACCOUNTS))
    assert "Archived" in page.text
    assert f"{place}/restore" in [at.get("action") for tag, at in page.tags if tag == "form"]
    back = await console.post(f"{place}/restore")
    assert back.status_code == 303
    async with owner.db.read() as tx:
        [account] = await accounts.list_accounts(tx, owner.tenant)
        assert await accounts.archived(tx, owner.tenant) == []
    assert account.address == WALLET
    assert not place.endswith(account.account_id)
    assert (await console.post(f"{place}/restore")).status_code == 404
