"""Every file keeps the rules of STYLE.md, and every rule finds what it is for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy import rules
from tests.tidy.rules import SERVER, Rule

REPOSITORY = Path(__file__).parent.parent.parent
MIGRATIONS = REPOSITORY / SERVER / "migrations" / "versions"
OWNERS = rules.table_owners({p.name: p.read_text() for p in MIGRATIONS.glob("*.sql")})
RULES = {rule.name: rule for rule in rules.all_rules(OWNERS)}

PLANTED = [
    ("Functions of at most 60 lines", "run.py", "def f():\n" + "    pass\n" * 60),
    ("Files of at most 500 lines", "web/a.ts", "x;\n" * 501),
    ("Lines of at most 100 columns", "web/a.ts", "x" * 101),
    ("Time comes from the transaction", SERVER + "links/a.py", "datetime.now(UTC)"),
    ("Time comes from the transaction", SERVER + "links/a.py", "x = time.time()"),
    ("Chance comes from the mint", SERVER + "links/a.py", "random.choice([])"),
    ("Chance comes from the mint", SERVER + "links/a.py", "secrets.token_hex(8)"),
    ("No float near money", SERVER + "routing/fees.py", "price = float(text)"),
    ("No print outside the command line", SERVER + "links/a.py", "print('x')"),
    ("No catch-all outside the edge", SERVER + "links/a.py", "try: f()\nexcept Exception: pass"),
    ("No catch-all outside the edge", SERVER + "links/a.py", "try: f()\nexcept: x = 1"),
    ("Every loop has a bound", SERVER + "links/a.py", "while True:\n    f()"),
    ("SQL stands in stores", SERVER + "links/operations.py", "q = 'SELECT 1 FROM payment_links'"),
    ("A store keeps to its own tables", SERVER + "links/store.py", "q = 'SELECT * FROM sessions'"),
    ("A store keeps to its own tables", SERVER + "links/store.py", "q = 'UPDATE products SET x'"),
    ("No mocks", "tests/unit/test_a.py", "from unittest.mock import Mock"),
    ("No left-overs", "docs/a.md", "TO" + "DO: later"),
    ("Nothing of one machine", "docs/a.md", "see /wo" + "rk/main"),
    ("Nothing of one machine", "package-lock.json", '"https://registry.npm' + 'js.org/solc"'),
]

KEPT = [
    ("Functions of at most 60 lines", "run.py", "def f():\n" + "    pass\n" * 59),
    ("Time comes from the transaction", SERVER + "plumbing/system.py", "datetime.now(UTC)"),
    ("No print outside the command line", SERVER + "cli/demo.py", "print('x')"),
    ("No catch-all outside the edge", SERVER + "links/a.py", "try: f()\nexcept Exception: raise"),
    ("Every loop has a bound", SERVER + "links/a.py", "while True:  # bounded: by x\n    f()"),
    ("SQL stands in stores", SERVER + "links/operations.py", "text = 'please UPDATE it'"),
    ("A store keeps to its own tables", SERVER + "links/store.py", "q = 'SELECT FROM rows'"),
    ("Nothing of one machine", "docs/a.md", "GET /v1/root/x, https://example.com/work/x"),
]


def files() -> Iterator[tuple[str, str]]:
    """What is committed or about to be: path and text."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    for path in listed.stdout.decode().split("\0"):
        file = REPOSITORY / path
        if path and file.is_file():
            content = file.read_bytes()
            if b"\0" not in content:
                yield path, content.decode()


def test_the_repository_keeps_every_rule() -> None:
    found = [
        f for path, text in files() for rule in RULES.values() for f in rule.findings(path, text)
    ]
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize(("name", "path", "text"), PLANTED)
def test_a_planted_breach_is_found(name: str, path: str, text: str) -> None:
    assert [finding.rule for finding in RULES[name].findings(path, text)] == [name]


@pytest.mark.parametrize(("name", "path", "text"), KEPT)
def test_what_a_rule_allows_is_left_alone(name: str, path: str, text: str) -> None:
    assert RULES[name].findings(path, text) == []


def test_every_rule_has_a_planted_breach() -> None:
    assert {name for name, _, _ in PLANTED} == set(RULES)


def test_every_exception_is_still_needed() -> None:
    for name, paths in rules.ALLOWED.items():
        bare = Rule(f"{name} without exceptions", RULES[name].applies, RULES[name].look)
        for path in paths:
            assert bare.findings(path, (REPOSITORY / path).read_text()), f"{name}: {path}"


def test_every_rule_is_explained_in_style_md() -> None:
    text = (REPOSITORY / "STYLE.md").read_text()
    headings = [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]
    assert set(RULES) <= set(headings)
    for name in RULES:
        section = text.split(f"### {name}\n", 1)[1].split("\n#", 1)[0]
        assert "The bug it prevents:" in section, name


def test_the_owners_of_tables_are_read_from_the_migrations() -> None:
    assert OWNERS["sessions"] == "sessions"
    assert OWNERS["payment_links"] == "links"
    assert OWNERS["outbox"] == "plumbing"
    packages = {p.name for p in (REPOSITORY / SERVER).iterdir() if p.is_dir()}
    assert set(OWNERS.values()) <= packages
