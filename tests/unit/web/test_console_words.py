"""Nothing that the console says misses its translation: in templates, in Python and in scripts."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from gstable_server.kernel.roles import ROLE_WORDS
from gstable_server.web import base
from gstable_server.web.dashboard.menu import MENU
from gstable_server.web.dashboard.place import IN_MODE
from gstable_server.web.dashboard.routes import places
from gstable_server.web.dashboard.speech import _, said, speaking, spoken
from gstable_server.web.language import Languages
from tests.browser.office import Office
from web import catalogs

CONSOLE = catalogs.PAGES / "dashboard"
TEMPLATES = sorted((CONSOLE / "templates").glob("*.html"))
SCRIPTS = {"console.js", "passkey.js", "refund.js"}
SCRIPT_BYTES_MAX = 15_000
"""What a page of the console loads of scripts of its own, at most; wallets come beside."""

TAG = re.compile(r"<[^>]*>")
READ_OUT = re.compile(r'(?:alt|aria-label|placeholder|title|data-label)="([^"]*)"')
LETTERS = re.compile(r"[A-Za-z]{3,}")
SAME_EVERYWHERE = re.compile(r"USD|GStable|UTC|Ctrl|Enter|0x")
MARKS = {"_", "N_", "ngettext", "gettext", "said"}
SENTENCE = re.compile(r"[A-Z][a-z]+(?:[ ’'][a-z]+)+")
NOT_SAID = re.compile(r"^\s*(?:SELECT|INSERT|UPDATE|DELETE)\b")


def _is_marked(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name in MARKS
    )


def _unmarked(node: nodes.Node) -> Iterator[str]:
    """Texts of an expression that go to the page as they stand."""
    if isinstance(node, nodes.Call) and _is_marked(node):
        # What is put together only when the page is made is in no catalog.
        if node.args and isinstance(node.args[0], (nodes.Concat, nodes.Add)):
            yield "a text in parts"
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        if SENTENCE.match(node.value):
            yield node.value
        return
    for child in node.iter_child_nodes():
        yield from _unmarked(child)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates_of_the_console_say_nothing_unmarked(path: Path) -> None:
    source = path.read_text()
    tree = Environment(extensions=["jinja2.ext.i18n"]).parse(source)
    assert [*_unmarked(tree)] == []
    # Attributes hold expressions, so the text is read with those taken out first.
    plain = re.sub(r'data-(?!label)[a-z-]+="[^"]*"', "", source)
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", plain, flags=re.DOTALL)
    pieces = [*TAG.split(plain), *READ_OUT.findall(plain)]
    left = [one.strip() for one in pieces if LETTERS.search(SAME_EVERYWHERE.sub("", one))]
    assert left == []


def _literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Sentences in Python that nothing marks; docstrings and what programs are told are none."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name in MARKS or name.endswith(("Refused", "Error")):
                continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, (ast.Raise, ast.Assert)):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if SENTENCE.match(node.value) and not NOT_SAID.match(node.value):
                yield node.lineno, node.value
            continue
        yield from _literals(node)


@pytest.mark.parametrize("path", sorted(CONSOLE.rglob("*.py")), ids=lambda path: path.stem)
def test_python_of_the_console_says_nothing_unmarked(path: Path) -> None:
    assert [*_literals(ast.parse(path.read_text()))] == []


def test_what_the_roles_may_is_said_in_every_language() -> None:
    for words in Languages.load_console().all:
        with speaking(words):
            missing = [text for text in ROLE_WORDS.values() if said(text) == text]
        assert words.tag == "en" or missing == []


def test_texts_are_in_the_language_of_the_page_that_is_made() -> None:
    german = Languages.load_console().words("de")
    assert _("Sign in") == "Sign in"
    with speaking(german):
        assert spoken() is german
        assert _("Remove %(name)s?", name="Anna") == "Anna entfernen?"
        assert said("50% of something") == "50% of something"
        assert said("") == ""
    assert spoken().tag == "en"


def test_the_menu_leads_to_pages_and_their_keys_are_each_one_way(repository: Path) -> None:
    table = {(one.path, one.action) for one in places(Office.nobodys_guard())}
    ways = [one for group in MENU for one in group.ways]
    for one in ways:
        path = f"{IN_MODE}/{one.path}" if one.path else IN_MODE
        assert (path, one.action) in table, one.title
    keys = [one.keys for one in ways if one.keys]
    assert len({*keys}) == len(keys)
    assert all(re.fullmatch(r"g [a-z]", one) for one in keys)
    signs = (repository / "web/src/styles/dashboard-signs.css").read_text()
    assert all(f".sign-{one.sign} {{" in signs for one in ways)


def test_the_consoles_scripts_are_small() -> None:
    static = base.HERE / "static"
    manifest = json.loads((static / "manifest.json").read_text())
    sizes = {name: (static / manifest[name]["file"]).stat().st_size for name in SCRIPTS}
    assert sum(sizes.values()) <= SCRIPT_BYTES_MAX, sizes
