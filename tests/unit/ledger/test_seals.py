"""Transfers are sealed after the commit, and what is tampered with afterwards is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gstable_server.ledger import operations as ledger
from gstable_server.ledger import seals, verification
from gstable_server.ledger.seals import BEFORE_ALL, Seal, seal_from_text
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.testing import FakeClock
from tests.unit.ledger.tampering import AT_A_SEAL, as_owner, new_book, tamper
from tests.unit.ledger.test_posting import seen

pytestmark = pytest.mark.anyio

SIZE = 7


async def test_every_transfer_gets_one_seal_in_the_order_of_booking(database: Database) -> None:
    await database.run(ledger.post, seen("1"))
    assert await database.run(ledger.seal) == 1
    await database.run(ledger.post_all, [seen("2"), seen("3"), seen("2")])
    assert await database.run(ledger.seal) == 2
    assert await database.run(ledger.seal) == 0
    async with database.read() as tx:
        rows = await tx.fetch(
            "SELECT seal_number, cause FROM ledger_seals JOIN ledger_transfers USING (transfer_id)"
            " ORDER BY 1"
        )
    assert [tuple(row) for row in rows] == [(1, "seen:1"), (2, "seen:2"), (3, "seen:3")]
    verdict = await ledger.verify(database)
    assert (verdict.checked, verdict.unsealed, verdict.problems) == (3, 0, ())


async def test_an_empty_book_is_in_order(database: Database) -> None:
    verdict = await ledger.verify(database, BEFORE_ALL)
    assert (verdict.checked, verdict.head, verdict.problems) == (0, BEFORE_ALL, ())


async def test_what_is_committed_late_is_sealed_late(database: Database) -> None:
    async with database.begin() as slow:
        await ledger.post(slow, seen("slow"))
        await database.run(ledger.post, seen("quick"))
        assert await database.run(ledger.seal) == 1
    assert await database.run(ledger.seal) == 1
    assert (await ledger.verify(database)).problems == ()


async def test_what_was_rolled_back_leaves_no_hole(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.begin() as tx:
            await ledger.post(tx, seen("never"))
            1 / 0  # noqa: B018
    await database.run(ledger.post, seen("1"))
    assert await database.run(ledger.seal) == 1
    assert (await ledger.verify(database)).problems == ()


async def test_only_one_process_seals_at_a_time(database: Database) -> None:
    await database.run(ledger.post, seen("1"))
    async with database.begin() as first:
        assert await ledger.seal(first) == 1
        assert await database.run(ledger.seal) == 0
    assert (await ledger.verify(database)).checked == 1


@pytest.mark.parametrize("number", [1, 4, SIZE - 1])
async def test_what_was_tampered_with_is_named(database: Database, number: int) -> None:
    for how in AT_A_SEAL:
        await new_book(database, SIZE)
        await tamper(database, how, number)
        verdict = await ledger.verify(database)
        found = verdict.problems[0]
        assert (found.seal_number, verdict.checked) == (number, number - 1), how
        if "removed" not in how and "exchanged" not in how and how != "cause changed":
            assert found.cause == f"seen:{number}", how
        assert (found.what == "the seal was changed") == (how == "seal changed"), how


async def test_a_changed_last_seal_is_found(database: Database) -> None:
    await new_book(database, SIZE)
    await tamper(database, "seal changed", SIZE)
    assert (await ledger.verify(database)).problems[0].seal_number == SIZE


async def test_what_is_inserted_behind_the_servers_back_is_found(database: Database) -> None:
    await new_book(database, SIZE)
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO ledger_transfers SELECT 'trf_x', 'seen:x', kind, token_id, merchant_id,"
            " mode, session_id, reverses, posted_at FROM ledger_transfers WHERE cause = 'seen:3'"
        )
        await tx.execute(
            "INSERT INTO ledger_entries (transfer_id, account, token_id, amount)"
            " SELECT 'trf_x', account, token_id, amount FROM ledger_entries"
            " JOIN ledger_transfers USING (transfer_id, token_id) WHERE cause = 'seen:3'"
        )
    [problem] = (await ledger.verify(database)).problems
    assert (problem.transfer_id, problem.cause) == ("trf_x", "seen:x")
    assert "not written by the server" in problem.what


async def test_entries_of_no_transfer_are_found(database: Database) -> None:
    await new_book(database, SIZE)
    async with database.begin() as tx:
        await as_owner(tx)
        await tx.execute(
            "INSERT INTO ledger_entries (transfer_id, account, token_id, amount)"
            " VALUES ('trf_x', 'fees', 'base::usdc', 5), ('trf_x', 'payers', 'base::usdc', -5)"
        )
    [problem] = (await ledger.verify(database)).problems
    assert problem.transfer_id == "trf_x"


async def test_rows_cut_off_at_the_end_are_found_by_a_head_that_was_kept(
    database: Database,
) -> None:
    await new_book(database, SIZE)
    head = (await ledger.verify(database)).head
    async with database.begin() as tx:
        await as_owner(tx)
        await tx.execute("DELETE FROM ledger_seals WHERE seal_number > 4")
        await tx.execute(
            "DELETE FROM ledger_transfers WHERE transfer_id NOT IN"
            " (SELECT transfer_id FROM ledger_seals)"
        )
        await tx.execute(
            "DELETE FROM ledger_entries WHERE transfer_id NOT IN"
            " (SELECT transfer_id FROM ledger_transfers)"
        )
    assert (await ledger.verify(database)).problems == ()
    [problem] = (await ledger.verify(database, head)).problems
    assert problem.seal_number == 5
    assert "cut off" in problem.what


async def test_a_chain_that_was_computed_anew_is_found_by_a_head_that_was_kept(
    database: Database,
) -> None:
    await new_book(database, SIZE)
    head = (await ledger.verify(database)).head
    await tamper(database, "amounts changed", 2)
    async with database.begin() as tx:
        await as_owner(tx)
        await tx.execute("DELETE FROM ledger_seals")
        await tx.execute(
            "INSERT INTO ledger_unsealed (transfer_id)"
            " SELECT transfer_id FROM ledger_transfers ORDER BY cause"
        )
    assert await database.run(ledger.seal) == SIZE
    assert (await ledger.verify(database)).problems == ()
    [problem] = (await ledger.verify(database, head)).problems
    assert problem.seal_number == SIZE


async def test_a_head_that_was_kept_fits_also_after_more_was_booked(database: Database) -> None:
    await new_book(database, SIZE)
    head = (await ledger.verify(database)).head
    await database.run(ledger.post, seen("more"))
    await database.run(ledger.seal)
    assert (await ledger.verify(database, head)).problems == ()
    wrong = Seal(head.number, bytes(32))
    assert (await ledger.verify(database, wrong)).problems[0].seal_number == SIZE


async def test_a_missing_worker_is_noticed(database: Database, clock: FakeClock) -> None:
    await database.run(ledger.post, seen("1"))
    verdict = await ledger.verify(database)
    assert (verdict.unsealed, verdict.problems) == (1, ())
    clock.advance(61)
    verdict = await ledger.verify(database)
    [problem] = verdict.problems
    assert problem.cause == "seen:1"
    assert "worker" in problem.what


async def test_what_is_removed_before_it_is_sealed_is_found(database: Database) -> None:
    await database.run(ledger.post, seen("1"))
    async with database.begin() as tx:
        await as_owner(tx)
        await tx.execute("DELETE FROM ledger_entries")
        await tx.execute("DELETE FROM ledger_transfers")
    assert await database.run(ledger.seal) == 0
    [problem] = (await ledger.verify(database)).problems
    assert "removed before" in problem.what


async def test_pages_are_read_one_after_the_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "SEALS_AT_ONCE", 2)
    await new_book(database, SIZE)
    assert (await ledger.verify(database)).checked == SIZE
    await tamper(database, "seal changed", 4)
    problem = (await ledger.verify(database)).problems[0]
    assert (problem.seal_number, problem.what) == (4, "the seal was changed")


def test_no_two_transfers_have_the_same_bytes() -> None:
    entry = seals.EntryRow(1, "payers", "base::usdc", -1)
    row = seals.TransferRow(
        "trf_1", "a", "b", "base::usdc", None, None, None, None,
        seals.EPOCH, (entry,)
    )  # fmt: skip
    others = [
        replace(row, cause="ab", kind=""),
        replace(row, merchant_id=""),
        replace(row, mode="test"),
        replace(row, session_id="test"),
        replace(row, reverses="test"),
        replace(row, posted_at=seals.EPOCH + timedelta(microseconds=1)),
        replace(row, entries=()),
        replace(row, entries=(entry, entry)),
        replace(row, entries=(replace(entry, amount=1),)),
        replace(row, entries=(replace(entry, entry_number=2),)),
        replace(row, entries=(replace(entry, account="payers2"),)),
    ]
    texts = {seals.canonical_bytes(each) for each in (row, *others)}
    assert len(texts) == len(others) + 1


def test_a_head_is_read_as_it_is_written() -> None:
    head = Seal(12, b"\xab" * 32)
    assert seal_from_text(str(head)) == head
    for text in ("12", "x:ab", "12:ab", "-1:" + "ab" * 32, ""):
        with pytest.raises(ValueError):
            seal_from_text(text)
