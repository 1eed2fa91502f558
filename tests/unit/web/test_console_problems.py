"""Whatever a member is refused is said in their language: no text of the slices is forgotten."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import gstable_server
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.problems import PROBLEMS, REWORDED, problem_words
from gstable_server.web.dashboard.speech import said, speaking
from gstable_server.web.dashboard.words import in_words
from gstable_server.web.language import Languages, Words

SERVER = Path(gstable_server.__file__).parent
SLICES = ("accounts", "catalog", "kernel", "links", "routing", "sessions", "web", "webhooks")
FILES = (
    *("chain/checksum.py", "chain/sign_in.py", "plumbing/destinations.py"),
    *("plumbing/drawing.py", "plumbing/problems.py"),
)
SAID = re.compile(
    r"(?:must|is|are|was|were|has|cannot|can|names|belongs|contains|needs|exists|went|goes|came) "
)
"""How a text begins that says what is wrong with something."""

FIELDS = ("approval", "paymentId", "refundId", "sessionId")
NOT_TO_MEMBERS = (
    *("accounts/audit", "kernel/ids.py", "kernel/money.py", "kernel/paging.py"),
    *("sessions/advancing.py", "sessions/collecting.py", "sessions/deposits", "sessions/paying.py"),
    *("webhooks/events", "web/checkout", "web/receipts", "web/news.py", "web/base.py"),
)
"""The doors of payers and of programs."""

PROGRAMS_ONLY = {
    "must be {context['expected']}": "a choice that no form of the console offers",
    "must be {words[name]} {bound}": "made of the words that are below",
    "must be one of {', '.join(Role)}": "as above, with its choices",
    "must be {item.quantity}": "the payer's page of a link says it",
    "names a payment that ": "cut off by who says the rest",
    "names a payment whose": "the same",
    "{field} {problem}": "the one way in which all others are told",
    "sessionId {reason}": "the reasons are below",
    "refundId {answer.reason}": "the same",
    "approval {answer.reason}": "the same",
    "addresses {problem}": "the problems are below",
    "at most {bytes_max} bytes": "its code has words of its own",
}


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (
            one.value if isinstance(one, ast.Constant) else f"{{{ast.unparse(one.value)}}}"
            for one in node.values
            if isinstance(one, (ast.Constant, ast.FormattedValue))
        )
        return "".join(map(str, parts))
    return None


def _told(node: ast.AST) -> Iterator[str]:
    """What is told as a refusal, or begins like one. Docstrings, marks and logs are none."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.Assert) or (
            isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        ):
            continue
        if isinstance(one, ast.Call):
            name = ast.unparse(one.func)
            if name in {"N_", "_", "ngettext"} or name.startswith("log."):
                continue
            if name in {"Refused", "Refuse", "invalid_field"} and one.args:
                if (text := _text(one.args[-1])) is not None:
                    yield text
                continue
        if isinstance(one, ast.expr) and (text := _text(one)) is not None:
            if SAID.match(text) and "\n" not in text:
                yield text
            continue
        yield from _told(one)


def _sources() -> Iterator[Path]:
    for name in SLICES:
        yield from sorted((SERVER / name).rglob("*.py"))
    yield from (SERVER / name for name in FILES)


@pytest.fixture(scope="module")
def german() -> Words:
    return Languages.load_console().words("de")


def _is_known(problem: str) -> bool:
    """Alone, or behind the name of the field that it is about."""
    asked = [problem, problem.partition(" ")[2], *(f"{field} {problem}" for field in FIELDS)]
    return any(problem_words(one) != one for one in asked)


def test_every_refusal_of_the_slices_has_words(german: Words) -> None:
    left = {}
    for path in _sources():
        place = str(path.relative_to(SERVER))
        if place.startswith(NOT_TO_MEMBERS):
            continue
        for text in _told(ast.parse(path.read_text())):
            problem = re.sub(r"\{[^}]*\}", "7", text.replace("{unit}", "items"))
            with speaking(german):
                if text not in PROGRAMS_ONLY and not _is_known(problem):
                    left[text] = place
    assert left == {}


def test_every_form_is_found_and_not_taken_for_another(german: Words) -> None:
    for text, words in {**{one: one for one in PROBLEMS}, **REWORDED}.items():
        with speaking(german):
            expected = re.sub(r"%\(\w+\)s", "⋯", said(words))
            assert problem_words(re.sub(r"%\(\w+\)s", "⋯", text)) == expected, text


def test_every_code_has_a_message_in_every_language(german: Words) -> None:
    with speaking(german):
        assert [code for code in Code if said(code.message) == code.message] == []


def test_a_refusal_stands_beside_its_field_or_above_the_form(german: Words) -> None:
    form = Form(("quantity",))
    refused = invalid_field("quantity", "must be between 1 and 20")
    assert form.refused(refused).error("quantity") == "Must be between 1 and 20."
    with speaking(german):
        assert form.refused(refused).error("quantity") == "Muss zwischen 1 und 20 liegen."
        above = form.refused(invalid_field("other", "must not be blank")).problem
        assert above == "Ein Feld stimmt nicht: other darf nicht leer sein."
        spent = Refused(
            Code.REFUND_IMPOSSIBLE,
            "sessionId names a session of which nothing remains to be given back",
        )
        assert in_words(spent) == (
            "Die Rückzahlung ist nicht möglich: davon ist nichts mehr zurückzugeben."
        )
        assert in_words(Refused(Code.LINK_ARCHIVED)) == "Der Zahlungslink ist archiviert."
        strange = Refused(Code.REFUND_IMPOSSIBLE, "nobody foresaw this")
        assert in_words(strange).endswith("nobody foresaw this.")
