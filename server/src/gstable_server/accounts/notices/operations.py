"""Letters to members: written in the transaction of what they tell of, sent after it.

Where the process may die: before the claim or the hand-over another one sends the letter once the
claim is old; between the mail server's word and our note it is sent again under the same
``Message-ID``, by which mailboxes see that it is one letter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape

import structlog

from gstable_server.accounts.notices import store
from gstable_server.accounts.notices.model import Words
from gstable_server.accounts.notices.store import Claimed
from gstable_server.kernel.ids import NoticeId
from gstable_server.plumbing.db import Database, Tx
from gstable_server.plumbing.mail import (
    DIALOGUE_SECONDS,
    TOGETHER,
    Letter,
    Mail,
    MailDelayed,
    MailRefused,
)

log = structlog.get_logger(__name__)

CLAIM = timedelta(seconds=DIALOGUE_SECONDS + 60)
WAITS_SECONDS = (60, 300, 900, 1_800, *[3_600] * 24)
"""Before each further try, seconds after the one that failed: about a day."""
DUE_TOGETHER = 100
KEPT = timedelta(days=30)


Translate = Callable[[str, str], str]
"""Puts a marked sentence into a language (a tag of BCP 47): what has no translation stays."""


def untranslated(_language: str, text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Postman:
    """Where letters are handed over, the address that they come from, and who puts them into
    words."""

    mail: Mail
    sender: str
    translate: Translate = untranslated
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TOGETHER))


class Said(str):
    """A value in a letter that is a marked sentence itself."""

    __slots__ = ()


async def write(
    tx: Tx, /, emails: Iterable[str], subject: str, body: str, language: str = "", **values: str
) -> None:
    """One letter to each of these addresses, in plain text; lines of ``body`` stay lines.

    ``subject`` and ``body`` are marked sentences, with ``values`` in the places ``%(name)s``. They
    are put into the reader's own language when the letter is sent, into ``language`` for who has
    none, and into English without either.
    """
    said = [name for name, value in values.items() if isinstance(value, Said)]
    plain = {name: str(value) for name, value in values.items()}
    words = Words(subject, body, plain, said, language)
    for email in emails:
        await store.insert(tx, tx.mint(NoticeId), email, words)


async def due(tx: Tx) -> list[NoticeId]:
    """Letters that are to be tried now, and to be tried again."""
    return await store.due(tx, DUE_TOGETHER)


async def purge(tx: Tx) -> None:
    """Forget letters that ended long ago; for the timetable."""
    await store.purge(tx, tx.now - KEPT)


async def send(db: Database, postman: Postman, notice_id: NoticeId) -> None:
    """Try to send a letter, if it is due; where it fails, it is due again later."""
    async with postman.turns:
        claimed = await db.run(store.claim, notice_id, CLAIM)
        if claimed is not None:
            await _send(db, postman, claimed)


async def _send(db: Database, postman: Postman, claimed: Claimed) -> None:
    try:
        await postman.mail.send(_letter(postman, claimed))
    except MailRefused as refused:
        log.warning("notice refused by the mail server", notice_id=claimed.notice_id)
        await db.run(store.end, claimed.notice_id, str(refused))
    except MailDelayed as delayed:
        if claimed.tries > len(WAITS_SECONDS):
            log.error("notice given up", notice_id=claimed.notice_id, reason=str(delayed))
            await db.run(store.end, claimed.notice_id, str(delayed))
            return
        wait = timedelta(seconds=WAITS_SECONDS[claimed.tries - 1])
        await db.run(store.postpone, claimed.notice_id, wait, str(delayed))
    else:
        await db.run(store.end, claimed.notice_id, None)


def _letter(postman: Postman, claimed: Claimed) -> Letter:
    domain = postman.sender.rpartition("@")[2]
    language, words = claimed.language, claimed.words

    def translated(text: str) -> str:
        return postman.translate(language, text)

    subject, body = words.written(translated)
    paragraphs = escape(body).split("\n\n")
    html = "".join(f"<p>{text.replace(chr(10), '<br>')}</p>" for text in paragraphs)
    return Letter(
        message_id=f"{claimed.notice_id}@{domain}",
        to=claimed.email,
        sender=postman.sender,
        sender_name="GStable",
        reply_to=None,
        subject=subject,
        text=body,
        html=f"<!doctype html><html lang={language}><body>{html}</body></html>",
        language=language,
        written_at=claimed.written_at,
    )
