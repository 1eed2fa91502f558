from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from gstable_server.kernel.tenant import Access, Mode
from gstable_server.plumbing import idempotency
from gstable_server.plumbing.testing import FakeClock
from tests.unit.api.notes import Api

pytestmark = pytest.mark.anyio

CREATE = "/api/v1/note/create"
BODY = b'{"noteName":"x"}'


async def test_the_same_request_again_gets_the_stored_answer_byte_for_byte(api: Api) -> None:
    first = await api.post(CREATE, BODY, idempotency_key="k1")
    again = await api.post(CREATE, BODY, idempotency_key="k1")
    other_prefix = await api.post("/payment/v1/note/create", BODY, idempotency_key="k1")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content == other_prefix.content
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await api.events() == 1


async def test_api_16_64_at_once_make_one_object(api: Api) -> None:
    answers = await asyncio.gather(
        *(api.post(CREATE, BODY, idempotency_key="race") for _ in range(64))
    )
    codes = Counter(answer.json()["code"] for answer in answers)
    assert set(codes) <= {0, 400103}
    done = [answer for answer in answers if answer.json()["code"] == 0]
    assert len({answer.content for answer in done}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1
    assert await api.events() == 1
    assert (await api.post(CREATE, BODY, idempotency_key="race")).content == done[0].content


async def test_api_16_a_request_that_still_runs_is_told_of(api: Api) -> None:
    async with api.db.read() as tx:
        key_id = await tx.fetchval("SELECT key_id FROM api_keys")
    running, finish = asyncio.Event(), asyncio.Event()

    async def operate(_tx: object) -> bytes:
        running.set()
        await finish.wait()
        return b'{"code":0,"message":"success","data":1}'

    hashed = idempotency.request_hash("POST", "/note/create", BODY)
    slow = asyncio.create_task(api.db.run(idempotency.once, key_id, "slow", hashed, operate))
    await running.wait()
    answer = await api.post(CREATE, BODY, idempotency_key="slow")
    assert answer.status_code == 200
    assert answer.json()["code"] == 400103
    finish.set()
    await slow
    assert (await api.post(CREATE, BODY, idempotency_key="slow")).json()["data"] == 1
    assert await api.events() == 0


async def test_api_17_another_body_or_path_under_the_same_key_is_refused(api: Api) -> None:
    await api.post(CREATE, BODY, idempotency_key="k")
    for path, body in ((CREATE, b'{"noteName":"y"}'), ("/api/v1/note/touch", b"")):
        answer = await api.post(path, body, idempotency_key="k")
        assert answer.json()["code"] == 400102
    assert await api.events() == 1


async def test_api_17_keys_of_another_api_key_and_mode_are_their_own(api: Api) -> None:
    first = await api.post(CREATE, BODY, idempotency_key="k")
    for mode in (Mode.LIVE, Mode.TEST):
        secret = await api.key(Access.WRITE, mode)
        answer = await api.post(
            CREATE, b'{"noteName":"y"}', idempotency_key="k", authorization=f"Bearer {secret}"
        )
        assert answer.json()["code"] == 0
        assert answer.content != first.content
    assert await api.events() == 3


async def test_api_19_an_unusable_key_is_refused(api: Api) -> None:
    for key in (b"", b"x" * 256, b"a\tb", b"a\x7fb", "é".encode(), b"\x01"):
        answer = await api.client.post(
            CREATE,
            content=BODY,
            headers=[
                (b"authorization", f"Bearer {api.secret}".encode()),
                (b"content-type", b"application/json"),
                (b"idempotency-key", key),
            ],
        )
        assert answer.json()["code"] == 400101
        assert "Idempotency-Key must be 1 to 255 printable" in answer.json()["message"]
    assert await api.events() == 0


async def test_api_19_255_characters_are_fine(api: Api) -> None:
    assert (await api.post(CREATE, BODY, idempotency_key="~" * 255)).json()["code"] == 0


async def test_api_20_a_failure_is_not_kept(api: Api) -> None:
    for body, code in ((b"{}", 400101), (b'{"noteName":"refuse"}', 100102),
                       (b'{"noteName":"break"}', 999999), (BODY, 0)):  # fmt: skip
        answer = await api.post(CREATE, body, idempotency_key="k")
        assert answer.json()["code"] == code
        assert "idempotency-replayed" not in answer.headers
    assert await api.events() == 1


async def test_an_answer_is_kept_for_24_hours(api: Api, clock: FakeClock) -> None:
    first = await api.post(CREATE, BODY, idempotency_key="k")
    clock.advance(24 * 3600 - 1)
    assert (await api.post(CREATE, BODY, idempotency_key="k")).content == first.content
    clock.advance(1)
    fresh = await api.post(CREATE, b'{"noteName":"y"}', idempotency_key="k")
    assert fresh.json()["code"] == 0
    assert fresh.content != first.content
    assert (
        await api.post(CREATE, b'{"noteName":"y"}', idempotency_key="k")
    ).content == fresh.content


async def test_purging_forgets_only_what_is_over(api: Api, clock: FakeClock) -> None:
    await api.post(CREATE, BODY, idempotency_key="old")
    clock.advance(24 * 3600)
    await api.post(CREATE, BODY, idempotency_key="new")
    async with api.db.begin() as tx:
        assert await idempotency.purge(tx) == 1
        assert await tx.fetchval("SELECT key FROM idempotency_keys") == "new"
