"""The documents say what is: every code, event, setting and command has its row, every link leads
somewhere, every command in them exists, and what they show in Python compiles or runs.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest
import typer
from typer.testing import CliRunner

from gstable import webhooks
from gstable_server import flow
from gstable_server.cli.app import app
from gstable_server.kernel.errors import Code
from gstable_server.plumbing.config import Settings
from gstable_server.sessions.matching import EVENT_OF_FLAG
from gstable_server.sessions.model import Flag
from gstable_server.webhooks.machine import WAITS_SECONDS
from gstable_server.webhooks.model import EVENT_TYPES

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server" / "src" / "gstable_server"
NEVER = "†"
UNITS = {"s": 1, "min": 60, "h": 3600}
VERBS = {str(command.name) for command in typer.main.get_command(app).commands.values()}  # type: ignore[attr-defined]


def documents() -> list[Path]:
    """Every Markdown file that is or will be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


DOCUMENTS = documents()
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(name: str) -> list[list[str]]:
    """The cells of every table row of a document."""
    lines = [line for line in text_of(name).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def first_cells(name: str) -> dict[str, list[str]]:
    """Rows by the code span in their first cell, which may end with the mark of what never is."""
    found = {}
    for row in rows(name):
        if match := re.match(r"`([^`]+)`", row[0]):
            found[match[1]] = row
    return found


def blocks(name: str, language: str) -> Iterator[str]:
    """The fenced blocks of one language."""
    pattern = rf"^```{language}\n(.*?)^```"
    for match in re.finditer(pattern, text_of(name), re.MULTILINE | re.DOTALL):
        yield match[1]


def load_run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_command", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUN = load_run()
RUN_COMMANDS = {*RUN.COMMANDS, "help"}


# --- reference ------------------------------------------------------------------------------------


def is_answered(code: Code) -> bool:
    """True if some file of the server uses it otherwise than to put it into words."""
    name = re.compile(rf"Code\.{code.name}\b")
    return any(
        name.search(path.read_text(encoding="utf-8"))
        for path in SERVER.rglob("*.py")
        if path.name != "words.py"
    )


def test_every_error_code_has_its_row() -> None:
    documented = set()
    for row in rows("docs/reference/errors.md"):
        if match := re.fullmatch(rf"(\d{{6}})( {NEVER})?", row[0]):
            status = int(row[2]) if row[2].isdigit() else 200
            documented.add((int(match[1]), row[1], status, not match[2]))
    # Ready or not is no refusal, but is told with the code of our own faults.
    documented.discard((Code.INTERNAL.number, Code.INTERNAL.message, 503, True))
    known = {(code.number, code.message, code.status, is_answered(code)) for code in Code}
    assert documented == known


def test_every_event_has_its_row() -> None:
    documented = {
        name: NEVER not in row[0] for name, row in first_cells("docs/reference/events.md").items()
    }
    known = {name: name in flow.NEXT for name in (*EVENT_TYPES, *flow.NEXT)}
    assert documented == known


def test_every_setting_has_its_row_with_its_default() -> None:
    documented = {
        name: row[1].strip("`")
        for name, row in first_cells("docs/guide/operate.md").items()
        if name.isupper()
    }
    known = {}
    for name, field in Settings.model_fields.items():
        unset = "unset" if field.default is None else str(field.default)
        default = "required" if field.is_required() else unset
        variable = str(field.validation_alias or f"GSTABLE_{name.upper()}")
        known[variable] = default.lower() if isinstance(field.default, bool) else default
    assert documented == known


def test_every_flag_of_a_payment_has_its_row() -> None:
    documented = first_cells("docs/operations/pay.md")
    assert set(documented) == {flag.value for flag in Flag}
    for flag in Flag:
        told = re.findall(r"`(session\.[a-z_]+)`", documented[flag.value][2])[:1]
        assert told == ([EVENT_OF_FLAG[flag]] if flag in EVENT_OF_FLAG else [])


def test_the_schedule_of_retries_is_the_real_one() -> None:
    [waits] = [row[1:] for row in rows("docs/guide/webhooks.md") if row[0] == "wait"]
    seconds = [int(number) * UNITS[unit] for number, unit in map(str.split, waits)]
    assert tuple(seconds) == WAITS_SECONDS


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("docs/operations/")])
def test_operations_name_only_codes_and_events_that_exist(name: str) -> None:
    numbers = set(map(int, re.findall(r"\b[1-9]\d{5}\b", text_of(name))))
    assert numbers <= {code.number for code in Code}
    events = set(re.findall(r"`((?:session|account|product|chain)\.[a-z_]+)`", text_of(name)))
    assert events <= set(flow.NEXT)


