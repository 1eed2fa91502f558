"""E-mail addresses: one grammar for whoever is written to or answered."""

from __future__ import annotations

import re

from gstable_server.kernel.errors import invalid_field

EMAIL_LENGTH_MAX = 254
LOCAL_LENGTH_MAX = 64
_DOT_ATOM = r"[A-Za-z0-9!#$%&'*+/^_`{|}~-]+"
_EMAIL = re.compile(
    rf"(?=[^@]{{1,{LOCAL_LENGTH_MAX}}}@){_DOT_ATOM}(\.{_DOT_ATOM})*"
    r"@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
)
"""What can stand as it is in the head of a letter (RFC 5322, section 3.4.1); one that cannot would
keep the letter from being sent. Without "=" and "?", which make encoded text of it (RFC 2047)."""


def email_problem(text: str) -> str | None:
    """Why ``text`` cannot be an e-mail address that letters are sent to."""
    if len(text) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(text):
        return "must be an e-mail address"
    return None


def email_from_text(text: str, field: str = "email") -> str:
    """The address in small letters. Raises ``Refused`` (400101) naming ``field``."""
    email = text.strip().lower()
    if problem := email_problem(email):
        raise invalid_field(field, problem)
    return email
