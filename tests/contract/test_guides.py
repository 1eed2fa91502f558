"""What README.md and the first hour show in Python, run against a server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gstable import Client, SignatureError, webhooks
from tests.running import Running


def shown(file: Path) -> dict[str, Any]:
    """The names that the one Python block of a document defines."""
    [source] = re.findall(r"^```python\n(.*?)^```", file.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(source, file.name, "exec", dont_inherit=True), names)
    return names


def session_at(running: Running, payment_url: str) -> Any:
    assert payment_url.startswith(f"{running.base_url}/pay/sess_")
    with running.client() as client:
        return client.checkout_session.detail(payment_url.rsplit("/", 1)[1]).session


def test_the_five_steps_of_the_readme(running: Running, repository: Path) -> None:
    names = shown(repository / "README.md")
    with Client(running.api_key, base_url=running.about["baseUrl"]) as client:
        payment_url = names["five_steps"](client, running.account_id)
        [link] = client.payment_link.list(1, 1).items
    assert link.link_name == "Tea for two"
    assert session_at(running, payment_url).amount == 9_000_000

    body, headers = webhooks.example("session.completed", "wkk_0123456789abcdef")
    assert names["receive"](body, headers, "wkk_0123456789abcdef") is True
    with pytest.raises(SignatureError):
        names["receive"](body, headers, "wkk_another")


def test_the_session_of_the_first_hour(running: Running, repository: Path) -> None:
    open_session = shown(repository / "docs" / "guide" / "start.md")["open_session"]
    url = open_session(running.api_key, running.account_id, running.about["baseUrl"])
    session = session_at(running, url)
    assert (session.amount, session.metadata) == (2_500_000, {"orderId": "42"})
