"""Sending e-mail: a narrow port, over SMTP in earnest and into a directory for development.

One suite (``tests/ports/test_mail.py``) judges both. What can stand in a header is decided here
(RFC 5322): a name with a line break in it must not become a header of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from gstable_server.kernel.errors import Passing
from gstable_server.kernel.urls import LOOPBACK_HOSTS

SECONDS = 20.0
"""For each answer of the mail server."""
DIALOGUE_SECONDS = 180.0
"""For the whole conversation, however many answers it has."""
TOGETHER = 8
"""Conversations at once."""
PORTS = {"smtp": 587, "smtps": 465}
NAME_LENGTH_MAX = 100
SPECIALS = frozenset('"(),:;<>@[\\]')
"""What means something in an address (RFC 5322, section 3.2.3), but for the point."""


class MailRefused(Exception):
    """The mail server will never take this letter: there is no such mailbox, for example."""


class MailDelayed(Passing):
    """The letter could not be handed over now, or nobody knows whether it was."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One e-mail to one reader, as text and as HTML that says the same.

    ``sender_name`` and ``subject`` may be anything that a person typed. ``message_id`` is the same
    at every try, ``name@domain``: mailboxes show a letter that came twice once.
    """

    message_id: str
    to: str
    sender: str
    sender_name: str
    reply_to: str | None
    subject: str
    text: str
    html: str
    language: str
    written_at: datetime


class Mail(Protocol):
    """Where letters are handed over."""

    async def send(self, letter: Letter) -> None:
        """Hand it over. Raises ``MailRefused``, or ``MailDelayed`` where another try may help; if
        the connection broke off at the end, the other side may have it all the same."""


def one_line(text: str) -> str:
    """``text`` as it can stand in a header: no line breaks, no control characters, not endless."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:NAME_LENGTH_MAX]


def message(letter: Letter) -> EmailMessage:
    """The letter as MIME (RFC 2045); everything that is not ASCII is encoded."""
    composed = EmailMessage(policy=SMTP)
    composed["From"] = _address(letter.sender, letter.sender_name)
    composed["To"] = _address(letter.to)
    if letter.reply_to:
        composed["Reply-To"] = _address(letter.reply_to)
    composed["Subject"] = one_line(letter.subject)
    composed["Date"] = format_datetime(letter.written_at)
    composed["Message-ID"] = f"<{letter.message_id}>"
    # Nobody's absence is to be answered to a machine (RFC 3834).
    composed["Auto-Submitted"] = "auto-generated"
    composed.set_content(letter.text, cte="base64")
    composed.add_alternative(letter.html, subtype="html", cte="base64")
    # Content headers before the content would be taken away again.
    composed["Content-Language"] = letter.language
    return composed


def _address(address: str, name: str = "") -> Address:
    # Python's folding of long headers loses the quotes around a name, so that a name must be safe
    # without them.
    safe = "".join(letter for letter in one_line(name) if letter not in SPECIALS)
    try:
        return Address(display_name=safe, addr_spec=address)
    except (MessageError, ValueError) as problem:
        raise MailRefused(f"{one_line(address)!r} is no address: {problem}"[:300]) from None


class SmtpMail:
    """Over SMTP (RFC 5321), with TLS: ``smtps://`` from the start, ``smtp://`` by STARTTLS, without
    which only this machine itself is talked to. Raises ``ValueError`` for another URL.

    ``trusted`` are certificates to trust instead of the system's."""

    def __init__(self, url: str, trusted: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("must be like smtp://user:password@host:587 or smtps://host")
        self._host = parts.hostname
        self._port = parts.port or PORTS[parts.scheme]
        self._at_once = parts.scheme == "smtps"
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._context = ssl.create_default_context(cafile=trusted)
        # Its own: a mail server that hangs must not take the threads of other work.
        self._threads = ThreadPoolExecutor(TOGETHER, thread_name_prefix="mail")

    async def send(self, letter: Letter) -> None:
        line = _Line()
        try:
            async with asyncio.timeout(DIALOGUE_SECONDS):
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, self._send, letter, line)
        except TimeoutError:
            raise MailDelayed("the mail server took too long") from None
        finally:
            line.hang_up()

    def _send(self, letter: Letter, line: _Line) -> None:
        composed = message(letter)
        try:
            server = self._connected(line)
            try:
                server.send_message(composed, letter.sender, [letter.to])
            finally:
                _part(server)
        except smtplib.SMTPRecipientsRefused as failure:
            [(code, said)] = failure.recipients.values()
            raise _trouble(code, said) from failure
        except smtplib.SMTPDataError as failure:
            raise _trouble(failure.smtp_code, failure.smtp_error) from failure
        except (smtplib.SMTPException, OSError) as failure:
            raise MailDelayed(f"{type(failure).__name__}: {failure}"[:300]) from failure

    def _connected(self, line: _Line) -> smtplib.SMTP:
        if self._at_once:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=SECONDS, context=self._context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=SECONDS)
        try:
            line.hold(server)
            server.ehlo()
            if not self._at_once and self._host not in LOOPBACK_HOSTS:
                server.starttls(context=self._context)
                line.hold(server)
                server.ehlo()
            if self._user:
                server.login(self._user, self._password)
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
        return server


class _Line:
    """The connection of one conversation, which its thread holds and the event loop may end: a
    thread cannot be stopped, but what it reads from can be closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: smtplib.SMTP | None = None
        self._is_over = False

    def hold(self, server: smtplib.SMTP) -> None:
        """Raises ``TimeoutError`` when the time is over already."""
        with self._lock:
            self._server = server
            if self._is_over:
                raise TimeoutError("the mail server took too long")

    def hang_up(self) -> None:
        with self._lock:
            self._is_over = True
            held = self._server.sock if self._server else None
            if held is not None:
                with contextlib.suppress(OSError):  # it is closed already
                    # Not `SSLSocket.shutdown`, which would take the cipher from a thread that
                    # still writes: what it then wrote would go out in clear.
                    socket.socket.shutdown(held, socket.SHUT_RDWR)


def _part(server: smtplib.SMTP) -> None:
    """Whatever it says to the goodbye, the letter was taken or refused before: with an error here
    a letter that arrived would be sent again."""
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        server.close()


def _trouble(code: int, said: bytes | str) -> MailRefused | MailDelayed:
    """5xx is for good, 4xx for now (RFC 5321, section 4.2.1); but what is refused by policy (RFC
    3463, X.7) says nothing of the mailbox: it may be our own settings, for an operator to mend."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    reason = f"{code} {one_line(text)}"
    is_policy = text.startswith("5.7.")
    return MailRefused(reason) if code >= 500 and not is_policy else MailDelayed(reason)


class FileMail:
    """Into a directory, for development: one ``.eml`` file a letter, for any mail program to open.
    A letter that is sent again replaces itself."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, letter: Letter) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            name = "".join(one if one.isalnum() else "-" for one in letter.message_id)
            partial = self._directory / f"{name}.partial"
            partial.write_bytes(bytes(message(letter)))
            partial.replace(self._directory / f"{name}.eml")
        except OSError as failure:
            raise MailDelayed(str(failure)) from failure
