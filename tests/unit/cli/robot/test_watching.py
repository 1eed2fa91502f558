"""Which events make the robot pay, and which do not."""

from __future__ import annotations

from typing import Any

import pytest

from gstable import Event
from gstable_server.cli.robot.scenarios import Scenario
from gstable_server.cli.robot.triggering import CAUSES, object_of
from gstable_server.cli.robot.watching import wanted
from gstable_server.flow import NEXT

SESSION = {"sessionId": "sess_1", "amount": 10_000_001, "sessionType": "checkout"}


def event(event_type: str = "session.created", **payload: Any) -> Event:
    return Event("evt_1", event_type, "session", "2026-01-01 12:00:00", True, 1, None, payload)


def test_a_new_session_with_a_magic_total_is_played() -> None:
    assert wanted(event(sessionData=SESSION)) == ("sess_1", Scenario.PAID)
    of_link = {**SESSION, "sessionType": "payment_link", "amount": 5_000_003}
    assert wanted(event(sessionData=of_link)) == ("sess_1", Scenario.OVER)


@pytest.mark.parametrize(
    "other",
    [
        event(sessionData={**SESSION, "amount": 10_000_000}),
        event(sessionData={**SESSION, "sessionType": "ai_checkout"}),
        event("session.paid", sessionData=SESSION),
        event("product.created", productData={"productId": "prd_1"}),
        event(),
    ],
    ids=["another total", "of an agent", "not new", "no session", "empty"],
)
def test_nothing_else_is(other: Event) -> None:
    assert wanted(other) is None


def test_every_event_of_what_the_api_can_change_can_be_triggered() -> None:
    nouns = ("session.", "product.", "payment.link.")
    changed = {name for name in NEXT if name.startswith(nouns)}
    # Links are closed for good in the dashboard alone.
    assert changed - {"payment.link.archived"} == set(CAUSES)


def test_the_object_of_an_event_is_known_by_its_kind() -> None:
    assert object_of(event(sessionData=SESSION, transaction=None)) == "sess_1"
    assert object_of(event("product.created", productData={"productId": "prd_1"})) == "prd_1"
    assert object_of(event("payment.link.created", linkData={"linkId": "lnk_1"})) == "lnk_1"
    assert object_of(event("account.created", accountData={"accountId": "acc_1"})) == "acc_1"
    assert object_of(event("webhook.test")) is None
