"""Direct payments, a node over HTTP and the real book: what differs is found, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest

from gstable_server import reconciling
from gstable_server.chain.facts import PaymentLog
from gstable_server.chain.networks import Networks
from gstable_server.kernel.address import Address
from gstable_server.ledger import model as book
from gstable_server.ledger import operations as ledger
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.events import Event
from gstable_server.reconciliation import operations as reconciliation
from gstable_server.reconciliation import store_work
from gstable_server.reconciliation.model import Outcome
from tests.unit.reconciliation.node import Node, block_hash, listening, paid
from tests.unit.sessions.world import POLYGON, USDC, World, new_world

pytestmark = pytest.mark.anyio

FRONTIER = 120


@dataclass
class Day:
    """Three sessions that were paid, and money for none; all of it on the chain and in the book."""

    world: World
    node: Node
    networks: Networks
    payments: list[PaymentLog]

    async def reconcile(self, *, anew: bool = False) -> Outcome:
        return await reconciling.reconcile(self.world.db, self.networks, anew=anew)

    async def tamper(self, statement: str) -> None:
        async with self.world.db.begin() as tx:
            await tx.execute("SET LOCAL session_replication_role = replica")
            done = await tx.execute(statement)
            assert not done.endswith(" 0"), "a test that changes nothing proves nothing"

    async def differs(self) -> dict[tuple[str | None, str], int]:
        """By session and account: how much more the book says than the chain."""
        outcome = await self.reconcile()
        assert outcome.count == len(outcome.differences) > 0
        return {
            (one.session_id, one.account): one.booked - one.expected for one in outcome.differences
        }

    @property
    def merchant(self) -> str:
        return f"merchant:{self.world.tenant.merchant_id}"

    async def session_id(self, number: int) -> str:
        async with self.world.db.read() as tx:
            found: str = await tx.fetchval(
                "SELECT session_id FROM sessions WHERE session_key = $1",
                self.payments[number].session_key,
            )
        return found


async def move_frontier(db: Database, number: int) -> None:
    async with db.begin() as tx:
        await tx.execute(
            "INSERT INTO chain_blocks (network, number, hash, parent_hash, block_time)"
            " VALUES ('polygon', $1, $2, $2, $3)",
            number,
            block_hash(number),
            tx.now,
        )


@pytest.fixture
async def day(database: Database) -> AsyncIterator[Day]:
    world = await new_world(database)
    payments = []
    for number in (1, 2, 3):
        view = await world.open()
        await world.prepare(view)
        log = world.log(view, tx=number, block=100 + number, merchant_received=9_980_000 + number)
        await world.hear("seen", log)
        payments.append(log)
    await world.hear("final", payments[0])
    nobodys = replace(payments[0], session_key=b"\x99" * 32, tx_hash=b"\x04" * 32, block_number=104)
    await world.hear("seen", nobodys)
    payments.append(nobodys)
    await move_frontier(database, FRONTIER)
    node = Node(POLYGON.chain_id, [paid(POLYGON.router, log) for log in payments])
    async with listening(node):
        networks = Networks((replace(POLYGON, rpc_urls=(node.url,), start_block=5),))
        yield Day(world, node, networks, payments)


async def test_a_day_without_a_difference(day: Day) -> None:
    outcome = await day.reconcile()
    assert (outcome.differences, outcome.unread, outcome.left_out) == ((), (), 0)
    assert outcome.sessions == 4
    assert [(one.network, one.to_block) for one in outcome.readings] == [("polygon", FRONTIER)]
    async with day.world.db.read() as tx:
        assert await reconciliation.last(tx) == outcome


async def test_a_missing_entry_is_found(day: Day) -> None:
    await day.tamper("DELETE FROM ledger_entries WHERE account = 'unmatched'")
    assert await day.differs() == {(None, "unmatched"): -9_980_001}


async def test_a_missing_transfer_is_found(day: Day) -> None:
    named = f"cause LIKE 'seen:%{day.payments[1].tx_hash.hex()}%'"
    await day.tamper(
        "DELETE FROM ledger_entries WHERE transfer_id ="
        f" (SELECT transfer_id FROM ledger_transfers WHERE {named})"
    )
    session = await day.session_id(1)
    missing = {"payers": 10_000_002, "fees": -20_000, day.merchant: -9_980_002}
    expected = {(who, account): gap for who in (None, session) for account, gap in missing.items()}
    assert await day.differs() == expected


async def test_a_doubled_transfer_is_found(day: Day) -> None:
    again = book.payment(
        "seen:polygon:again",
        "polygon::usdc",
        receiver=f"{day.merchant}:pending",
        amount=9_980_002,
        fee_amount=20_000,
        tenant=day.world.tenant,
        session_id=(await day.world.view(await day.session_id(1))).session.session_id,  # type: ignore[arg-type]
    )
    await day.world.db.run(ledger.post, again)
    session = await day.session_id(1)
    more = {"payers": -10_000_002, "fees": 20_000, day.merchant: 9_980_002}
    expected = {(who, account): gap for who in (None, session) for account, gap in more.items()}
    assert await day.differs() == expected


async def test_a_wrong_amount_is_found_to_the_unit(day: Day) -> None:
    await day.tamper("UPDATE ledger_entries SET amount = amount + 1 WHERE account = 'unmatched'")
    assert await day.differs() == {(None, "unmatched"): 1}


async def test_another_merchants_account_is_found(day: Day) -> None:
    other = "merchant:" + "0" * 64
    await day.tamper(
        f"UPDATE ledger_entries SET account = '{other}:pending' WHERE amount = 9980003"
    )
    session = await day.session_id(2)
    assert await day.differs() == {
        (who, account): gap
        for who in (None, session)
        for account, gap in ((day.merchant, -9_980_003), (other, 9_980_003))
    }


async def test_two_sessions_of_one_merchant_mixed_up_are_found(day: Day) -> None:
    first, second = await day.session_id(1), await day.session_id(2)
    await day.tamper(
        "UPDATE ledger_transfers SET session_id = CASE session_id"
        f" WHEN '{first}' THEN '{second}' ELSE '{first}' END"
        f" WHERE session_id IN ('{first}', '{second}')"
    )
    assert await day.differs() == {
        (first, "payers"): -1,
        (first, day.merchant): 1,
        (second, "payers"): 1,
        (second, day.merchant): -1,
    }


async def test_a_log_that_the_indexer_skipped_is_found(day: Day) -> None:
    view = await day.world.open()
    skipped = day.world.log(view, tx=9, block=FRONTIER)
    day.node.logs.append(paid(POLYGON.router, skipped))
    missing = {"payers": 10_000_000, "fees": -20_000, day.merchant: -9_980_000}
    assert await day.differs() == {
        (who, account): gap
        for who in (None, view.session.session_id)
        for account, gap in missing.items()
    }


async def test_a_payment_that_is_on_no_chain_is_found(day: Day) -> None:
    del day.node.logs[2]
    assert (await day.differs())[None, day.merchant] == 9_980_003


async def test_what_is_above_the_frontier_is_no_difference(day: Day) -> None:
    view = await day.world.open()
    later = day.world.log(view, tx=9, block=FRONTIER + 1)
    day.node.logs.append(paid(POLYGON.router, later))
    assert (await day.reconcile()).count == 0


async def test_what_was_read_and_not_heard_yet_is_left_out(day: Day) -> None:
    # Given a log that stands in the outbox, and one of another session in the same transaction
    view, beside = await day.world.open(), await day.world.open()
    waits = day.world.log(view, tx=9, block=110)
    async with day.world.db.begin() as tx:
        tx.tell(Event("chain.payment_seen", waits.subject, {}))
    day.node.logs.append(paid(POLYGON.router, waits))
    day.node.logs.append(
        {**paid(POLYGON.router, day.world.log(beside, tx=9, block=110)), "logIndex": "0x1"}
    )
    outcome = await day.reconcile()
    assert (outcome.count, outcome.sessions, outcome.left_out) == (0, 4, 2)


async def test_what_an_operator_accepts_is_no_difference(day: Day) -> None:
    accepted = book.settled(
        f"accepted:polygon:{'04' * 32}:0:1",
        "polygon::usdc",
        pending=book.UNMATCHED,
        final=day.merchant,
        amount=9_980_001,
        tenant=None,
        session_id=None,
    )
    await day.world.db.run(ledger.post, accepted)
    assert (await day.reconcile()).count == 0
    # But nobody accepts money into or out of other accounts.
    forged = book.settled(
        f"accepted:polygon:{'04' * 32}:0:2",
        "polygon::usdc",
        pending=book.PAYERS,
        final=book.FEES,
        amount=5,
        tenant=None,
        session_id=None,
    )
    await day.world.db.run(ledger.post, forged)
    assert await day.differs() == {(None, "payers"): -5, (None, "fees"): 5}


async def test_final_blocks_are_read_once(day: Day) -> None:
    final = FRONTIER - POLYGON.confirmations + 1
    await day.reconcile()
    assert day.node.ranges() == [(5, FRONTIER)]
    day.node.asked.clear()
    await move_frontier(day.world.db, FRONTIER + 30)
    assert (await day.reconcile()).count == 0
    assert day.node.ranges() == [(final + 1, FRONTIER + 30)]
    day.node.asked.clear()
    assert (await day.reconcile(anew=True)).count == 0
    assert day.node.ranges() == [(5, FRONTIER + 30)]


@dataclass
class Rows:
    """The most rows that one statement of a reconciliation said or was told, and how many rows."""

    most: int = 0
    all: int = 0

    def note(self, count: int) -> None:
        self.most, self.all = max(self.most, count), self.all + count


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    """Counts what goes through any transaction."""
    counted, fetch, execute = Rows(), Tx.fetch, Tx.execute

    async def fetching(tx: Tx, sql: str, *values: Any) -> list[asyncpg.Record]:
        found = await fetch(tx, sql, *values)
        counted.note(len(found))
        return found

    async def executing(tx: Tx, sql: str, *values: Any) -> str:
        counted.note(max((len(one) for one in values if isinstance(one, list)), default=0))
        return await execute(tx, sql, *values)

    monkeypatch.setattr(Tx, "fetch", fetching)
    monkeypatch.setattr(Tx, "execute", executing)
    return counted


async def test_a_book_of_any_size_goes_through_in_parts(
    day: Day, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that neither memory nor the time in which nothing else happens grow with it."""
    view = await day.world.open()
    for number in range(20, 40):  # all of one session, across parts
        log = day.world.log(view, tx=number, block=105, merchant_received=number)
        await day.world.hear("seen", log)
        day.node.logs.append({**paid(POLYGON.router, log), "logIndex": hex(number)})
    monkeypatch.setattr("gstable_server.ledger.store.STANDING_AT_ONCE", 3)
    monkeypatch.setattr("gstable_server.reconciliation.model.ROWS_AT_ONCE", 3)
    rows.most = rows.all = 0
    outcome = await day.reconcile()
    assert (outcome.count, outcome.sessions) == (0, 5)
    assert rows.most <= len({"payers", "fees", "merchant"}) * 3
    assert rows.all > 50
    # ... and what was kept
    await day.tamper("UPDATE ledger_entries SET amount = amount + 1 WHERE account = 'unmatched'")
    rows.most = 0
    assert await day.differs() == {(None, "unmatched"): 1}
    assert rows.most <= 9


