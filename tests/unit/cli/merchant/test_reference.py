"""Every command of docs/reference/cli.md does what it says; those that need chains or a server of
the developer's own run in tests/e2e/test_cli.py, from the same text."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from gstable import Response
from gstable_server.cli.app import app
from gstable_server.cli.merchant import following
from tests.unit.cli.merchant.support import Platform, typed
from tests.unit.sdk import samples
from tests.unit.sdk.event_cases import DELIVERY, EVENT
from tests.unit.sdk.log_cases import ENTRY

STORIES = ("listen", "trigger", "pay")
"""Verbs whose examples are run against an installation."""
PAGE = {"total": 1, "page": 1, "size": 20}
ANSWERS: dict[str, Any] = {
    "/product/list/1/5": samples.PRODUCTS_PAGE,
    "/product/list/by/ids": [samples.PRODUCT],
    "/payment/link/list/1/100": samples.LINKS_PAGE,
    "/payment/link/lnk_1": samples.LINK,
    "/session/list/completed/1/20": samples.SESSIONS_PAGE,
    "/session/sess_1": samples.DETAIL,
    "/webhook/list": {"webhooks": [samples.WEBHOOK]},
    "/webhook/detail/wkid_1": samples.WEBHOOK,
    "/account/list": [samples.ACCOUNT],
    "/account/detail/acc_1": samples.ACCOUNT,
    "/event/list/1/20": {**PAGE, "events": [EVENT]},
    "/event/list/1/10": {**PAGE, "size": 10, "events": [EVENT]},
    "/event/detail/evt_1": EVENT,
    "/event/deliveries/evt_1": {"deliveries": [DELIVERY]},
    "/event/feed/start/100": {"events": [], "cursor": "c"},
    "/event/feed/c/100": Response.envelope(code=200101, message="Invalid API key", status=401),
    "/event/resend": {"success": True, "messages": 1},
    "/event/resend/range": {"success": True, "messages": 1},
    "/log/feed/tail/5": {"entries": [ENTRY], "cursor": "9"},
    "/log/feed/tail/20": {"entries": [ENTRY], "cursor": "9"},
    "/log/feed/9/100": Response.envelope(code=200101, message="Invalid API key", status=401),
}


def commands() -> list[list[str]]:
    """The words of each line of the reference's shell blocks, with identifiers of the samples."""
    text = (Path(__file__).parents[4] / "docs/reference/cli.md").read_text(encoding="utf-8")
    lines = [
        shlex.split(line, comments=True)
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    return [[re.sub(r"^([a-z]+_)\w{16,}$", r"\g<1>1", word) for word in line] for line in lines]


EXAMPLES = [words[1:] for words in commands() if words[1] not in STORIES]


@pytest.mark.parametrize("words", EXAMPLES, ids=" ".join)
def test_the_example_works(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0)
    platform.answers |= ANSWERS
    result = typed(*words)
    endless = "--follow" in words or words[:2] == ["events", "tail"]
    # What has no end is ended here by a key that has died.
    assert result.exit_code == (1 if endless else 0), result.output
    assert result.stdout or "session.*" in words


def test_every_verb_has_an_example() -> None:
    shown = {tuple(words[1:3]) for words in commands()}
    groups: Any = typer.main.get_command(app)
    for name in ("products", "links", "sessions", "webhooks", "accounts", "events", "logs"):
        for verb in groups.commands[name].commands:
            assert (name, verb) in shown, f"{name} {verb}"
    assert set(STORIES) <= {first for first, *_ in shown}
