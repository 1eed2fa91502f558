"""One suite judges a real mail conversation and the capture for development."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gstable_server.plumbing import mail
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
    setattr(server, field_name, "550 5.7.1 we take no letters of yours")
    with pytest.raises(MailDelayed, match="no letters of yours"):
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


@dataclass
class Certificate:
    """One that a certificate authority of the test has signed, in files."""

    authority: Path
    chain: Path
    key: Path

    def served(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        return context


def _certificate(directory: Path, address: str, days: int = 1) -> Certificate:
    """For a server at ``address``, an IP address; ended already where ``days`` is negative."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    key = ec.generate_private_key(ec.SECP256R1())
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    found = Certificate(directory / "authority.pem", directory / "chain.pem", directory / "key.pem")
    for file in (found.authority, found.chain):
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return found


REMOTE = "127.0.0.2"
"""An address of this machine that is none of those which are talked to without TLS."""


@dataclass
class Overheard:
    """Everything that a client sent outside TLS, and the server that it was sent to."""

    server: Server
    clear: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def _listening(certificate: Certificate | None, *, at_once: bool) -> AsyncIterator[Overheard]:
    """A mail server that offers STARTTLS, or TLS from the start, or no TLS (no certificate)."""
    judge = Server()
    heard = Overheard(judge)
    loop = asyncio.get_running_loop()
    context = certificate.served() if certificate else None

    class Listening(SMTP):
        def data_received(self, data: bytes) -> None:
            if not at_once and self._original_transport is None:
                heard.clear.append(data)
            super().data_received(data)

    def new() -> SMTP:
        return Listening(
            judge,
            hostname="mail.example",
            loop=loop,
            tls_context=None if at_once else context,
            authenticator=lambda *_: AuthResult(success=True),
            auth_require_tls=False,
        )

    listening = await loop.create_server(new, REMOTE, 0, ssl=context if at_once else None)
    scheme, port = "smtps" if at_once else "smtp", listening.sockets[0].getsockname()[1]
    judge.mail = SmtpMail(
        f"{scheme}://shop:secret@{REMOTE}:{port}", certificate.authority if certificate else None
    )
    yield heard
    listening.close()
    await listening.wait_closed()


@pytest.mark.parametrize("at_once", [False, True], ids=["starttls", "implicit"])
async def test_a_letter_to_another_machine_is_sent_over_tls(tmp_path: Path, at_once: bool) -> None:
    async with _listening(_certificate(tmp_path, REMOTE), at_once=at_once) as heard:
        await heard.server.mail.send(LETTER)
        assert len(heard.server.taken) == 1
    assert all(line.split()[0] in {b"ehlo", b"STARTTLS"} for line in heard.clear)
    assert bool(heard.clear) != at_once


@pytest.mark.parametrize("at_once", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("wrong", ["address", "ended", "authority"])
async def test_chk_15_a_certificate_that_does_not_fit_is_told_nothing(
    tmp_path: Path, wrong: str, at_once: bool
) -> None:
    certificate = _certificate(
        tmp_path,
        "127.0.0.3" if wrong == "address" else REMOTE,
        days=-1 if wrong == "ended" else 1,
    )
    async with _listening(certificate, at_once=at_once) as heard:
        if wrong == "authority":
            other = tmp_path / "other"
            other.mkdir()
            port = heard.server.mail._port
            scheme = "smtps" if at_once else "smtp"
            heard.server.mail = SmtpMail(
                f"{scheme}://shop:secret@{REMOTE}:{port}", _certificate(other, REMOTE).authority
            )
        with pytest.raises(MailDelayed, match="SSLCertVerificationError"):
            await heard.server.mail.send(LETTER)
        assert heard.server.taken == []
    assert all(line.split()[0] in {b"ehlo", b"STARTTLS"} for line in heard.clear)


async def test_chk_15_without_tls_nothing_is_sent_to_another_machine() -> None:
    async with _listening(None, at_once=False) as heard:
        with pytest.raises(MailDelayed, match="SMTPNotSupportedError"):
            await heard.server.mail.send(LETTER)
    assert {line.split()[0] for line in heard.clear} <= {b"ehlo", b"QUIT"}


async def test_a_server_that_never_comes_to_an_end_is_left(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each answer in time, and yet no end: the thread that talks to it must be free again.
    monkeypatch.setattr(mail, "DIALOGUE_SECONDS", 0.2)
    let_go = asyncio.Event()

    async def handle_DATA(*_: Any) -> str:  # noqa: N802 - the name is aiosmtpd's
        await let_go.wait()
        return "250 taken"

    monkeypatch.setattr(server, "handle_DATA", handle_DATA)
    with pytest.raises(MailDelayed, match="took too long"):
        await server.mail.send(LETTER)
    threads = server.mail._threads
    await asyncio.to_thread(threads.shutdown, wait=True)
    let_go.set()


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://", "smtp:///x"])
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be like smtp://"):
        SmtpMail(url)
