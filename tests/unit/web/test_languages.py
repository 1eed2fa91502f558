"""Languages: which one a page is in, figures as they are written there, and whole catalogs."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from babel.messages import Catalog
from httpx2 import AsyncClient

from gstable_server.kernel.money import Asset, MicroUsd, Money
from gstable_server.web.language import ENGLISH, LOCALES, Languages
from tests.unit.web.shop import Merchant
from web import catalogs

pytestmark = pytest.mark.anyio

TRANSLATED = [
    (tag, domain)
    for domain, languages in catalogs.DOMAINS.items()
    for tag in languages
    if tag != ENGLISH
]
SAID = re.compile(r"%\(\w+\)s|%%")


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages.load()


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        ("de", "de"),
        ("de-CH-1996", "de"),
        ("zh-CN", "zh-Hans"),
        ("zh-Hans-SG", "zh-Hans"),
        ("zh-Hant-TW", None),
        ("zh-TW", None),
        ("pt-PT", "pt-BR"),
        ("PT_br", "pt-BR"),
        ("ar-x-private", "ar"),
        ("tlh", None),
        ("", None),
        ("../de", None),
    ],
)
def test_a_range_is_looked_up_from_its_end(
    languages: Languages, wanted: str, tag: str | None
) -> None:
    assert languages.lookup(wanted) == tag


async def test_the_page_is_in_the_language_that_its_payer_reads(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    url = f"/pay/{session.session_id}"

    async def language(query: str = "", accept: str = "", cookie: str = "") -> str:
        headers = {"accept-language": accept}
        if cookie:
            headers["cookie"] = f"gstable_language={cookie}"
        text = (await payer.get(url + query, headers=headers)).text
        found = re.search(r'<html lang="([^"]+)" dir="(\w+)">', text)
        assert found is not None
        payer.cookies.clear()
        return " ".join(found.groups())

    assert await language() == "en ltr"
    assert await language(accept="xx, fr;q=0.5, ar-EG;q=0.9, de;q=0") == "ar rtl"
    assert await language(accept="en-US,en;q=0.9,de;q=0.8") == "en ltr"
    assert await language(accept="fr;q=nonsense, *;q=0.5") == "en ltr"
    assert await language(accept="fr", cookie="ja") == "ja ltr"
    assert await language("?lang=zh-CN", accept="fr", cookie="ja") == "zh-Hans ltr"
    assert await language("?lang=%3Cscript%3E", cookie="%00") == "en ltr"


async def test_a_chosen_language_is_kept(payer: AsyncClient, merchant: Merchant) -> None:
    session = await merchant.session()
    url = f"/pay/{session.session_id}"
    page = (await payer.get(url)).text
    assert f'href="{url}?lang=ar"' in page
    kept = (await payer.get(f"{url}?lang=de")).headers["set-cookie"]
    assert "gstable_language=de;" in kept
    assert "SameSite=lax" in kept
    assert 'lang="de"' in (await payer.get(url)).text
    # What the page's script asks is in the page's language, and chooses none.
    answer = await payer.get(f"{url}/status?lang=fr")
    assert "set-cookie" not in answer.headers


def test_amounts_are_exact_in_every_language(languages: Languages) -> None:
    whole = Money(2**256 - 1, Asset("polygon::dai", 18))
    for words in languages.all:
        figures = re.sub(r"[^0-9]", "", words.token(whole, "DAI"))
        assert figures == str(2**256 - 1)
        assert re.sub(r"[^0-9]", "", words.usd(MicroUsd(1))) == "0000001"
    assert languages.words("en").usd(MicroUsd(1_234_567_500_000)) == "1,234,567.50"
    assert languages.words("de").usd(MicroUsd(1_234_567_500_000)) == "1.234.567,50"
    assert languages.words("hi").usd(MicroUsd(1_234_567_500_000)) == "12,34,567.50"
    # An amount keeps its direction between Arabic words.
    assert languages.words("ar").dollars(MicroUsd(24_750_000)) == "\u206824.75 USD\u2069"
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert languages.words("en").moment(noon) == "1 Jan 2026, 12:00:00 UTC"
    assert languages.words("ja").duration(90_000) == "1 日 1 時間"


def test_a_translation_can_neither_end_the_data_block_nor_take_a_name_for_markup(
    languages: Languages,
) -> None:
    for words in languages.all:
        assert "<" not in words.script_json
        said = words.markup("Pay %(name)s", name="<b>Mallory</b>")
        assert "<b>" not in said


@pytest.mark.parametrize("domain", catalogs.DOMAINS)
def test_the_templates_of_the_catalogs_are_what_the_sources_say(domain: str) -> None:
    kept = catalogs.read(LOCALES / f"{domain}.pot")
    assert _ids(kept) == _ids(catalogs.extracted(domain)), "run web/catalogs.py"


@pytest.mark.parametrize(("tag", "domain"), TRANSLATED)
def test_every_sentence_is_in_every_language(tag: str, domain: str) -> None:
    catalog = catalogs.read(catalogs.po_path(tag, domain), tag)
    assert _ids(catalog) == _ids(catalogs.extracted(domain)), "run web/catalogs.py"
    for message in catalog:
        if not message.id:
            continue
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        strings = [message.string] if isinstance(message.string, str) else list(message.string)
        assert all(strings), f"{tag} lacks: {message.id}"
        assert not message.fuzzy, message.id
        if not isinstance(message.id, str):
            assert len(strings) == catalog.num_plurals, message.id
        wanted = [sorted(SAID.findall(one)) for one in originals]
        for string in strings:
            # The form for one need not say the number.
            assert sorted(SAID.findall(string)) in wanted, message.id


TAG, JINJA = re.compile(r"<[^>]*>"), re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
READ_OUT = re.compile(r'(?:alt|aria-label|placeholder|title)="([^"]*)"')
COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)
FOR_US = re.compile(r"new Error\((?:[^()]|\([^()]*\))*\)")
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`')
SENTENCE = re.compile(r"[A-Za-z][a-z]+ [a-z]+ [a-z]+")


def test_templates_say_nothing_but_what_is_marked_for_translation() -> None:
    templates = [path for method, path in catalogs.sources("checkout") if method == "jinja2"]
    assert len(templates) > 5
    for path in templates:
        # An attribute's value may hold a tag's end only in an expression, which is gone here.
        text = JINJA.sub("", path.read_text())
        said = [*TAG.split(text), *READ_OUT.findall(text)]
        left = [one for one in said if re.search("[A-Za-z]{3,}", one.replace("USD", ""))]
        assert not left, f"{path.name}: {left}"


def test_scripts_say_nothing_but_what_is_marked_for_translation() -> None:
    marked = [message.id for message in catalogs.extracted("script") if message.id]
    for _, path in catalogs.sources("script"):
        text = FOR_US.sub("", COMMENT.sub("", path.read_text()))
        for literal in ("".join(found) for found in LITERAL.findall(text)):
            known = not SENTENCE.search(literal) or any(literal in one for one in marked)
            assert known, f"{path.name}: {literal}"


def _ids(catalog: Catalog) -> set[object]:
    return {message.id for message in catalog if message.id}
