"""The log of what people do: in its chain, append only, and every tampering found."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import BEFORE_ALL, Head, Note, head_from_text
from gstable_server.accounts.audit.operations import Filter
from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import By, Member
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def owner(database: Database) -> Member:
    return await database.run(
        members.register_owner, "Example Ltd", "owner@example.com", "correct horse battery"
    )


async def _record(db: Database, owner: Member, count: int) -> None:
    for number in range(count):
        note = Note("key.created", f"key_{number}", {"name": "Old"}, {"name": f"Key {number}"})
        actor = By(owner, "192.0.2.1").actor
        await db.run(audit.record, actor, Action.KEYS_CHANGE, note, "test")


async def _tamper(db: Database, sql: str) -> None:
    async with db.begin() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        await tx.execute(sql)


async def test_an_untouched_log_fits_and_its_head_can_be_kept(
    database: Database, owner: Member
) -> None:
    await _record(database, owner, 4)
    verdict = await audit.verify(database)
    assert (verdict.checked, verdict.problem) == (5, "")
    kept = head_from_text(str(verdict.head))
    await _record(database, owner, 1)
    assert (await audit.verify(database, kept)).problem == ""
    assert (await audit.verify(database, BEFORE_ALL)).problem == ""


async def test_acts_at_once_are_chained_one_after_the_other(
    database: Database, owner: Member
) -> None:
    await asyncio.gather(*(_record(database, owner, 3) for _ in range(5)))
    verdict = await audit.verify(database)
    assert (verdict.checked, verdict.problem) == (16, "")


async def test_an_act_that_fails_leaves_no_entry(database: Database, owner: Member) -> None:
    note = Note("key.created", "key_1")

    async def fail() -> None:
        async with database.begin() as tx:
            await audit.record(tx, By(owner, "").actor, Action.KEYS_CHANGE, note)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert (await audit.verify(database)).checked == 1


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE audit_entries SET email = 'x@example.com' WHERE number = 3", "entry 3 is not"),
        ("UPDATE audit_entries SET address = '192.0.2.9' WHERE number = 3", "entry 3 is not"),
        ("UPDATE audit_entries SET action = 'self' WHERE number = 3", "entry 3 is not"),
        ("UPDATE audit_entries SET mode = 'live' WHERE number = 3", "entry 3 is not"),
        ("UPDATE audit_entries SET what = 'key.revoked' WHERE number = 3", "entry 3 is not"),
        ("UPDATE audit_entries SET about = 'key_9' WHERE number = 3", "entry 3 is not"),
        ("UPDATE audit_entries SET before = '{}' WHERE number = 3", "entry 3 is not"),
        ('UPDATE audit_entries SET after = \'{"name": "x"}\' WHERE number = 3', "entry 3 is not"),
        ("UPDATE audit_entries SET at = at + '1 us' WHERE number = 3", "entry 3 is not"),
        ("UPDATE audit_entries SET hash = sha256('x') WHERE number = 3", "entry 3 is not"),
        ("DELETE FROM audit_entries WHERE number = 3", "entry 3 was removed"),
        (
            "UPDATE audit_entries SET number = CASE number WHEN 3 THEN 14 ELSE 13 END"
            " WHERE number IN (3, 4); UPDATE audit_entries SET number = number - 10"
            " WHERE number > 10",
            "entry 3 is not",
        ),
    ],
)
async def test_every_tampering_is_found(
    database: Database, owner: Member, sql: str, problem: str
) -> None:
    await _record(database, owner, 4)
    await _tamper(database, sql)
    verdict = await audit.verify(database)
    assert verdict.checked == 2
    assert verdict.problem.startswith(problem)


async def test_a_cut_and_a_rewritten_log_are_found_by_a_kept_head(
    database: Database, owner: Member
) -> None:
    await _record(database, owner, 4)
    kept = (await audit.verify(database)).head
    await _tamper(database, "DELETE FROM audit_entries WHERE number > 3")
    assert (await audit.verify(database)).problem == ""
    assert "was cut off: it has 3" in (await audit.verify(database, kept)).problem
    other = Head(3, bytes(32))
    assert "entry 3 had another hash" in (await audit.verify(database, other)).problem


async def test_the_database_refuses_to_change_the_log(database: Database, owner: Member) -> None:
    for sql in (
        "UPDATE audit_entries SET email = 'x'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
    ):
        with pytest.raises(asyncpg.RestrictViolationError, match="append only"):
            async with database.begin() as tx:
                await tx.execute(sql)


async def test_a_merchant_sees_its_own_log_by_filters(database: Database, owner: Member) -> None:
    await _record(database, owner, 3)
    async with database.read() as tx:
        keys = await audit.entries(tx, owner.merchant_id, Filter(action="keys.change"))
        assert [one.act.note.about for one in keys] == ["key_2", "key_1", "key_0"]
        one = await audit.entries(tx, owner.merchant_id, Filter(about="key_1"))
        assert [one.act.note.about for one in one] == ["key_1"]
        older = await audit.entries(tx, owner.merchant_id, Filter(before=keys[0].head.number))
        assert len(older) == 3
        mine = await audit.entries(tx, owner.merchant_id, Filter(email="OWNER@example.com"))
        assert len(mine) == 4
        assert await audit.entries(tx, owner.merchant_id, Filter(email="x@example.com")) == []
        other = replace(owner, merchant_id=type(owner.merchant_id)("f" * 64))
        assert await audit.entries(tx, other.merchant_id, Filter()) == []


async def test_what_a_person_typed_is_cut_and_can_always_be_stored(
    database: Database, owner: Member
) -> None:
    note = Note("branding.changed", "x\0y", after={"name": "é" * 1000})
    await database.run(audit.record, By(owner, "").actor, Action.BRANDING_CHANGE, note)
    async with database.read() as tx:
        [newest, _] = await audit.entries(tx, owner.merchant_id, Filter())
    assert newest.act.note.about == "xy"
    assert newest.act.note.after["name"] == "é" * 299 + "…"
    assert (await audit.verify(database)).problem == ""


def test_a_head_that_is_none_is_refused() -> None:
    for text in ("", "1", "1:00", "x:" + "0" * 64, "1:" + "g" * 64):
        with pytest.raises(ValueError, match="NUMBER:HASH"):
            head_from_text(text)