def test_the_architecture_names_every_package_and_table() -> None:
    text = text_of("ARCHITECTURE.md")
    [tree] = blocks("ARCHITECTURE.md", "text")
    shown = set(re.findall(r"^  ([a-z]+)(?:/|\.py) ", tree, re.MULTILINE))
    packages = {path.name for path in SERVER.iterdir() if (path / "__init__.py").is_file()}
    modules = {path.stem for path in SERVER.glob("*.py") if path.stem != "__init__"}
    assert shown == packages | modules
    migrations = (SERVER / "migrations" / "versions").glob("*.sql")
    for sql in migrations:
        if "jobs" not in sql.name:
            for table in re.findall(r"CREATE TABLE (\w+)", sql.read_text(encoding="utf-8")):
                assert re.search(rf"\*\*[^*]*\b{table}\b[^*]*\*\*", text), table


# --- commands -------------------------------------------------------------------------------------


def test_every_verb_and_command_has_its_row() -> None:
    described = {
        cell for name in NAMES for row in rows(name) for cell in re.findall(r"`([^`]+)`", row[0])
    }
    starts = {tuple(cell.split()[:2]) for cell in described}
    assert {("gstable", verb) for verb in VERBS} <= starts
    assert {("./run", command) for command in RUN_COMMANDS} <= starts


def commands_in(name: str) -> set[str]:
    """What the document tells the reader to type: lines of shell blocks, and code spans."""
    lines = [line.split("#")[0] for block in blocks(name, "sh") for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text_of(name), flags=re.M | re.S))
    return {
        text.strip().removeprefix(".venv/bin/")
        for text in (*lines, *spans)
        if re.match(r"\s*(?:\./run|(?:\.venv/bin/)?gstable)\s+\S", text)
    }


def options_of(verb: str) -> set[str]:
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    every = [command, *getattr(command, "commands", {}).values()]
    return {"--help", *(option for one in every for each in one.params for option in each.opts)}


def options_of_run(command: str) -> set[str]:
    """The options that `./run help` shows for a command, whose text may go on in the next line."""
    described = re.search(rf"^  {command} .*\n(?:   .*\n)*", RUN.HELP, re.MULTILINE)
    return set(re.findall(r"--[a-z]+", described[0])) if described else set()


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_documents_exist(name: str) -> None:
    for command in commands_in(name):
        program, word, *rest = shlex.split(command)
        given = {part for part in rest if part.startswith("--")}
        if word.startswith("-"):
            assert word in {"--help", "-h", "--install-completion"}, command
        elif program == "./run":
            assert word in RUN_COMMANDS, command
            assert word in {"test", "contracts", "bench"} or given <= options_of_run(word), command
        else:
            assert word in VERBS, command
            assert given <= options_of(word), command


def test_the_commands_answer() -> None:
    shown = subprocess.run(
        [sys.executable, ROOT / "run.py", "help"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == RUN.HELP
    for verb in sorted(VERBS):
        answer = CliRunner().invoke(app, [verb, "--help"])
        assert answer.exit_code == 0, verb


# --- links ----------------------------------------------------------------------------------------


def anchors_of(path: Path) -> set[str]:
    """The names that a page's headings get where Markdown is shown."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(name: str) -> list[str]:
    text = re.sub(r"^```.*?^```", "", text_of(name), flags=re.M | re.S)
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_lead_somewhere(name: str) -> None:
    broken = []
    for link in links_of(name):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = ((ROOT / name).parent / target).resolve() if target else ROOT / name
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            broken.append(link)
    assert not broken


def test_a_planted_link_to_nowhere_would_be_found() -> None:
    assert "the-tree" in anchors_of(ROOT / "ARCHITECTURE.md")
    assert "no-such-heading" not in anchors_of(ROOT / "ARCHITECTURE.md")
    assert "docs/README.md" in links_of("README.md")


# --- examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_well_formed(name: str) -> None:
    for block in blocks(name, "python"):
        compile(block, name, "exec")
    for block in blocks(name, "json"):
        json.loads(block)
    for block in blocks(name, "toml"):
        tomllib.loads(block)


async def post(asgi: Any, path: str, body: bytes, headers: dict[str, str]) -> int:
    """The status that an ASGI application answers."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "client": ("203.0.113.1", 1),
        "server": ("shop.example.com", 443),
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await asgi(scope, receive, send)
    [status] = statuses
    return status


def test_the_receiver_of_the_webhook_guide_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GSTABLE_WEBHOOK_KEY", "wkk_0123456789abcdef")
    [source, _] = blocks("docs/guide/webhooks.md", "python")
    shop: dict[str, Any] = {"__name__": "shop"}
    exec(compile(source, "docs/guide/webhooks.md", "exec", dont_inherit=True), shop)

    body, headers = webhooks.example("session.completed", "wkk_0123456789abcdef")
    assert anyio.run(post, shop["app"], "/gstable", body, headers) == 204
    assert anyio.run(post, shop["app"], "/gstable", body, headers) == 204  # delivered twice
    assert capsys.readouterr().out.count("ship the order") == 1
    assert list(shop["handled"].values()) == ["session.completed"]

    forged = body.replace(b"session.completed", b"session.paid")
    assert anyio.run(post, shop["app"], "/gstable", forged, headers) == 400
    assert len(shop["handled"]) == 1
