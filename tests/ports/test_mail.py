"""One suite judges a real mail conversation and the capture for development."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Protocol, cast

import pytest
from aiosmtpd.smtp import SMTP, Envelope

from gstable_server.plumbing.mail import (
    FileMail,
    Letter,
    Mail,
    MailDelayed,
    MailRefused,
    SmtpMail,
)

pytestmark = pytest.mark.anyio

LETTER = Letter(
    message_id="receipt.sess_1@pay.example",
    to="payer@example.com",
    sender="receipts@pay.example",
    sender_name="Blue Door Books",
    reply_to="help@books.example",
    subject="Receipt from Blue Door Books",
    text="Größe\n.\nعربي\n",
    html="<p>Größe</p>",
    language="de",
    written_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
)
HOSTILE = (
    'Books\r\nBcc: everybody@example.com\r\n\r\n<script>alert(1)</script>\x00, "x" <a@b.example>'
)


class Harness(Protocol):
    """Mail, and what arrived by it."""

    @property
    def mail(self) -> Mail: ...

    def arrived(self) -> list[bytes]: ...


@dataclass
class Server:
    """A real SMTP server; ``answer`` is what it says to the letter, ``to_reader`` to its reader's
    name, and ``goodbye`` at the end."""

    answer: str = "250 taken"
    to_reader: str = "250 known"
    goodbye: str = "221 bye"
    taken: list[bytes] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    mail: SmtpMail = field(init=False)

    def arrived(self) -> list[bytes]:
        return self.taken

    # The names are aiosmtpd's.
    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self.to_reader.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_reader

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.taken.append(cast("bytes", envelope.content))
            self.readers += envelope.rcpt_tos
        return self.answer

    async def handle_QUIT(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
        return self.goodbye


@dataclass
class Directory:
    """The capture."""

    path: Path

    @property
    def mail(self) -> FileMail:
        return FileMail(self.path)

    def arrived(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted(self.path.glob("*.eml"))]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    judge = Server()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(judge, hostname="mail.example", loop=loop), "127.0.0.1", 0
    )
    judge.mail = SmtpMail(f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    yield judge
    listening.close()
    await listening.wait_closed()


@pytest.fixture(params=["smtp", "directory"])
def harness(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Harness:
    return server if request.param == "smtp" else Directory(tmp_path / "mail")


def _read(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=default)


def _part(letter: EmailMessage, kind: str) -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


async def test_a_letter_arrives_as_it_was_written(harness: Harness) -> None:
    await harness.mail.send(LETTER)
    [raw] = harness.arrived()
    letter = _read(raw)
    assert letter["from"] == "Blue Door Books <receipts@pay.example>"
    assert letter["to"] == "payer@example.com"
    assert letter["reply-to"] == "help@books.example"
    assert letter["subject"] == LETTER.subject
    assert letter["message-id"] == "<receipt.sess_1@pay.example>"
    assert letter["auto-submitted"] == "auto-generated"
    assert _part(letter, "plain") == LETTER.text
    assert _part(letter, "html").strip() == LETTER.html
    assert max(map(len, raw.splitlines())) <= 998


async def test_chk_15_no_name_becomes_a_header(harness: Harness) -> None:
    await harness.mail.send(replace(LETTER, sender_name=HOSTILE, subject=HOSTILE))
    [raw] = harness.arrived()
    letter = _read(raw)
    assert set(letter.keys()) == {
        "From",
        "To",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "Content-Language",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    [sender] = letter["from"].addresses
    assert (sender.addr_spec, len(letter["to"].addresses)) == ("receipts@pay.example", 1)
    assert "\n" not in letter["subject"]


async def test_chk_15_what_is_not_one_address_is_never_written_to(harness: Harness) -> None:
    for address in (
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "a..b@c.example",
        "a\x01b@c.example",
        "=?utf-8?q?a?=@b.example",
        "a@b..example",
    ):
        for letter in (replace(LETTER, to=address), replace(LETTER, reply_to=address)):
            with pytest.raises(MailRefused, match="no address"):
                await harness.mail.send(letter)
    assert harness.arrived() == []


async def test_the_same_letter_has_the_same_name_at_every_try(harness: Harness) -> None:
    for _ in range(2):
        await harness.mail.send(LETTER)
    assert {_read(raw)["message-id"] for raw in harness.arrived()} == {
        "<receipt.sess_1@pay.example>"
    }


async def test_the_reader_is_named_to_the_server_too(server: Server) -> None:
    await server.mail.send(LETTER)
    assert server.readers == ["payer@example.com"]


@pytest.mark.parametrize("field_name", ["answer", "to_reader"])
async def test_a_server_that_never_will_is_told_from_one_that_cannot_now(
    server: Server, field_name: str
) -> None:
    setattr(server, field_name, "550 no such mailbox")
    with pytest.raises(MailRefused, match="550 no such mailbox"):
        await server.mail.send(LETTER)
    setattr(server, field_name, "451 come back later")
    with pytest.raises(MailDelayed):
        await server.mail.send(LETTER)
    assert server.taken == []


async def test_a_letter_that_was_taken_is_not_sent_again_for_a_bad_goodbye(server: Server) -> None:
    server.goodbye = "421 closing down"
    await server.mail.send(LETTER)
    assert len(server.taken) == 1


async def test_a_server_that_is_away_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(MailDelayed):
        await SmtpMail("smtp://127.0.0.1:1").send(LETTER)
    (tmp_path / "file").write_text("")
    with pytest.raises(MailDelayed):
        await FileMail(tmp_path / "file").send(LETTER)


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://", "smtp:///x"])
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be like smtp://"):
        SmtpMail(url)
