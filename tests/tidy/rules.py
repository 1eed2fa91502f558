"""The rules of STYLE.md that can be seen in the text of one file.

A rule takes a path (relative to the repository, with slashes) and the file's text, and returns one
finding per breach. ``ALLOWED`` names the files that may break a rule, each with its reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
LINE_COLUMNS_MAX = 100
SERVER = "server/src/gstable_server/"
SOURCE_SUFFIXES = (".py", ".ts", ".sol", ".sql", ".mjs", ".css", ".sh")


@dataclass(frozen=True, slots=True)
class Finding:
    rule: str
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


@dataclass(frozen=True, slots=True)
class Rule:
    """``name`` is the heading in STYLE.md; ``look`` yields (line, text) for each breach."""

    name: str
    applies: Callable[[str], bool]
    look: Callable[[str, str], Iterator[tuple[int, str]]]

    def findings(self, path: str, text: str) -> list[Finding]:
        if not self.applies(path) or path in ALLOWED.get(self.name, {}):
            return []
        return [Finding(self.name, path, line, what) for line, what in self.look(path, text)]


ALLOWED: Mapping[str, Mapping[str, str]] = {
    "Lines of at most 100 columns": {
        SERVER + "migrations/versions/0009_jobs.sql": "PgQueuer's schema, as PgQueuer prints it",
        "web/src/styles/dashboard-signs.css": "each sign is one address of data, on one line",
    },
    "No float near money": {
        SERVER + "api/strict_json.py": "judges the range of numbers that the request spelled",
    },
    "No catch-all outside the edge": {
        SERVER + "api/edge.py": "the edge: whatever escapes is a bug, logged and answered",
        SERVER + "chain/executor/loop.py": "worker loop: a sender that stops must not stop another",
        SERVER + "chain/indexer.py": "worker loop: a network that stops must not stop another",
        SERVER + "worker.py": "worker loop: a turn that fails is logged and taken again",
        SERVER + "plumbing/outbox.py": "worker loop: it outlives a handler's bug and retries",
        SERVER + "plumbing/testing_jobs.py": "worker loop: the fake does as the real one",
        SERVER + "web/checkout/live.py": "worker loop: one session must not end others' pages",
        SERVER + "webhooks/dispatch.py": "worker loop: one letter's trouble must not stop others",
    },
    "A store keeps to its own tables": {
        SERVER + "webhooks/store.py": "a range of 10^5 events is posted again in one statement",
        SERVER + "webhooks/store_queue.py": "letters are read from events with their claim",
        SERVER + "webhooks/store_log.py": "a line of the log names its event's type",
    },
}


@lru_cache(maxsize=1)
def nodes_of(text: str) -> list[ast.AST]:
    """The syntax tree of a file, kept for the next rule that looks at it."""
    return list(ast.walk(ast.parse(text)))


# --- where a rule applies -------------------------------------------------------------------------


def in_product(path: str) -> bool:
    """Python that is shipped."""
    return path.endswith(".py") and path.startswith((SERVER, "sdk/src/"))


def below_the_edge(path: str) -> bool:
    """Shipped Python that must take the time and chance of its transaction."""
    return in_product(path) and not path.startswith((SERVER + "plumbing/", SERVER + "cli/"))


def in_server_below_the_edge(path: str) -> bool:
    return below_the_edge(path) and path.startswith(SERVER)


def outside_cli(path: str) -> bool:
    return in_product(path) and not path.startswith(SERVER + "cli/")


def is_python(path: str) -> bool:
    return path.endswith(".py")


def is_foreign_source(path: str) -> bool:
    """Ruff sees to the lines of Python."""
    return is_source(path) and not is_python(path)


def is_source(path: str) -> bool:
    return path.endswith(SOURCE_SUFFIXES) and "/static/" not in path


def is_test(path: str) -> bool:
    return path.endswith(".py") and path.startswith("tests/") and "/tidy/" not in path


def is_text(path: str) -> bool:
    """All that is committed, but for the rules themselves and what only lists hashes."""
    return not path.startswith("tests/tidy/") and not path.endswith((".txt", ".svg"))


# --- how a breach is seen -------------------------------------------------------------------------


def calls(*names: str, instead: str) -> Callable[[str, str], Iterator[tuple[int, str]]]:
    """Finds calls of the dotted ``names``; a name that ends with a dot stands for a module."""

    def look(_path: str, text: str) -> Iterator[tuple[int, str]]:
        for node in nodes_of(text):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                for name in names:
                    if called == name or (name.endswith(".") and called.startswith(name)):
                        yield node.lineno, f"{called}(: use {instead}"

    return look


def catch_alls(_path: str, text: str) -> Iterator[tuple[int, str]]:
    for node in nodes_of(text):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = "" if node.type is None else ast.unparse(node.type)
        words = re.findall(r"\w+", caught)
        passes_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        if (not words or {"Exception", "BaseException"} & set(words)) and not passes_on:
            yield node.lineno, f"except {caught}: name what you expect, and let bugs escape"


def long_functions(_path: str, text: str) -> Iterator[tuple[int, str]]:
    for node in nodes_of(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"


def long_files(_path: str, text: str) -> Iterator[tuple[int, str]]:
    lines = len(text.splitlines())
    if lines > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"{lines} lines, at most {FILE_LINES_MAX}"


def long_lines(_path: str, text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {LINE_COLUMNS_MAX}"


def endless_loops(_path: str, text: str) -> Iterator[tuple[int, str]]:
    lines = text.splitlines()
    for node in nodes_of(text):
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant):
            near = lines[max(0, node.lineno - 2) : node.lineno]
            if not any("# bounded:" in line for line in near):
                yield node.lineno, "say what ends this loop: `# bounded: …`"


def mocks(_path: str, text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\b(unittest\.mock|from unittest import mock|mocker\b|assert_called)", line):
            yield number, "use the real part, or the fake that its port ships"


def left_overs(_path: str, text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line)
        if found:
            yield number, f"{found[0]}: do it, or write it where work is planned"


def machine_names(_path: str, text: str) -> Iterator[tuple[int, str]]:
    paths = r"(?<![\w.:/$}])/(?:work|root|opt|home/\w+)/\w"
    hosts = r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|crates\.io|deb\.debian\.org"
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(f"{paths}|{hosts}", line)
        if found:
            yield number, f"{found[0]}: true on one machine only"


STATEMENT = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s", re.MULTILINE)
TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:ONLY\s+)?([a-z_]+)")


def sql_texts(text: str) -> Iterator[tuple[int, str]]:
    """The string constants (also parts of f-strings) that hold SQL statements."""
    for node in nodes_of(text):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from [(node.lineno, node.value)] if STATEMENT.search(node.value) else []


def sql_outside_stores(_path: str, text: str) -> Iterator[tuple[int, str]]:
    for line, sql in sql_texts(text):
        yield line, f"SQL belongs in the slice's store: {' '.join(sql.split())[:40]}"


def may_not_hold_sql(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return (
        in_product(path)
        and not path.startswith((SERVER + "plumbing/", SERVER + "migrations/"))
        and not name.startswith("store")
    )


def foreign_tables(
    owners: Mapping[str, str],
) -> Callable[[str, str], Iterator[tuple[int, str]]]:
    """Finds tables of another slice; ``owners`` tells the slice of each table."""

    def look(path: str, text: str) -> Iterator[tuple[int, str]]:
        mine = path.removeprefix(SERVER).split("/")[0]
        for line, sql in sql_texts(text):
            for table in TABLE.findall(sql):
                if owners.get(table, mine) != mine:
                    yield line, f"{table} belongs to {owners[table]}: call its operations"

    return look


_WIDER = {
    "events": "plumbing",
    "jobs": "plumbing",
    "request_log": "plumbing",
    "branding": "accounts",
    "people": "accounts",
    "second_factors": "accounts",
    "payouts": "accounts",
    "preferences": "accounts",
    "ownership": "accounts",
    "limits": "accounts",
    "passkeys": "accounts",
    "sign_in_answers": "accounts",
    "member_language": "accounts",
    "key_uses": "accounts",
    "ledger_days": "ledger",
    "lists": "sessions",
    "statistics": "links",
    "approvals": "sessions",
    "executor": "chain",
    "refunds": "sessions",
    "holds": "sessions",
    "deposits": "sessions",
    "unmatched": "sessions",
    "x402": "agents",
}
"""The package of a migration's tables where it has another name."""