async def test_a_long_snapshot_is_left_in_peace(day: Day) -> None:
    """What ends the transactions of processes that stand still must not end this one."""
    async with day.world.db.apart("test") as work:
        async with work.read() as tx:
            await store_work.lay_out(tx)
        async with work.begin() as tx:
            await store_work.begin_snapshot(tx)
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                assert await tx.fetchval(f"SHOW {limit}") == "15min"
            await store_work.leave_out(tx, [b"\x01" * 32])
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await tx.execute("DELETE FROM outbox")


async def test_nothing_is_left_behind(day: Day) -> None:
    await day.reconcile()
    async with day.world.db.read() as tx:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
        assert await tx.fetchval(query, reconciliation.CONNECTION) == 0


async def test_what_was_kept_is_compared_every_time(day: Day) -> None:
    await day.reconcile()
    await day.tamper("UPDATE ledger_entries SET amount = amount + 1 WHERE account = 'unmatched'")
    assert await day.differs() == {(None, "unmatched"): 1}
    [nobodys] = [log.tx_hash.hex() for log in day.payments if log.session_key == b"\x99" * 32]
    kept = f"reconciliation_logs WHERE tx_hash = decode('{nobodys}', 'hex')"
    await day.tamper(f"DELETE FROM {kept}")
    assert (await day.differs())[None, "unmatched"] == 9_980_002


