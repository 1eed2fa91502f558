"""In which language a payer is written to."""

from __future__ import annotations

from starlette.requests import Request

from gstable_server.accounts.branding import operations as brandings
from gstable_server.plumbing.db import Tx
from gstable_server.receipts import operations as receipts
from gstable_server.sessions.model import Session
from gstable_server.web.language import Languages


async def note_language(tx: Tx, languages: Languages, request: Request, session: Session) -> None:
    """A payer whose address is known is written to in the language of the page that they act on.
    A transaction of its own: if the process dies before it, the letter is in the language of the
    page before, else in the merchant's."""
    if session.payer_email:
        branding = await brandings.branding(tx, session.tenant.merchant_id)
        words = languages.of(request, branding.default_language)
        await receipts.note_language(tx, session.session_id, words.tag)
