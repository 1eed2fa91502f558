"""The language of somebody who is signed in: it is theirs, and not their browser's."""

from __future__ import annotations

from starlette.requests import Request

from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members.model import Member
from gstable_server.plumbing.db import Tx
from gstable_server.web.dashboard.speech import speak
from gstable_server.web.language import COOKIE, PARAMETER, Languages


async def settle(
    tx: Tx, request: Request, member: Member, languages: Languages, *, is_ours: bool
) -> None:
    """Go on in the member's language, and keep the one that they choose now.

    They choose it by a link of our own page (``is_ours``): one that another site made shows this
    page in another language, and changes nothing. A choice that was made in this browser before
    signing in counts for who has made none.
    """
    asked = languages.lookup(request.query_params.get(PARAMETER, ""))
    known = languages.lookup(member.language)
    before = languages.lookup(request.cookies.get(COOKIE, ""))
    chosen = asked if is_ours and request.method == "GET" else None
    chosen = chosen or (before if known is None else None)
    if chosen is not None and chosen != known:
        await members.choose_language(tx, member.member_id, chosen)
    tag = asked or chosen or known
    if tag is not None:
        speak(languages.words(tag))