async def test_too_long_a_range_is_halved(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(json.dumps(day.node.logs))
    monkeypatch.setattr("gstable_server.reconciliation.reader.ANSWER_BYTES_MAX", whole // 2 + 200)
    assert (await day.reconcile(anew=True)).count == 0
    assert day.node.ranges()[:3] == [(5, FRONTIER), (5, 62), (63, FRONTIER)]
    monkeypatch.setattr("gstable_server.reconciliation.reader.ANSWER_BYTES_MAX", whole // 8)
    [unread] = (await day.reconcile(anew=True)).unread
    assert unread.unread == "eth_getLogs: the answer is too long"


async def test_questions_span_as_many_blocks_as_the_network_says(day: Day) -> None:
    day.networks = Networks((replace(day.networks.all[0], log_range=50),))
    assert (await day.reconcile()).count == 0
    assert day.node.ranges() == [(5, 54), (55, 104), (105, FRONTIER)]


@pytest.mark.parametrize(
    ("method", "answer", "why"),
    [
        ("eth_chainId", "0x1", "its nodes are of chain 1"),
        ("eth_chainId", 1, "eth_chainId: ValidationError"),
        ("eth_getBlockByNumber", {"hash": "0x" + "00" * 32}, "not the one that the book stands on"),
        ("eth_getBlockByNumber", None, "no block 120"),
        ("eth_getLogs", {"logs": []}, "eth_getLogs: ValidationError"),
    ],
)
async def test_a_network_in_trouble_is_not_checked(
    day: Day, method: str, answer: object, why: str
) -> None:
    day.node.answers[method] = answer
    outcome = await day.reconcile()
    assert outcome.count == 0
    [unread] = outcome.unread
    assert unread.network == "polygon"
    assert why in str(unread.unread)


async def test_logs_that_were_not_asked_for_are_not_believed(day: Day) -> None:
    foreign = paid(Address(b"\x66" * 20), day.payments[0])
    day.node.answers["eth_getLogs"] = [foreign]
    assert "not asked for" in str((await day.reconcile()).unread[0].unread)


async def test_the_next_node_is_asked_when_one_does_not_answer(day: Day) -> None:
    here = day.networks.all[0]
    day.networks = Networks((replace(here, rpc_urls=("http://127.0.0.1:1", *here.rpc_urls)),))
    outcome = await day.reconcile()
    assert (outcome.count, outcome.unread) == (0, ())


async def test_a_network_that_left_the_configuration_is_not_checked(day: Day) -> None:
    away = replace(POLYGON, name="gone", tokens=(), start_block=5, rpc_urls=(day.node.url,))
    outcome = await reconciling.reconcile(day.world.db, Networks((away,)))
    assert outcome.count == 0
    assert [(one.network, one.unread) for one in outcome.unread] == [("polygon", "not configured")]


async def test_a_network_that_nothing_was_read_of_has_no_money(database: Database) -> None:
    outcome = await reconciling.reconcile(database, Networks((POLYGON,)))
    assert (outcome.count, outcome.unread, outcome.sessions) == (0, (), 0)


def test_a_token_is_named_as_in_the_book() -> None:
    assert Networks((POLYGON,)).token_id_at("polygon", USDC.address) == "polygon::usdc"
