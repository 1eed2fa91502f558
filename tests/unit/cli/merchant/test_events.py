"""``events`` and ``logs``: what they ask for, what they print, and that they lose nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gstable import Response
from gstable_server.cli.merchant import following
from tests.unit.cli.merchant.support import Platform, Turns, away, objects, typed
from tests.unit.sdk.event_cases import DELIVERY, EVENT
from tests.unit.sdk.log_cases import ENTRY

STOP = Response.envelope(code=200101, message="Invalid API key", status=401)
"""What ends a verb that has no other end; the user's Ctrl-C is in the stories of tests/e2e."""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0)
    monkeypatch.setattr(following, "AWAY_SECONDS", 0)


def event(number: int, event_type: str = "product.created") -> dict[str, Any]:
    return {**EVENT, "eventId": f"evt_{number}", "eventType": event_type}


def feed(cursor: str, *events: Any) -> dict[str, Any]:
    return {"events": list(events), "cursor": cursor}


def ids(lines: Sequence[Any]) -> list[str]:
    return [one["eventId"] for one in lines]


def printed(result: Any) -> list[Any]:
    """What came before the end that the test made."""
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("gstable: [200101]")
    result.exit_code = 0
    return objects(result)


def test_a_page_and_all_of_them(platform: Platform) -> None:
    page = {"total": 1, "page": 1, "size": 20, "events": [EVENT]}
    platform.answers["/event/list/1/20"] = page
    platform.answers["/event/list/1/100"] = {**page, "size": 100}
    shown = typed("events", "list").stdout
    assert "evt_1" in shown
    assert "product.created" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert objects(typed("events", "list", "--json"))[0]["items"] == [EVENT]
    assert objects(typed("events", "list", "--all", "--json")) == [EVENT]
    assert "evt_1" in typed("events", "list", "--all").stdout


def test_a_payload_cannot_steer_the_terminal(platform: Platform) -> None:
    written = {"sessionData": {"payerEmail": "\x1b]0;x\x07\x9b31mé\u202ec"}}
    platform.answers["/event/detail/evt_1"] = {**EVENT, "payload": written}
    platform.answers["/event/deliveries/evt_1"] = {"deliveries": []}
    shown = typed("events", "show", "evt_1").stdout
    assert "\ufffd31mé\ufffdc" in shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


def test_an_event_is_shown_with_its_deliveries(platform: Platform) -> None:
    platform.answers["/event/detail/evt_1"] = EVENT
    platform.answers["/event/deliveries/evt_1"] = {"deliveries": [DELIVERY]}
    shown = typed("events", "show", "evt_1").stdout
    for text in ("product.created", '"productId": "prd_1"', "wkid_1", "timeout", "500"):
        assert text in shown
    [found] = objects(typed("events", "show", "evt_1", "--json"))
    assert found == {**EVENT, "deliveries": [DELIVERY]}


def test_tail_begins_with_the_last_and_tells_each_once(platform: Platform) -> None:
    platform.answers |= {
        "/event/feed/start/100": feed("c0"),
        # Event 2 happened between the two first answers.
        "/event/list/1/2": {"total": 2, "page": 1, "size": 2, "events": [event(2), event(1)]},
        "/event/feed/c0/100": feed("c1", event(2), event(3)),
        "/event/feed/c1/100": Turns([feed("c1"), feed("c2", event(4))]),
        "/event/feed/c2/100": STOP,
    }
    lines = printed(typed("events", "tail", "-n", "2", "--json"))
    assert ids(lines) == ["evt_1", "evt_2", "evt_3", "evt_4"]


def test_a_server_that_is_away_is_told_once_and_read_on_from_the_cursor(
    platform: Platform,
) -> None:
    broken = Response.envelope(code=999999, message="Internal error", status=500)
    platform.answers |= {
        "/event/feed/start/100": feed("c0"),
        "/event/feed/c0/100": Turns([away(), broken, away(), feed("c1", event(1))]),
        "/event/feed/c1/100": STOP,
    }
    result = typed("events", "tail", "-n", "0", "--json")
    assert ids(printed(result)) == ["evt_1"]
    told = [line.partition(";")[0] for line in result.stderr.splitlines()]
    assert told == [
        "gstable: no answer from http://127.0.0.1:9/api/v1: connection refused",
        "gstable: it is back",
        "gstable: [200101] Invalid API key",
    ]


