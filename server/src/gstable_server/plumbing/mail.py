"""Sending e-mail: a narrow port, over SMTP in earnest and into a directory for development.

One suite (``tests/ports/test_mail.py``) judges both. What can stand in a header is decided here
(RFC 5322): a name with a line break in it must not become a header of its own.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
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

SECONDS = 20.0
"""For each answer of the mail server."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
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
    which only this machine itself is talked to. Raises ``ValueError`` for another URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("must be like smtp://user:password@host:587 or smtps://host")
        self._host = parts.hostname
        self._port = parts.port or PORTS[parts.scheme]
        self._at_once = parts.scheme == "smtps"
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")

    async def send(self, letter: Letter) -> None:
        await asyncio.to_thread(self._send, letter)

    def _send(self, letter: Letter) -> None:
        composed = message(letter)
        try:
            server = self._connected()
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

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._at_once:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=SECONDS)
        try:
            server.ehlo()
            if not self._at_once and self._host not in LOOPBACK:
                server.starttls(context=context)
                server.ehlo()
            if self._user:
                server.login(self._user, self._password)
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
        return server


def _part(server: smtplib.SMTP) -> None:
    """Whatever it says to the goodbye, the letter was taken or refused before: with an error here
    a letter that arrived would be sent again."""
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        server.close()


def _trouble(code: int, said: bytes | str) -> MailRefused | MailDelayed:
    """5xx is for good, 4xx for now (RFC 5321, section 4.2.1)."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    reason = f"{code} {one_line(text)}"
    return MailRefused(reason) if code >= 500 else MailDelayed(reason)


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
