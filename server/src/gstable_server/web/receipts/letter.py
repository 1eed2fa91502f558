"""The receipt as an e-mail: what the sheet says, as text and as HTML, with links to this server
only."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gstable_server.plumbing.mail import Letter, one_line
from gstable_server.receipts.model import Receipt
from gstable_server.web.base import Pages
from gstable_server.web.language import ENGLISH
from gstable_server.web.receipts.sheet import Row, Sheet, sheet

TEMPLATE = "receipts/templates/letter.html"
WORD_JOINER = "\u2060"
# What mail programs make links of by themselves: a name must not lead anywhere.
_LINKED = re.compile(r"(?<=\w)[.:@/](?=[\w/])")


@dataclass(frozen=True, slots=True)
class Composer:
    """Writes the letters of this server. ``sender`` is the address that they come from."""

    pages: Pages
    public_url: str
    sender: str

    def __call__(self, receipt: Receipt, to: str, language: str | None) -> Letter:
        """In the language of the payer's page, else the merchant's, else English."""
        merchant, session = receipt.merchant, receipt.session
        languages = self.pages.languages
        wanted = (languages.lookup(tag) for tag in (language, merchant.default_language) if tag)
        words = languages.words(next(filter(None, wanted), ENGLISH))
        page = f"{self.public_url}/receipt/{session.session_id}"
        shown = _unlinked(sheet(receipt, words, page))
        # In the letter's language, whatever the browser's is that opens it.
        url = f"{page}?lang={words.tag}"
        merchant_name = one_line(merchant.display_name)
        return Letter(
            message_id=f"receipt.{session.session_id}@{self.sender.rpartition('@')[2]}",
            to=to,
            sender=self.sender,
            sender_name=merchant_name,
            reply_to=merchant.support_email,
            subject=words.gettext("Receipt from %(merchant)s", merchant=merchant_name),
            text=_text(shown, url),
            html=self.pages.text(TEMPLATE, words, sheet=shown, url=url),
            language=words.tag,
            written_at=receipt.as_of,
        )


def _unlinked(shown: Sheet) -> Sheet:
    """The sheet with nothing in it that a mail program would make a link of."""
    return replace(
        shown,
        merchant=_plain(shown.merchant),
        lines=tuple(replace(line, name=_plain(line.name)) for line in shown.lines),
        # The merchant's own addresses are on the receipt's page, which the letter leads to.
        contact=(),
    )


def _plain(text: str) -> str:
    return _LINKED.sub(lambda match: match.group() + WORD_JOINER, one_line(text))


def _text(shown: Sheet, url: str) -> str:
    blocks = [
        [shown.test, f"{shown.title} – {shown.merchant}", shown.total, shown.state],
        [f"{line.name}  {line.each}  {line.total}".strip() for line in shown.lines],
        _rows(shown.sums),
        _rows(shown.facts),
        *([part.title, *_rows(part.rows)] for part in shown.parts),
        [url],
    ]
    return "\n\n".join("\n".join(filter(None, block)) for block in blocks) + "\n"


def _rows(rows: tuple[Row, ...]) -> list[str]:
    return [f"{row.label}: {row.value}" for row in rows]
