"""The five steps of the SDK's README, as they stand there, and a payment at their end."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from gstable import Client
from gstable_server.cli.payer import Payer, open_http
from tests.contract.shapes import DETAIL, TRANSACTION, matches
from tests.contract.support import open_wire
from tests.running import Running, eventually

PAID = {"session": DETAIL["session"], "transaction": TRANSACTION}
EXAMPLE = re.compile(r"<!-- example: five-steps -->\n```python\n(.*?)```", re.DOTALL)


def example(repository: Path) -> str:
    [text] = EXAMPLE.findall((repository / "sdk" / "README.md").read_text(encoding="utf-8"))
    return str(text)


def pay(running: Running, payment_url: str, token_id: str) -> None:
    async def visit() -> None:
        async with open_http() as http:
            key = running.payer_keys[1]
            await Payer(http, running.base_url, running.networks, key).pay(payment_url, token_id)

    asyncio.run(visit())


def deliveries(running: Running, session_id: str, event_type: str) -> list[dict[str, Any]]:
    """Every letter of that type about the session, to any endpoint that points at the inbox."""
    with urlopen(running.about["webhookInbox"]) as response:
        arrived = json.load(response)
    return [
        letter
        for letter in arrived
        if letter["body"]["eventType"] == event_type
        and letter["body"]["payload"]["sessionData"]["sessionId"] == session_id
    ]


def test_the_five_steps_lead_to_settled_money(
    running: Running,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {
        "GSTABLE_API_KEY": running.api_key,
        "GSTABLE_BASE_URL": running.about["baseUrl"],
        "GSTABLE_PUBLIC_BASE_URL": running.about["publicBaseUrl"],
        "GSTABLE_ACCOUNT_ID": running.account_id,
        "GSTABLE_WEBHOOK_URL": running.about["webhookInbox"],
    }.items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {}
    exec(compile(example(repository), "sdk/README.md", "exec"), names)
    client: Client = names["client"]
    session = names["session"]
    try:
        printed = capsys.readouterr().out
        assert f"share {names['link'].link_url}" in printed
        assert f"send the buyer to {session.payment_url}" in printed
        assert f"order {names['order_id']} is initialized" in printed
        assert [one.name for one in names["products"]] == ["Green tea", "Cup"]

        pay(running, session.payment_url, names["settlement_token"])

        # The same event goes to every endpoint; the one that the example made is ours to verify.
        def heard() -> bool:
            for letter in deliveries(running, session.session_id, "session.completed"):
                body = json.dumps(letter["body"], ensure_ascii=False, separators=(",", ":"))
                if names["receive"](body.encode(), letter["headers"]) == 200:
                    return True
            return False

        eventually(heard, "the example accepts the signed session.completed")
        told = f"the money is in the wallet, ship {{'orderId': '{names['order_id']}'}}"
        assert told in capsys.readouterr().out
        found = client.checkout_session.detail(session.session_id)
        assert found.session.status == "completed"
        assert found.transaction is not None
        assert found.transaction.payment_value == 13_500_000
        with open_wire(running.base_url, running.api_key) as wire:
            matches(wire.data(f"/session/{session.session_id}"), PAID)
        forged = names["receive"](b"{}", {"x-gstable-timestamp": "1", "x-gstable-signature": "0"})
        assert forged == 400
    finally:
        client.webhook.remove(names["endpoint"].webhook_id)
        client.close()
