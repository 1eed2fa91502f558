"""The language of the console is its reader's, in whatever browser, and that of their letters."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from httpx2 import Response
from pydantic import SecretStr

from gstable_server.accounts.notices import operations as notices
from gstable_server.accounts.notices.operations import Postman, Said
from gstable_server.plumbing.config import Settings
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.mail import FileMail
from gstable_server.serve import postman_of
from gstable_server.web.language import LOCALES
from tests.unit.web.console import EMAIL, FROM_OUR_PAGE, browser_on, reader
from tests.unit.web.shop import PUBLIC_URL, new_desk

pytestmark = pytest.mark.anyio

HOME = "/dashboard/test"
ELSEWHERE = {"sec-fetch-site": "cross-site"}


def _language(answer: Response) -> str:
    [tongue] = [at["lang"] for tag, at in reader(answer).tags if tag == "html"]
    return tongue


async def _chosen(db: Database) -> list[str | None]:
    async with db.read() as tx:
        rows = await tx.fetch("SELECT language FROM members ORDER BY 1")
    return [row["language"] for row in rows]


async def test_a_chosen_language_follows_its_reader_to_other_browsers(database: Database) -> None:
    async with browser_on(database, new_desk()) as browser:
        await browser.register()
        assert _language(await browser.get(HOME)) == "en"
        assert _language(await browser.get(f"{HOME}/security?lang=de", **FROM_OUR_PAGE)) == "de"
        assert await _chosen(database) == ["de"]
    async with browser_on(database, new_desk()) as other:
        english = {"accept-language": "en"}
        assert _language(await other.get("/dashboard/login", **english)) == "en"
        await other.login()
        assert _language(await other.get(HOME, **english)) == "de"
        # What cannot be chosen changes nothing.
        assert _language(await other.get(f"{HOME}?lang=tlh", **FROM_OUR_PAGE)) == "de"
        assert _language(await other.get(f"{HOME}?lang=en", **FROM_OUR_PAGE)) == "en"
        assert _language(await other.get(HOME)) == "en"


async def test_who_reads_without_tls_can_choose_again(database: Database) -> None:
    """Browsers say there by no header of their own which site a link is of."""
    async with browser_on(database, new_desk()) as browser:
        await browser.register()
        ours = {"referer": f"{PUBLIC_URL}{HOME}/security"}
        for tongue in ("de", "en", "de"):
            await browser.get(f"{HOME}?lang={tongue}", **ours)
            assert _language(await browser.get(HOME)) == tongue
        for strange in ({"referer": "http://elsewhere.test/"}, {"referer": "http://[shop"}, {}):
            await browser.get(f"{HOME}?lang=en", **strange)
            assert await _chosen(database) == ["de"]


async def test_a_link_of_another_site_chooses_for_nobody(database: Database) -> None:
    async with browser_on(database, new_desk()) as browser:
        await browser.register()
        assert _language(await browser.get(f"{HOME}?lang=de", **ELSEWHERE)) == "de"
        assert _language(await browser.get(HOME)) == "en"
        assert await _chosen(database) == [None]
        await browser.get(f"{HOME}?lang=en", **FROM_OUR_PAGE)
        assert _language(await browser.get(f"{HOME}?lang=de", **ELSEWHERE)) == "de"
        assert await _chosen(database) == ["en"]
        assert _language(await browser.get(HOME)) == "en"


async def test_what_was_chosen_before_signing_in_counts_for_who_has_chosen_nothing(
    database: Database,
) -> None:
    async with browser_on(database, new_desk()) as browser:
        await browser.register()
        await browser.get(HOME)
        assert await _chosen(database) == [None]
    async with browser_on(database, new_desk()) as other:
        await other.get("/dashboard/login?lang=de")
        await other.login()
        assert _language(await other.get(HOME)) == "de"
        assert await _chosen(database) == ["de"]


async def _letter(db: Database, postman: Postman, directory: Path) -> str:
    """The one letter that is due, as it is sent."""
    async with db.begin() as tx:
        [notice_id] = await notices.due(tx)
    await notices.send(db, postman, notice_id)
    return _taken(directory)


def _taken(directory: Path) -> str:
    """The one letter that was sent, which is gone afterwards."""
    [sent] = directory.glob("*.eml")
    letter = message_from_bytes(sent.read_bytes(), policy=default)
    sent.unlink()
    body = letter.get_body(("plain",))
    assert body is not None
    return f"{letter['content-language']}\n{letter['subject']}\n{body.get_content()}"


async def test_letters_are_in_their_readers_language(database: Database, tmp_path: Path) -> None:
    postman = postman_of(
        Settings(
            DATABASE_URL="postgresql:///none",
            order_signing_key=SecretStr("11" * 32),
            fee_receiver="0x" + "12" * 20,
            mail_directory=tmp_path,
            mail_from="office@example.com",
        )
    )
    assert postman is not None
    assert isinstance(postman.mail, FileMail)
    async with browser_on(database, new_desk(), sends_mail=True) as browser:
        await browser.register()
        await browser.get(f"{HOME}/security")
        await browser.post(f"{HOME}/settings/letter")
        assert "This letter shows that e-mail" in await _letter(database, postman, tmp_path)
        await browser.get(f"{HOME}?lang=de", **FROM_OUR_PAGE)
        await browser.post(f"{HOME}/settings/letter")
        german = await _letter(database, postman, tmp_path)
        assert german.startswith("de\nBlue Door Books: ein Test\nDiese Nachricht zeigt")
        # Who is invited has chosen nothing: it is the language of who invites.
        await browser.post(f"{HOME}/team", email="ben@example.com", role="viewer")
        assert "Team von Blue Door Books" in await _letter(database, postman, tmp_path)
    async with database.read() as tx:
        kept = await tx.fetch("SELECT body, words FROM notices")
    assert all((row["body"], row["words"]) == ("", None) for row in kept)


async def test_values_stay_as_they_are_and_marked_ones_are_said(
    database: Database, tmp_path: Path
) -> None:
    def translate(language: str, text: str) -> str:
        return {"%(what)s of %(name)s": "%(name)s: %(what)s", "none": "keine"}.get(text, text)

    postman = Postman(FileMail(tmp_path), "office@example.com", translate)
    values = {"what": Said("none"), "name": "none 100 % %(what)s {who}"}
    subject = "%(what)s of %(name)s"
    await database.run(notices.write, [EMAIL], subject, subject, "de", **values)
    sent = await _letter(database, postman, tmp_path)
    assert "none 100 % %(what)s {who}: keine" in sent


async def test_a_letter_of_the_version_before_is_sent_as_it_was_written(
    database: Database, tmp_path: Path
) -> None:
    await database.run(notices.write, [EMAIL], "Hello", "Text", "de")
    async with database.begin() as tx:
        await tx.execute("UPDATE notices SET words = NULL, body = 'Now 50 % %(more)s'")
    postman = Postman(FileMail(tmp_path), "office@example.com")
    assert (await _letter(database, postman, tmp_path)).startswith("en\nHello\nNow 50 % %(more)s")


def test_translated_letters_have_the_places_of_the_original() -> None:
    for path in LOCALES.glob("*/LC_MESSAGES/console.po"):
        with path.open("rb") as source:
            for row in read_po(source):
                if isinstance(row.id, str) and row.string:
                    assert _places(row.id) == _places(str(row.string)), row.id


def _places(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s", text))
