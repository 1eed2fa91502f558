"""Brings the catalogs of all pages up to date: `.venv/bin/python web/catalogs.py`.

Reads every sentence that is marked for translation in the templates, the Python and the TypeScript
of the payer's pages (`checkout`, `script`) and of the console (`console`), writes the templates
`*.pot`, and adds what is new to each language's `.po`, where it waits for its translation.
Sentences that are not used any more go.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from gstable_server.kernel.errors import Code
from gstable_server.kernel.roles import ROLE_WORDS
from gstable_server.web.language import CONSOLE_LANGUAGES, ENGLISH, LANGUAGES, LOCALES

REPOSITORY = Path(__file__).parent.parent
SERVER = REPOSITORY / "server/src/gstable_server"
PAGES = SERVER / "web"
SCRIPTS = REPOSITORY / "web/src/checkout"
CONSOLE_SCRIPTS = REPOSITORY / "web/src/dashboard"
KEYWORDS = {"gettext": None, "ngettext": (1, 2), "_": None, "N_": None}
DOMAINS = {
    "checkout": LANGUAGES,
    "script": LANGUAGES,
    "console": CONSOLE_LANGUAGES,
    "console-script": CONSOLE_LANGUAGES,
}
"""Each domain with its languages."""

ALSO_OF_CONSOLE = ("agree.ts", "chain.ts", "page.ts", "wallet.ts")
"""What the console's scripts share with the payer's page."""

LETTERS = (
    "accounts/limits/operations.py",
    "accounts/members/forgotten.py",
    "accounts/payouts/operations.py",
    "sessions/refunds/letters.py",
)
"""What the team is told by e-mail, in the language that each reads the console in."""
NO_SOURCES = ("language.py", "speech.py")
"""Where the functions stand that others mark their sentences with."""
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def sources(domain: str) -> Iterable[tuple[str, Path]]:
    """What a domain's sentences stand in: the extractor's name and the file."""
    if domain == "script":
        yield from (("javascript", path) for path in sorted(SCRIPTS.glob("*.ts")))
    elif domain == "console-script":
        yield from (("javascript", path) for path in sorted(CONSOLE_SCRIPTS.glob("*.ts")))
        yield from (("javascript", SCRIPTS / name) for name in ALSO_OF_CONSOLE)
    else:
        for method, pattern in (("jinja2", "*.html"), ("python", "*.py")):
            for path in sorted(PAGES.rglob(pattern)):
                is_console = "dashboard" in path.parts
                if is_console == (domain == "console") and path.name not in NO_SOURCES:
                    yield method, path
        if domain == "console":
            yield from (("python", SERVER / name) for name in LETTERS)


@cache
def extracted(domain: str) -> Catalog:
    """Every sentence that is marked in the sources, without translations."""
    catalog = Catalog(
        project="gstable",
        version="1",
        fuzzy=False,
        last_translator="gstable",
        language_team="gstable",
        header_comment=f"# Sentences of the pages ({domain}). Made by web/catalogs.py.",
        creation_date=BEGAN,
    )
    for method, path in sources(domain):
        options = {"trimmed": "true", "silent": "false"} if method == "jinja2" else {}
        found = extract_from_file(method, path, KEYWORDS, (), options)
        for _, message, _, context in found:
            catalog.add(message, None, [(path.name, 0)], context=context)
    if domain == "console":
        # What each role may is said beside the roles themselves, and each code has its message.
        for text in ROLE_WORDS.values():
            catalog.add(text, None, [("roles.py", 0)])
        for code in Code:
            catalog.add(code.message, None, [("errors.py", 0)])
    return catalog


def po_path(language: str, domain: str) -> Path:
    return LOCALES / language.replace("-", "_") / "LC_MESSAGES" / f"{domain}.po"


def read(path: Path, language: str | None = None) -> Catalog:
    with path.open("rb") as source:
        return read_po(source, locale=language and language.replace("-", "_"))


def write(path: Path, catalog: Catalog) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        write_po(
            target, catalog, no_location=True, sort_output=True, ignore_obsolete=True, width=96
        )


def updated(language: str, domain: str, template: Catalog) -> Catalog:
    """The language's catalog with exactly the sentences of ``template``."""
    path, locale = po_path(language, domain), language.replace("-", "_")
    before = read(path, language) if path.exists() else Catalog()
    shared = read(po_path(language, "script"), language) if domain == "console-script" else before
    after = Catalog(
        locale=locale,
        project="gstable",
        version="1",
        header_comment=f"# {language}: {domain}. Sentences are kept by web/catalogs.py.",
        creation_date=BEGAN,
        revision_date=BEGAN,
        fuzzy=False,
        last_translator="gstable",
        language_team=language,
    )
    for message in template:
        if message.id:
            kept = before.get(message.id) or shared.get(message.id)
            after.add(message.id, kept.string if kept else None, flags=message.flags)
    return after


def main() -> None:
    for domain, languages in DOMAINS.items():
        template = extracted(domain)
        write(LOCALES / f"{domain}.pot", template)
        for language in languages:
            if language != ENGLISH:
                write(po_path(language, domain), updated(language, domain, template))


if __name__ == "__main__":
    main()
