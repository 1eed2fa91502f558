"""A market: for every cell of the capability matrix a shop, a payer with a wallet, and a payment.

Nobody shares a wallet with anybody, so that each balance is the effect of one payment, and all can
be made at the same time.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
import asyncpg

from gstable import AsyncClient, SessionDetail
from gstable_server.accounts import operations as accounts
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.devnet import Devnet
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.chain.networks import Networks
from gstable_server.cli.payer import Paid, Payer, token_balance
from gstable_server.kernel.address import Address
from gstable_server.kernel.ids import MerchantId
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.system import SystemClock, SystemIdMint
from gstable_server.routing.model import Way
from tests.e2e.contract_wallets import ContractPayer, ContractWallet, deploy, wallet_of
from tests.running import Running

AT_ONCE = 12
COMPLETED_SECONDS = 180.0
LOOK_SECONDS = 0.5
FUNDS = 10_000_000
"""What each payer begins with, in atomic units of the token it pays with."""
COINS = 10**18

PaymentPath = Literal["direct", "swap", "cctp", "escrow"]
WAYS = {
    "usdc": (Way.ERC3009, Way.PERMIT, Way.PERMIT2, Way.APPROVE, Way.DEPOSIT),
    "usdt": (Way.APPROVE, Way.DEPOSIT, Way.PERMIT2),
}
"""The ways that each token is paid in, by turns within each path."""


def path_of(paying: str, settlement: str) -> PaymentPath:
    """How money gets from the one token to the other; what the specification says, not the
    server."""
    if paying == settlement:
        return "direct"
    (network, symbol), (other, wanted) = paying.split("::"), settlement.split("::")
    if network == other:
        return "swap"
    return "cctp" if symbol == wanted == "usdc" else "escrow"


@dataclass(frozen=True, slots=True)
class Cell:
    """One payment to be made; ``wallet`` says what the payer's is."""

    number: int
    paying: str
    settlement: str
    way: Way
    wallet: Literal["key", "contract", "undeployed"] = "key"

    @property
    def path(self) -> PaymentPath:
        return path_of(self.paying, self.settlement)

    @property
    def fee_model(self) -> int:
        return 1 + self.number // 3 % 2

    @property
    def amount(self) -> int:
        """The price in Micro-USD; no two cells have the same."""
        return 3_000_001 + 10_007 * self.number

    def __str__(self) -> str:
        kind = "" if self.wallet == "key" else f"-{self.wallet}"
        return f"{self.paying}-{self.settlement}-{self.path}-{self.way.value}{kind}"


def cells(tokens: Sequence[str]) -> list[Cell]:
    """Each token for each, and the contract wallets."""
    made: list[Cell] = []
    turns: Counter[tuple[str, str]] = Counter()
    for paying in tokens:
        for settlement in tokens:
            symbol = paying.split("::")[1]
            turn = path_of(paying, settlement), symbol
            way = WAYS[symbol][turns[turn] % len(WAYS[symbol])]
            turns[turn] += 1
            made.append(Cell(len(made), paying, settlement, way))
    usdc, many = "polygon::usdc", len(made)
    return [
        *made,
        Cell(many, usdc, "polygon::usdc", Way.ERC3009, "contract"),
        Cell(many + 1, usdc, "base::usdc", Way.ERC3009, "undeployed"),
        Cell(many + 2, usdc, "polygon::usdt", Way.PERMIT2, "contract"),
        Cell(many + 3, usdc, "arbitrumone::usdt", Way.PERMIT2, "undeployed"),
    ]


@dataclass(frozen=True, slots=True)
class Party:
    """Who is at the two ends of a cell's payment."""

    cell: Cell
    merchant_id: MerchantId
    merchant: Address
    account_id: str
    api_key: str
    payer_key: str
    contract: ContractWallet | None

    @property
    def payer(self) -> Address:
        """Where the payer's money is."""
        return self.contract.address if self.contract else _address(self.payer_key)


@dataclass(frozen=True, slots=True)
class Trade:
    """One payment that was made, and all that it moved, in atomic units.

    ``order`` is the signed order's row; ``booked`` what the ledger has for the session, by account
    and token.
    """

    party: Party
    page_total: int
    order: asyncpg.Record
    given: int
    received: int
    tx_hash_hex: str
    detail: SessionDetail
    booked: dict[tuple[str, str], int]
    seconds: float


def _address(key: str) -> Address:
    return address_of_key(private_key_from_hex(key))


