"""The one letter of a session: sent once, in the payer's language, and with nothing dangerous."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gstable_server import flow
from gstable_server.accounts.branding import operations as brandings
from gstable_server.kernel.ids import SessionId
from gstable_server.plumbing import metrics
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.mail import DIALOGUE_SECONDS, Letter, MailDelayed, MailRefused
from gstable_server.plumbing.outbox import relay_once
from gstable_server.plumbing.testing import FakeClock, FakeHttp
from gstable_server.receipts import mailing
from gstable_server.receipts import operations as receipts
from gstable_server.receipts.mailing import CLAIM, WAITS_SECONDS, Mailing
from gstable_server.sessions import operations as sessions
from gstable_server.sessions.model import Session, SessionState
from gstable_server.web.base import Pages
from gstable_server.web.receipts.letter import Composer
from tests.unit.web.shop import PUBLIC_URL, Merchant, add_payment, new_desk, set_state

pytestmark = pytest.mark.anyio

RUNBOOK = Path(__file__).parents[3] / "docs/runbooks/receipts-late.md"
SENDER = "receipts@pay.example"
HOSTILE = 'Tea at https://evil.example/x?<a href="//evil.example">here</a>\r\nBcc: all@evil.example'


@dataclass
class Post:
    """Takes letters, unless it is told to fail."""

    letters: list[Letter] = field(default_factory=list)
    trouble: Exception | None = None

    async def send(self, letter: Letter) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.letters.append(letter)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    return await Merchant.open(database, new_desk())


@pytest.fixture
def letters(post: Post) -> Mailing:
    return Mailing(post, Composer(Pages.load(), PUBLIC_URL, SENDER))


async def _completed(
    merchant: Merchant, email: str | None = "payer@example.com", name: str = "Tea"
) -> Session:
    """A session that was just completed, as its event tells."""
    line = {
        "itemType": "one_time",
        "quantity": 1,
        "unitPrice": 100_000_000,
        "productData": {"productName": name},
    }
    session = await merchant.session(lineItems=[line])
    await add_payment(merchant.db, session, tx_hash=session.session_key)
    async with merchant.db.begin() as tx:
        await tx.execute(
            "UPDATE sessions SET payer_email = $2 WHERE session_id = $1", session.session_id, email
        )
    await set_state(merchant.db, session, SessionState.COMPLETED)
    async with merchant.db.begin() as tx:
        view = await sessions.view(tx, session.session_id)
        sessions.tell(tx, merchant.desk, "session.completed", view)
    return session


async def _relay(merchant: Merchant, letters: Mailing | None) -> int:
    """Handle what was told; how many letters are queued then."""
    world = flow.World(db=merchant.db, desk=merchant.desk, http=FakeHttp(), mailing=letters)

    async def handle(tx: Tx, batch: flow.Batch) -> None:
        await flow.handle(tx, world, batch)

    while await relay_once(merchant.db, handle):
        pass
    async with merchant.db.read() as tx:
        count: int = await tx.fetchval(
            "SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", flow.SEND_RECEIPT
        )
    return count


async def test_a_payer_with_an_address_gets_one_letter(
    merchant: Merchant, letters: Mailing, post: Post
) -> None:
    session = await _completed(merchant)
    assert await _relay(merchant, letters) == 1
    for _ in range(2):
        await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    [letter] = post.letters
    assert (letter.to, letter.sender) == ("payer@example.com", SENDER)
    assert letter.message_id == f"receipt.{session.session_id}@pay.example"
    assert letter.subject == "Receipt from Blue Door Books"
    assert f"{PUBLIC_URL}/receipt/{session.session_id}" in letter.text

    # A reorganisation may complete it again: that is no second letter.
    async with merchant.db.begin() as tx:
        sessions.tell(
            tx, merchant.desk, "session.completed", await sessions.view(tx, session.session_id)
        )
    assert await _relay(merchant, letters) == 1


async def test_nobody_is_written_to_without_an_address_or_a_mail_server(
    merchant: Merchant, letters: Mailing
) -> None:
    await _completed(merchant, email=None)
    assert await _relay(merchant, letters) == 0
    await _completed(merchant)
    assert await _relay(merchant, None) == 0


async def _due(merchant: Merchant) -> list[str]:
    async with merchant.db.read() as tx:
        return [str(one) for one in await mailing.due(tx)]


async def test_a_mail_server_that_is_away_for_a_night_loses_no_letter(
    merchant: Merchant, letters: Mailing, post: Post, clock: FakeClock
) -> None:
    session = await _completed(merchant)
    await _relay(merchant, letters)
    post.trouble = MailDelayed("the mail server is away")
    began = clock.now()
    while clock.now() < began + timedelta(hours=14):  # bounded: the clock goes on
        clock.set(clock.now() + timedelta(minutes=1))
        for due in await _due(merchant):
            await mailing.send(merchant.db, merchant.desk, letters, SessionId(due))
    assert post.letters == []
    post.trouble = None
    clock.set(clock.now() + timedelta(hours=3))
    assert await _due(merchant) == [session.session_id]
    await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    assert len(post.letters) == 1
    assert await _due(merchant) == []


async def test_a_letter_is_given_up_after_days_where_operators_see_it(
    merchant: Merchant, letters: Mailing, post: Post, clock: FakeClock
) -> None:
    session = await _completed(merchant)
    await _relay(merchant, letters)
    post.trouble = MailDelayed("the mail server is away")
    before, began = _given_up(), clock.now()
    for tries in itertools.count(1):
        await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
        wait = mailing.wait_after(session.session_id, tries)
        if wait is None:
            break
        # Not before its time, whoever asks for it.
        assert await _due(merchant) == []
        assert _given_up() == before
        clock.set(clock.now() + wait)
        assert await _due(merchant) == [session.session_id]
    assert timedelta(hours=48) <= clock.now() - began <= timedelta(days=4)
    assert _given_up() == before + 1
    async with merchant.db.read() as tx:
        assert await receipts.backlog(tx, 10) == (0, None)
        said = await tx.fetchval(
            "SELECT trouble FROM receipt_letters WHERE given_up_at = $1", tx.now
        )
    assert said == "the mail server is away"


def _given_up() -> float:
    value = metrics.REGISTRY.get_sample_value("gstable_receipts_given_up_total")
    assert value is not None
    return value


def test_waits_are_spread_and_never_too_short() -> None:
    sessions_ = [SessionId(f"sess_{number}") for number in range(500)]
    firsts = {mailing.wait_after(one, 1) for one in sessions_}
    assert len(firsts) > 100
    for session_id in sessions_:
        waits = [mailing.wait_after(session_id, tries + 1) for tries in range(len(WAITS_SECONDS))]
        assert sum((wait for wait in waits if wait), timedelta()) >= timedelta(hours=48)
    # One that a slow mail server is still listening to is nobody else's.
    assert timedelta(seconds=DIALOGUE_SECONDS) < CLAIM


async def test_the_timetable_sends_what_is_due(
    merchant: Merchant, letters: Mailing, clock: FakeClock
) -> None:
    await _completed(merchant)
    assert await _relay(merchant, letters) == 1
    world = flow.World(db=merchant.db, desk=merchant.desk, http=FakeHttp(), mailing=letters)
    [appointment] = [one for one in flow.TIMETABLE if one.name == "send receipts"]
    # One job at a time; a new one where the last is gone, but none without a mail server.
    for mail, statement, jobs in (
        (letters, "SELECT", 1),
        (None, "DELETE FROM pgqueuer", 0),
        (letters, "SELECT", 1),
        (letters, "UPDATE pgqueuer SET status = 'failed'", 2),
    ):
        await merchant.db.run(_run, statement)
        await merchant.db.run(appointment.keep, replace(world, mailing=mail))
        assert await _relay(merchant, letters) == jobs


async def _run(tx: Tx, statement: str) -> None:
    await tx.execute(statement)


async def test_an_operator_hurries_no_letter_that_is_being_sent(merchant: Merchant) -> None:
    """It would be sent twice."""
    [hurry] = re.findall("`(UPDATE [^`]+)`", RUNBOOK.read_text())
    sent, waits = await merchant.session(), await merchant.session()
    async with merchant.db.begin() as tx:
        for session, wait in ((sent, CLAIM), (waits, timedelta(hours=1))):
            await tx.execute(
                "INSERT INTO receipt_letters (session_id, next_at) VALUES ($1, now() + $2)",
                session.session_id,
                wait,
            )
        hurried = await tx.fetch(f"{hurry} RETURNING session_id")
    assert [row["session_id"] for row in hurried] == [waits.session_id]


async def test_what_the_mail_server_refuses_is_not_tried_again(
    merchant: Merchant, letters: Mailing, post: Post
) -> None:
    session = await _completed(merchant)
    await _relay(merchant, letters)
    post.trouble = MailRefused("550 no such mailbox")
    await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    post.trouble = None
    await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    assert post.letters == []


async def test_a_letter_that_a_dead_process_held_is_sent_by_another(
    merchant: Merchant, letters: Mailing, post: Post, clock: FakeClock
) -> None:
    session = await _completed(merchant)
    await _relay(merchant, letters)
    post.trouble = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    post.trouble = None
    # Nobody can know yet that it is dead.
    await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    assert (post.letters, await _due(merchant)) == ([], [])
    clock.set(clock.now() + CLAIM + timedelta(seconds=1))
    assert await _due(merchant) == [session.session_id]
    await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    assert len(post.letters) == 1


async def test_a_letter_is_in_the_language_of_the_page_else_the_merchants(
    merchant: Merchant, letters: Mailing
) -> None:
    session = await _completed(merchant)
    async with merchant.db.read() as tx:
        held = await receipts.receipt(tx, merchant.desk, session.session_id)
    assert held is not None
    german = replace(held, merchant=replace(held.merchant, default_language="de"))
    for receipt, language, written in (
        (held, None, "en"),
        (held, "ar", "ar"),
        (german, None, "de"),
        (german, "hi", "hi"),
        (german, "xx", "de"),
    ):
        assert letters.compose(receipt, "payer@example.com", language).language == written


async def test_the_language_of_the_page_is_remembered(
    merchant: Merchant, letters: Mailing, post: Post
) -> None:
    session = await _completed(merchant)
    for tag in ("en", "ar"):
        await merchant.db.run(receipts.note_language, session.session_id, tag)
    assert await _relay(merchant, letters) == 1
    await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    assert [letter.language for letter in post.letters] == ["ar"]
    assert 'dir="rtl"' in post.letters[0].html


class _Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in {"href", "src"}]


async def test_chk_15_a_letter_leads_to_this_server_only(
    merchant: Merchant, letters: Mailing, post: Post
) -> None:
    entries = {
        "displayName": "evil.example <u>Books</u>",
        "supportUrl": "https://elsewhere.example/help",
        "supportEmail": "help@books.example",
    }
    await merchant.db.run(brandings.save, merchant.tenant.merchant_id, entries, actor=SENDER)
    session = await _completed(merchant, name=HOSTILE)
    await _relay(merchant, letters)
    await mailing.send(merchant.db, merchant.desk, letters, session.session_id)
    [letter] = post.letters
    page = _Links(letter.html)
    address = f"{PUBLIC_URL}/receipt/{session.session_id}?lang=en"
    assert page.found == [address]
    assert page.tags.isdisjoint({"u", "script", "img"})
    assert "&lt;a href=" in letter.html
    # Mail programs make links of what looks like one.
    for text in (letter.text, letter.html):
        assert re.findall(r"https?://[^\s\"<]+", text) == [
            *[address] * (1 if text is letter.text else 2)
        ]
        assert "evil.example" not in text
        assert "Bcc" in text
    assert letter.reply_to == "help@books.example"
    assert "\n" not in letter.subject
