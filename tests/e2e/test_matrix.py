"""Every cell of the capability matrix and every way to pay: what each payment moves, to the unit.

All payments are made at the same time; then each has a test of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from gstable_server.chain.checksum import to_checksum
from gstable_server.cli.app import app
from gstable_server.cli.payer import open_http, token_balance
from gstable_server.cli.routes import table
from gstable_server.kernel.address import Address, address_from_hex
from gstable_server.routing.model import Way
from tests.e2e.contract_wallets import is_there
from tests.e2e.market import Cell, Market, Trade, cells, parties
from tests.e2e.reconciled import forged, reconciled
from tests.running import Running, eventually, running_stack

TOKENS = (
    "ethereum::usdc",
    "ethereum::usdt",
    "polygon::usdc",
    "polygon::usdt",
    "arbitrumone::usdc",
    "arbitrumone::usdt",
    "base::usdc",
)
CELLS = cells(TOKENS)
PPM = {"direct": 2000, "swap": 3000, "cctp": 6000, "escrow": 6000}
ORDER_TYPE = {"direct": 1, "swap": 2, "cctp": 3, "escrow": 3}
MARGIN_PPM = {"direct": 0, "swap": 1000, "cctp": 0, "escrow": 1000}
"""What the paths cost besides the fee: what a swap may cost above par, what a solver earns."""


@pytest.fixture(scope="module")
def busy() -> Iterator[Running]:
    """An installation that lets one address do in a minute what a street of payers does."""
    with running_stack(
        GSTABLE_ADDRESS_RATE_PER_SECOND="1000", GSTABLE_ADDRESS_BURST="1000"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def trades(busy: Running) -> dict[Cell, Trade | BaseException]:
    """All payments, made; what went wrong stands in its place."""

    async def make() -> dict[Cell, Trade | BaseException]:
        made = await parties(busy, CELLS)
        async with (
            open_http() as http,
            asyncpg.create_pool(busy.about["databaseUrl"], min_size=1, max_size=2) as book,
        ):
            market = Market(busy, http, book)
            outcomes = await asyncio.gather(
                *(market.trade(one) for one in made), return_exceptions=True
            )
        return dict(zip(CELLS, outcomes, strict=True))

    return asyncio.run(make())


def _all(trades: dict[Cell, Trade | BaseException]) -> list[Trade]:
    return [trade for trade in trades.values() if isinstance(trade, Trade)]


def _rounded_up(value: int, ppm: int) -> int:
    return -(-value * ppm // 1_000_000)


def test_the_matrix_is_what_is_paid(busy: Running) -> None:
    # Given what anybody can read about this server, without a key
    with busy.client() as client:
        matrix = client.capability.all()
    offered = {
        (row.token_id, settlement): (row.crosschain, row.fee_rate_ppm)
        for settlement, groups in matrix.payment_capabilities.items()
        for rows in groups.values()
        for row in rows
    }
    # Then it has 49 cells, and each is paid here at the rate that it says
    assert len(offered) == 49
    by_key = [cell for cell in CELLS if cell.wallet == "key"]
    assert {(cell.paying, cell.settlement) for cell in by_key} == set(offered)
    for cell in by_key:
        crosschain = cell.path in {"cctp", "escrow"}
        assert offered[cell.paying, cell.settlement] == (crosschain, PPM[cell.path])


def test_the_table_of_routes_is_what_the_code_computes(busy: Running, repository: Path) -> None:
    # (`gstable routes --networks-file FILE` prints it; FILE is named by `./run dev --json`)
    written = (repository / "docs/reference/routes.md").read_text()
    found = table(busy.networks)
    assert found.count("\n") == 2 + 49
    assert found in written
    for cell in CELLS:
        [row] = [one for one in found.splitlines() if _begins(one, cell)]
        *_, by, ppm, _, _, ways = row.strip("| ").split(" | ")
        assert (by, ppm) == (cell.path, str(PPM[cell.path]))
        assert cell.way.value in ways.split(", ")


def _begins(row: str, cell: Cell) -> bool:
    return row.startswith(f"| `{cell.settlement}` | `{cell.paying}` |")


def test_every_way_is_paid_on_every_path() -> None:
    paid = {(cell.way, cell.path) for cell in CELLS}
    assert paid == {(way, path) for way in Way for path in PPM}
    assert {(cell.path, cell.fee_model) for cell in CELLS} == {
        (path, model) for path in PPM for model in (1, 2)
    }


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_everybody_gets_what_was_quoted(
    cell: Cell, trades: dict[Cell, Trade | BaseException]
) -> None:
    trade = trades[cell]
    if isinstance(trade, BaseException):
        raise trade
    # Given what the rates say, computed here from the price alone
    fee = _rounded_up(cell.amount, PPM[cell.path])
    total = cell.amount + (fee if cell.fee_model == 2 else 0)
    merchant = total - fee
    cost = _rounded_up(merchant, MARGIN_PPM[cell.path])
    # Then the page and the signed order quote exactly that
    assert trade.page_total == total
    assert trade.order["merchant_amount"] == merchant
    assert trade.order["fee_amount"] == fee - cost
    assert (trade.order["way"], trade.order["rail"] or "direct") == (cell.way, cell.path)
    # And the merchant has it, on its own network and in its own token
    assert trade.received == merchant
    # And the payer gave it, less what a swap did not need
    used = -trade.booked["payers", cell.paying]
    change = total - used
    assert 0 <= change <= (cost if cell.path == "swap" else 0)
    # (a deposit's change waits at the deposit address for its way back)
    assert trade.given == (total if cell.way is Way.DEPOSIT else used)
    _is_booked(trade, fee - cost)
    _is_shown(trade, used)


def _is_booked(trade: Trade, fee: int) -> None:
    """The ledger has the same, and nothing that is still pending."""
    cell, merchant_id = trade.party.cell, trade.party.merchant_id
    assert trade.booked["fees", cell.paying] == fee
    assert trade.booked[f"merchant:{merchant_id}", cell.settlement] == trade.received
    assert not [account for account, _ in trade.booked if account.endswith(":pending")]


def _is_shown(trade: Trade, used: int) -> None:
    """The session and its transaction, as the API answers them."""
    cell, session, made = trade.party.cell, trade.detail.session, trade.detail.transaction
    assert session.paid_token == cell.paying
    # A deposit is the payer's transfer, and the payment that collects it.
    assert (session.initiate_tx == trade.tx_hash_hex) == (cell.way is not Way.DEPOSIT)
    assert made is not None
    assert made.order_type == ORDER_TYPE[cell.path]
    assert made.channel_id == cell.paying.split("::")[0]
    assert made.to == to_checksum(trade.party.merchant)
    assert made.source_tx == session.initiate_tx
    assert made.target_tx == session.complete_tx
    assert (made.target_tx == made.source_tx) == (cell.path in {"direct", "swap"})
    assert made.payment_value == cell.amount
    assert made.net_value == trade.received
    assert made.total_value - made.fee_value == made.net_value
    assert made.execute_time
    assert made.finalize_time
    assert made.total_value == used
    if cell.way is not Way.DEPOSIT:
        assert made.from_ == to_checksum(trade.party.payer)


def test_the_fee_receiver_has_the_sum_of_the_quoted_fees(
    busy: Running, trades: dict[Cell, Trade | BaseException]
) -> None:
    quoted: Counter[str] = Counter()
    for trade in _all(trades):
        quoted[trade.party.cell.paying] += trade.order["fee_amount"]
    [named] = _rows(busy, "SELECT DISTINCT body->>'feeReceiver' AS address FROM session_orders")
    receiver = address_from_hex(named["address"])
    assert {token: _balance(busy, token, receiver) for token in TOKENS} == quoted


def test_the_book_balances(busy: Running, trades: dict[Cell, Trade | BaseException]) -> None:
    assert len(_all(trades)) == len(CELLS)
    query = "SELECT token_id FROM ledger_entries GROUP BY 1 HAVING sum(amount) <> 0"
    assert _rows(busy, query) == []


def test_the_book_is_what_the_chains_say(
    busy: Running, trades: dict[Cell, Trade | BaseException]
) -> None:
    # (the last step of a crossing pays its solver back, after its session is completed)
    outcome = eventually(
        lambda: (found := asyncio.run(reconciled(busy))).left_out == 0 and found,
        "every crossing is at its end",
    )
    assert (outcome.differences, outcome.unread) == ((), ())
    assert outcome.sessions == len(CELLS)


@pytest.mark.parametrize(
    "account",
    ["payers", "fees", "merchant:", "rail:cctp", "rail:escrow", "conversion:", "solver:"],
)
def test_one_unit_more_on_an_account_is_found(
    busy: Running, trades: dict[Cell, Trade | BaseException], account: str
) -> None:
    found = asyncio.run(forged(busy, account, 1))
    assert found
    assert all(one.account.startswith(account) for one in found)
    assert all(one.booked - one.expected == 1 for one in found)


def test_the_command_line_says_that_the_books_are_right(
    busy: Running, trades: dict[Cell, Trade | BaseException]
) -> None:
    places = {
        "DATABASE_URL": busy.about["databaseUrl"],
        "GSTABLE_NETWORKS_FILE": busy.about["networksFile"],
    }
    verified = CliRunner().invoke(app, ["ledger", "verify", "--json"], env=places)
    assert verified.exit_code == 0, verified.output
    verdict = json.loads(verified.stdout)
    assert verdict["problems"] == []
    assert verdict["checked"] > len(CELLS)
    again = CliRunner().invoke(app, ["ledger", "verify", "--head", verdict["head"]], env=places)
    assert again.exit_code == 0, again.output
    compared = CliRunner().invoke(app, ["reconcile"], env=places)
    assert compared.exit_code == 0, compared.output
    assert "0 differences" in compared.stdout


def test_wallets_are_deployed_by_paying(
    busy: Running, trades: dict[Cell, Trade | BaseException]
) -> None:
    for trade in _all(trades):
        if trade.party.contract is not None:
            network = busy.networks.network(trade.party.cell.paying.split("::")[0])
            assert asyncio.run(is_there(network, trade.party.contract))


def _balance(running: Running, token_id: str, holder: Address) -> int:
    return asyncio.run(token_balance(running.networks, token_id, holder))


def _rows(running: Running, query: str) -> list[asyncpg.Record]:
    async def ask() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(running.about["databaseUrl"])
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    return asyncio.run(ask())