class Market:
    """Makes the payments of many cells at an installation."""

    def __init__(self, running: Running, http: aiohttp.ClientSession, book: asyncpg.Pool) -> None:
        self._running = running
        self._networks = running.networks
        self._http = http
        self._book = book
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def trade(self, party: Party) -> Trade:
        """A session by the SDK, paid by a wallet, until it is completed."""
        cell = party.cell
        async with self._turns, self._client(party) as client:
            began = asyncio.get_running_loop().time()
            session_id, url = await self._open_session(client, party)
            had = await self._balance(cell.paying, party.payer)
            paid = await self._pay(party, url)
            detail = await _completed(client, session_id)
            ended = asyncio.get_running_loop().time()
        return Trade(
            party=party,
            page_total=paid.total,
            order=await self._book.fetchrow(_ORDER, session_id),
            given=had - await self._balance(cell.paying, party.payer),
            received=await self._balance(cell.settlement, party.merchant),
            tx_hash_hex=paid.tx_hash_hex,
            detail=detail,
            booked=await booked(self._book, session_id),
            seconds=ended - began,
        )

    async def _open_session(self, client: AsyncClient, party: Party) -> tuple[str, str]:
        session = await client.checkout_session.create(
            account_id=party.account_id,
            settlement_token=party.cell.settlement,
            line_items=[
                {
                    "item_type": "one_time",
                    "quantity": 1,
                    "unit_price": party.cell.amount,
                    "product_data": {"product_name": str(party.cell)},
                }
            ],
            fee_model=party.cell.fee_model,
        )
        return session.session_id, session.payment_url

    async def _pay(self, party: Party, url: str) -> Paid:
        payer: Payer
        arguments = (self._http, self._running.base_url, self._networks, party.payer_key)
        if party.contract is None:
            payer = Payer(*arguments)
        else:
            deployed = party.cell.wallet == "contract"
            payer = ContractPayer(*arguments, party.contract, deployed=deployed)
        return await payer.pay(url, party.cell.paying, way=party.cell.way)

    def _client(self, party: Party) -> AsyncClient:
        about = self._running.about
        return AsyncClient(
            party.api_key, base_url=about["baseUrl"], public_base_url=about["publicBaseUrl"]
        )

    async def _balance(self, token_id: str, holder: Address) -> int:
        return await token_balance(self._networks, token_id, holder)


_ORDER = """
SELECT merchant_amount, fee_amount, fee_ppm, way, rail, payer FROM session_orders
WHERE session_id = $1
"""


async def _completed(client: AsyncClient, session_id: str) -> SessionDetail:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + COMPLETED_SECONDS
    while True:  # bounded: by the deadline
        found = await client.checkout_session.detail(session_id)
        if found.session.status == "completed":
            return found
        assert loop.time() < deadline, f"not completed in time, but {found.session.status}"
        await asyncio.sleep(LOOK_SECONDS)


async def booked(book: asyncpg.Pool, session_id: str) -> dict[tuple[str, str], int]:
    """What the ledger has for a session, by account and token, without what cancels out."""
    rows = await book.fetch(
        "SELECT account, e.token_id, sum(amount) AS amount FROM ledger_entries e "
        "JOIN ledger_transfers USING (transfer_id) WHERE session_id = $1 GROUP BY 1, 2 "
        "HAVING sum(amount) <> 0",
        session_id,
    )
    return {(row["account"], row["token_id"]): int(row["amount"]) for row in rows}


async def parties(running: Running, wanted: Sequence[Cell]) -> list[Party]:
    """A merchant and a payer for each cell; the payers with their tokens, and with coins for gas
    where their way to pay needs any."""
    networks = running.networks
    db = await Database.connect(
        running.about["databaseUrl"], clock=SystemClock(), ids=SystemIdMint(), size=1
    )
    try:
        made = [await _party(db, networks, cell) for cell in wanted]
    finally:
        await db.close()
    await _fund(Devnet(networks_directory(running), networks, [], 0), made)
    for party in made:
        if party.cell.wallet == "contract" and party.contract is not None:
            network = networks.network(party.cell.paying.split("::")[0])
            await deploy(party.payer_key, network, party.contract)
    return made


async def _party(db: Database, networks: Networks, cell: Cell) -> Party:
    merchant, payer_key = _address(secrets.token_hex(32)), secrets.token_hex(32)
    async with db.begin() as tx:
        shop = await accounts.create_merchant(tx, f"Shop {cell.number}")
        tenant = Tenant(shop.merchant_id, Mode.TEST)
        account = await accounts.create_account(
            tx, tenant, networks, "Wallet", to_checksum(merchant)
        )
        _, api_key = await accounts.issue_key(tx, tenant, Access.WRITE, "Key")
    contract = None
    if cell.wallet != "key":
        token = networks.require_token(cell.paying, Mode.TEST)
        contract = wallet_of(payer_key, networks.network(token.network), token.address)
    return Party(
        cell=cell,
        merchant_id=shop.merchant_id,
        merchant=merchant,
        account_id=account.account_id,
        api_key=api_key,
        payer_key=payer_key,
        contract=contract,
    )


def networks_directory(running: Running) -> Path:
    return Path(running.about["networksFile"]).parent


async def _fund(devnet: Devnet, made: Sequence[Party]) -> None:
    for network in devnet.networks.all:
        for token in network.tokens:
            payers = [one.payer for one in made if one.cell.paying == token.token_id]
            await devnet.fund_all(network.name, payers, {token.symbol: FUNDS})
        for one in made:
            if one.cell.paying.startswith(f"{network.name}::") and _sends(one.cell):
                await devnet.set_balance(network.name, _address(one.payer_key), COINS)


def _sends(cell: Cell) -> bool:
    """Whether the payer's wallet makes any transaction itself."""
    if cell.wallet == "key":
        return cell.way is not Way.ERC3009
    return cell.wallet == "contract"
