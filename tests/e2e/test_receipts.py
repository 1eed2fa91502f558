"""From a payment on the chain to the letter, and from there to a receipt that can be checked."""

from __future__ import annotations

import json
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import urlopen

import jwt

from tests.e2e.shop import Shop
from tests.running import eventually

EMAIL = "payer@example.com"


def _letters(directory: Path, session_id: str) -> list[EmailMessage]:
    found = [
        message_from_bytes(one.read_bytes(), policy=default) for one in directory.glob("*.eml")
    ]
    return [one for one in found if session_id in one["message-id"]]


def _part(letter: EmailMessage, kind: str) -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def _fetched(url: str) -> tuple[str, bytes]:
    with urlopen(url) as response:
        return response.headers.get_content_type(), response.read()


def test_a_payer_is_sent_a_receipt_that_anybody_can_check(shop: Shop) -> None:
    # Given a payer who gave an address when paying on the chain
    session_id = shop.session()
    url = shop.payment_url(session_id)
    paid = shop.visits(lambda payer: payer.pay(url, "polygon::usdc", EMAIL))
    shop.reaches(session_id, "completed")
    # Then one letter comes to it
    capture = Path(shop.running.about["mail"])
    [letter] = eventually(lambda: _letters(capture, session_id), "the letter comes")
    assert letter["to"] == EMAIL
    # And every link in it leads to the receipt, whose page names the payment
    html, text = _part(letter, "html"), _part(letter, "plain")
    [link] = set(re.findall(r'href="([^"]+)"', html)) | set(re.findall(r"https?://\S+", text))
    receipt = f"{shop.running.base_url}/receipt/{session_id}"
    assert link.partition("?")[0] == receipt
    kind, page = _fetched(link)
    assert (kind, paid.tx_hash_hex in page.decode()) == ("text/html", True)
    # And from there to the PDF
    [address] = set(re.findall(r'href="([^"]+\.pdf[^"]*)"', page.decode()))
    kind, content = _fetched(urljoin(link, address))
    assert (kind, content[:7]) == ("application/pdf", b"%PDF-1.")
    assert content.rstrip().endswith(b"%%EOF")
    # And the signed form is what the key of this server signed, and tells of the same payment
    answer = json.loads(_fetched(f"{receipt}.json")[1])
    keys = jwt.PyJWKSet.from_dict(json.loads(_fetched(answer["keys"])[1]))
    claims = jwt.decode(
        answer["token"], keys.keys[0], algorithms=["ES256K"], issuer=shop.running.base_url
    )
    assert claims == answer["receipt"]
    assert (claims["sub"], claims["final"]) == (session_id, True)
    assert [one["transaction"]["hash"] for one in claims["payments"]] == [paid.tx_hash_hex]
    assert len(_letters(capture, session_id)) == 1
