"""``events.json``: every event that merchants can hear of, as published, beside what is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gstable import webhooks
from gstable_server import flow
from gstable_server.webhooks.model import AUDIENCES, EVENT_TYPES

KEY = "wkk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"


@pytest.fixture(scope="module")
def published(repository: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((repository / "events.json").read_text())
    return rows


def test_every_event_that_can_be_subscribed_is_published(published: list[dict[str, Any]]) -> None:
    assert [row["eventType"] for row in published] == list(EVENT_TYPES)


def test_what_is_said_to_be_sent_is_handed_to_the_mailman(published: list[dict[str, Any]]) -> None:
    sent = {row["eventType"] for row in published if row["sent"]}
    posted = {name for name, next in flow.NEXT.items() if flow.post_letter in next}
    assert sent <= posted
    assert posted - sent == set(AUDIENCES)


def test_the_sdks_examples_have_the_published_form(published: list[dict[str, Any]]) -> None:
    for row in published:
        body, headers = webhooks.example(row["eventType"], KEY)
        event = webhooks.verify(body, headers, KEY)
        assert event.business_type == row["businessType"], row
        assert sorted(event.payload) == row["payload"], row
