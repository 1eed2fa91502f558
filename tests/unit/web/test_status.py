"""A session's status in words: for every state, with the money that the chain shows."""

from __future__ import annotations

import pytest
from httpx2 import AsyncClient

from gstable_server.plumbing.testing import FakeClock
from gstable_server.sessions.model import SessionState as S
from tests.unit.web.shop import Merchant, add_block, add_payment, set_state

pytestmark = pytest.mark.anyio


async def status(payer: AsyncClient, session_id: str) -> dict[str, object]:
    answer = await payer.get(f"/pay/{session_id}/status")
    assert answer.status_code == 200
    return dict(answer.json())


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (S.INITIALIZED, "open"),
        (S.PAID, "progress"),
        (S.SETTLING, "progress"),
        (S.SETTLEMENT_PENDING, "progress"),
        (S.COMPLETED, "done"),
        (S.EXPIRED, "closed"),
        (S.CANCELLED, "closed"),
    ],
)
async def test_every_state_has_its_phase_on_the_page_and_in_the_answer(
    payer: AsyncClient, merchant: Merchant, state: S, phase: str
) -> None:
    session = await set_state(merchant.db, await merchant.session(), state)
    shown = await status(payer, session.session_id)
    assert (shown["state"], shown["phase"]) == (state.value, phase)
    page = (await payer.get(f"/pay/{session.session_id}")).text
    assert f'data-phase="{phase}"' in page
    assert str(shown["headline"]) in page
    # Not where the payer may be filling something in.
    assert ('<meta http-equiv="refresh" content="10">' in page) is (phase == "progress")
    assert ('id="payment" hidden' in page) is (phase != "open")


@pytest.mark.parametrize(("tip", "count"), [(None, 1), (99, 1), (100, 1), (101, 2), (200, 3)])
async def test_confirmations_count_the_payments_own_block_first(
    payer: AsyncClient, merchant: Merchant, tip: int | None, count: int
) -> None:
    session = await merchant.session()
    await add_payment(merchant.db, session, block=100)
    await set_state(merchant.db, session, S.PAID)
    if tip is not None:
        await add_block(merchant.db, tip)
    shown = await status(payer, session.session_id)
    said = f"Confirmation {count} of 3"
    assert shown["confirmations"] == {"count": count, "needed": 3, "text": said}
    assert shown["receipt"] == {
        "text": "100.00 USDC on Polygon (local)",
        "txHash": "0x" + "ab" * 32,
    }


async def test_a_payment_on_a_network_that_was_removed_is_still_shown(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    await add_payment(merchant.db, session, network="gone")
    await set_state(merchant.db, session, S.PAID)
    shown = await status(payer, session.session_id)
    assert shown["confirmations"] is None
    assert shown["receipt"] == {"text": "100.00 USDC on gone", "txHash": "0x" + "ab" * 32}


async def test_chk_10_time_is_the_servers(
    payer: AsyncClient, merchant: Merchant, clock: FakeClock
) -> None:
    session = await merchant.session()
    clock.advance(1799)
    shown = await status(payer, session.session_id)
    assert shown["phase"] == "open"
    assert int(str(shown["expiresAt"])) - int(str(shown["now"])) == 1
    clock.advance(1)
    # The session is still `initialized`, because nobody has swept it yet.
    shown = await status(payer, session.session_id)
    assert (shown["state"], shown["phase"]) == ("initialized", "closed")


@pytest.mark.parametrize(
    ("flags", "state", "word"),
    [
        (("late",), S.EXPIRED, "after the time was over"),
        (("late", "duplicate"), S.CANCELLED, "after the time was over"),
        (("under",), S.INITIALIZED, "less than is due"),
        (("duplicate",), S.COMPLETED, "a second time"),
        (("over",), S.COMPLETED, "more than was due"),
        (("wrong_recipient",), S.INITIALIZED, "not as agreed"),
        (("late", "accepted"), S.COMPLETED, "accepted it"),
    ],
)
async def test_unusual_money_is_told(
    payer: AsyncClient, merchant: Merchant, flags: tuple[str, ...], state: S, word: str
) -> None:
    session = await merchant.session()
    await add_payment(merchant.db, session, flags=flags, pays=False, given=(10_500_000, 0))
    await set_state(merchant.db, session, state)
    shown = await status(payer, session.session_id)
    notices = shown["notices"]
    assert isinstance(notices, list)
    assert len(notices) == 1
    assert notices[0].startswith("10.50 USDC arrived")
    assert word in notices[0]
    # The router takes one payment a session, so there is nothing to pay with any more.
    assert shown["phase"] != "open"


async def test_success_shows_the_links_words_and_the_way_back(
    payer: AsyncClient, merchant: Merchant
) -> None:
    link = await merchant.link(
        customSuccessText="Your <b>book</b> is on its way.",
        successUrl="https://shop.example.com/thanks?orderId=7",
    )
    session = await merchant.link_session(link)
    assert (await status(payer, session.session_id))["redirectUrl"] is None
    await set_state(merchant.db, session, S.COMPLETED)
    shown = await status(payer, session.session_id)
    assert shown["detail"] == "Your <b>book</b> is on its way."
    assert shown["redirectUrl"] == (
        f"https://shop.example.com/thanks?orderId=7&sessionId={session.session_id}&status=completed"
    )
    page = (await payer.get(f"/pay/{session.session_id}")).text
    assert "Your &lt;b&gt;book&lt;/b&gt; is on its way." in page
    assert 'href="https://shop.example.com/thanks?orderId=7&amp;sessionId=' in page


async def test_an_unknown_session_is_not_found(payer: AsyncClient) -> None:
    for path in ("/pay/sess_none", "/pay/sess_none/status", "/pay/xyz", "/pay/xyz/status"):
        answer = await payer.get(path)
        assert answer.status_code == 404
        assert "no payment at this address" in answer.text
