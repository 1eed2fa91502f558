"""Which operations wait for each other: those of one key under one API key, and no others."""

from __future__ import annotations

import pytest

from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ApiKeyId
from gstable_server.plumbing import idempotency
from gstable_server.plumbing.db import Database, Tx

pytestmark = pytest.mark.anyio

MINE, OTHERS = ApiKeyId("key_mine"), ApiKeyId("key_others")
HASHED = idempotency.request_hash("POST", "/note/create", b"{}")


async def answer(_tx: Tx) -> bytes:
    return b"{}"


@pytest.mark.parametrize(("key_id", "key"), [(MINE, "second"), (OTHERS, "first")])
async def test_another_key_and_anothers_key_do_not_wait(
    database: Database, key_id: ApiKeyId, key: str
) -> None:
    async with database.begin() as running:
        await idempotency.once(running, MINE, "first", HASHED, answer)
        meanwhile = await database.run(idempotency.once, key_id, key, HASHED, answer)
        assert meanwhile == (b"{}", False)


async def test_the_same_key_does(database: Database) -> None:
    async with database.begin() as running:
        await idempotency.once(running, MINE, "first", HASHED, answer)
        with pytest.raises(Refused) as refusal:
            await database.run(idempotency.once, MINE, "first", HASHED, answer)
        assert refusal.value.code is Code.IDEMPOTENCY_IN_PROGRESS
    assert await database.run(idempotency.once, MINE, "first", HASHED, answer) == (b"{}", True)


async def test_an_answer_that_came_in_between_is_not_written_over(database: Database) -> None:
    """The claim reads what was committed when it began, and may get the lock of one that ended
    since: then the answer of the first stays, and the second does nothing."""

    async def meanwhile(_tx: Tx) -> bytes:
        async with database.begin() as other:
            await other.execute(
                "INSERT INTO idempotency_keys (key_id, key, request_hash, body, created_at)"
                " VALUES ($1, 'first', $2, $3, $4)",
                MINE,
                HASHED,
                b"the first",
                other.now,
            )
        return b"the second"

    with pytest.raises(Refused) as refusal:
        await database.run(idempotency.once, MINE, "first", HASHED, meanwhile)
    assert refusal.value.code is Code.IDEMPOTENCY_IN_PROGRESS
    kept = await database.run(idempotency.once, MINE, "first", HASHED, answer)
    assert kept == (b"the first", True)