def table_owners(migrations: Mapping[str, str]) -> dict[str, str]:
    """Table → slice, from the migrations: ``0005_sessions.sql`` makes the tables of sessions."""
    owners = {}
    for name, sql in migrations.items():
        noun = name.removesuffix(".sql").split("_", 1)[1]
        owner = _WIDER.get(noun, noun)
        for table in re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+)", sql):
            owners[table] = owner
    return owners


def all_rules(owners: Mapping[str, str]) -> list[Rule]:
    clock = calls("datetime.now", "datetime.utcnow", "time.time", instead="tx.now")
    chance = calls("random.", "uuid.uuid4", "secrets.", instead="tx.mint")
    floats = calls("float", instead="Money or an integer of a named unit")
    return [
        Rule("Functions of at most 60 lines", is_python, long_functions),
        Rule("Files of at most 500 lines", is_source, long_files),
        Rule("Lines of at most 100 columns", is_foreign_source, long_lines),
        Rule("Time comes from the transaction", in_server_below_the_edge, clock),
        Rule("Chance comes from the mint", in_server_below_the_edge, chance),
        Rule("No float near money", in_product, floats),
        Rule("No print outside the command line", outside_cli, calls("print", instead="the log")),
        Rule("No catch-all outside the edge", in_product, catch_alls),
        Rule("Every loop has a bound", in_product, endless_loops),
        Rule("SQL stands in stores", may_not_hold_sql, sql_outside_stores),
        Rule("A store keeps to its own tables", in_product, foreign_tables(owners)),
        Rule("No mocks", is_test, mocks),
        Rule("No left-overs", is_text, left_overs),
        Rule("Nothing of one machine", is_text, machine_names),
    ]