def test_only_the_wanted_types_are_shown(platform: Platform) -> None:
    happened = [event(1), event(2, "session.paid"), event(3, "payment.link.created")]
    platform.answers |= {
        "/event/feed/start/100": feed("c0"),
        "/event/feed/c0/100": feed("c1", *happened),
        "/event/feed/c1/100": STOP,
    }
    for names, wanted in (("session.*", [2]), ("session.paid, product.*", [1, 2])):
        result = typed("events", "tail", "-n", "0", "--json", "--events", names)
        assert ids(printed(result)) == [f"evt_{number}" for number in wanted]


def test_resend_says_how_many_are_on_the_way(platform: Platform) -> None:
    platform.answers["/event/resend"] = {"success": True, "messages": 1}
    assert typed("events", "resend", "evt_1").stdout == "1 delivery on the way\n"
    result = typed("events", "resend", "evt_1", "--webhook", "wkid_1", "--json")
    assert objects(result) == [{"success": True, "messages": 1}]
    assert [body for _, _, body in platform.asked] == [
        {"eventId": "evt_1"},
        {"eventId": "evt_1", "webhookId": "wkid_1"},
    ]


def test_a_range_is_given_in_the_ways_that_people_write_times(platform: Platform) -> None:
    platform.answers["/event/resend/range"] = {"success": True, "messages": 0}
    words = ("events", "resend-range", "wkid_1")
    shown = typed(*words, "--since", "1790000000", "--until", "2026-09-22T00:00:00")
    assert shown.stdout == "0 deliveries on the way\n"
    typed(*words, "--since", "2h", "--until", "1h")
    typed(*words, "--since", "2026-09-22T02:00:00+02:00")
    exact, ago, zoned = (body for _, _, body in platform.asked)
    assert exact == {"webhookId": "wkid_1", "since": 1_790_000_000, "until": 1_790_035_200}
    assert ago["until"] - ago["since"] in {3600, 3601}
    assert zoned["since"] == 1_790_035_200


def test_the_last_requests_fit_into_80_columns(platform: Platform) -> None:
    long = {**ENTRY, "method": "GET", "path": "/session/sess_" + "X" * 32, "durationMs": 1234}
    refused = {**ENTRY, "code": 400101}
    gone = {**ENTRY, "status": 0, "code": None}
    platform.answers["/log/feed/tail/20"] = {"entries": [long, refused, gone], "cursor": "9"}
    first, second, third = typed("logs", "tail").stdout.splitlines()
    assert first.split() == ["03:04:05", "200", "1234", "ms", "GET", long["path"]]
    assert len(first) <= 80
    assert second.split() == [
        "03:04:05", "200", "400101", "4", "ms", "POST", "/product/create", "req_1"
    ]  # fmt: skip
    assert third.split()[1] == "0"


def test_logs_are_followed_from_the_last_one_on(platform: Platform) -> None:
    later = {**ENTRY, "requestId": "req_2"}
    platform.answers |= {
        "/log/feed/tail/1": {"entries": [ENTRY], "cursor": "9"},
        "/log/feed/9/100": Turns([away(), {"entries": [later], "cursor": "10"}]),
        "/log/feed/10/100": STOP,
    }
    assert objects(typed("logs", "tail", "-n", "1", "--json")) == [ENTRY]
    lines = printed(typed("logs", "tail", "-n", "1", "--follow", "--json"))
    assert lines == [ENTRY, later]


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_key_that_was_given_to_listen_is_not_printed(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, as_json: tuple[str, ...]
) -> None:
    platform.answers |= {"/event/feed/start/100": feed("c0"), "/event/feed/c0/100": STOP}
    words = ("listen", "--forward-to", "http://127.0.0.1:1/", *as_json)
    assert "wkk_" in typed(*words).stdout
    monkeypatch.setenv("GSTABLE_LISTEN_SECRET", "wkk_of_the_shop")
    given = typed(*words)
    assert "http://127.0.0.1:1/" in given.stdout
    assert "wkk_" not in given.output
