"""``list`` and ``show`` of every family, for people and for programs."""

from __future__ import annotations

from typing import Any

import pytest

from gstable import Response
from tests.unit.cli.merchant.support import Platform, away, objects, typed
from tests.unit.sdk import samples

LONG_SESSION = "sess_" + "X" * 32
LONG = {**samples.SESSION, "sessionId": LONG_SESSION, "status": "settlement_pending"}
LISTS: dict[str, tuple[str, Any, str]] = {
    "products": ("/product/list/1/20", samples.PRODUCTS_PAGE, "prd_1"),
    "links": ("/payment/link/list/1/20", samples.LINKS_PAGE, "lnk_1"),
    "sessions": ("/session/list/all/1/20", samples.SESSIONS_PAGE, "sess_1"),
    "webhooks": ("/webhook/list", {"webhooks": [samples.WEBHOOK]}, "wkid_1"),
    "accounts": ("/account/list", [samples.ACCOUNT], "acc_1"),
}
DETAILS: dict[str, tuple[str, Any, str]] = {
    "products": ("/product/list/by/ids", [samples.PRODUCT], "prd_1"),
    "links": ("/payment/link/lnk_1", samples.LINK, "lnk_1"),
    "sessions": ("/session/sess_1", samples.DETAIL, "sess_1"),
    "webhooks": ("/webhook/detail/wkid_1", samples.WEBHOOK, "wkid_1"),
    "accounts": ("/account/detail/acc_1", samples.ACCOUNT, "acc_1"),
}


@pytest.mark.parametrize("family", LISTS)
def test_a_page_is_a_table_or_one_object(platform: Platform, family: str) -> None:
    path, answer, object_id = LISTS[family]
    platform.answers[path] = answer
    shown = typed(family, "list")
    assert shown.exit_code == 0
    assert object_id in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80

    [page] = objects(typed(family, "list", "--json"))
    assert (page["total"], page["page"], page["size"]) == (1, 1, 20)
    assert object_id in str(page["items"][0])


@pytest.mark.parametrize("family", DETAILS)
def test_one_object_is_shown_whole(platform: Platform, family: str) -> None:
    path, answer, object_id = DETAILS[family]
    platform.answers[path] = answer
    shown = typed(family, "show", object_id)
    assert shown.exit_code == 0
    assert object_id in shown.stdout
    [found] = objects(typed(family, "show", object_id, "--json"))
    assert object_id in str(found)


def test_every_page_is_an_object_a_line(platform: Platform) -> None:
    first = {**samples.PRODUCT, "productId": "prd_2"}
    for number, product in (("1", first), ("2", samples.PRODUCT)):
        page = {"total": 101, "page": number, "size": "100", "products": [product]}
        platform.answers[f"/product/list/{number}/100"] = page
    found = objects(typed("products", "list", "--all", "--json"))
    assert [one["productId"] for one in found] == ["prd_2", "prd_1"]
    shown = typed("products", "list", "--all").stdout
    assert "prd_2" in shown
    assert "prd_1" in shown


def test_what_is_not_on_the_page_is_told(platform: Platform) -> None:
    platform.answers["/product/list/2/1"] = {
        "total": 5, "page": "2", "size": "1", "products": [samples.PRODUCT]
    }  # fmt: skip
    shown = typed("products", "list", "--page", "2", "--size", "1").stdout
    assert shown.splitlines()[-1] == "2 of 5; more with --page 3 or --all"


def test_sessions_are_listed_by_status(platform: Platform) -> None:
    platform.answers["/session/list/completed/1/20"] = samples.SESSIONS_PAGE
    assert typed("sessions", "list", "--status", "completed").exit_code == 0
    refused = typed("sessions", "list", "--status", "lost")
    assert refused.exit_code == 2
    assert len(platform.asked) == 1


def test_an_identifier_is_never_broken_at_80_columns(platform: Platform) -> None:
    page = {**samples.SESSIONS_PAGE, "sessions": [{"session": LONG, "transaction": None}]}
    platform.answers["/session/list/all/1/20"] = page
    shown = typed("sessions", "list").stdout
    assert LONG_SESSION in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_amounts_and_times_are_for_people_in_the_text_only(platform: Platform) -> None:
    platform.answers["/session/sess_1"] = samples.DETAIL
    shown = typed("sessions", "show", "sess_1").stdout
    assert "9.00 USD" in shown
    assert "2027-01-15 08:30:00 UTC" in shown
    [found] = objects(typed("sessions", "show", "sess_1", "--json"))
    assert found["session"]["amount"] == 9_000_000
    assert found["session"]["expirationTime"] == 1_800_001_800


def test_secrets_of_the_results_are_not_shown(platform: Platform) -> None:
    platform.answers["/webhook/detail/wkid_1"] = samples.WEBHOOK
    platform.answers["/session/sess_1"] = samples.DETAIL
    for words in (("webhooks", "show", "wkid_1"), ("sessions", "show", "sess_1")):
        for result in (typed(*words), typed(*words, "--json")):
            assert result.exit_code == 0
            assert samples.WEBHOOK["key"] not in result.output
            assert '"cc_1"' not in result.output


def test_what_a_payer_wrote_cannot_steer_the_terminal(platform: Platform) -> None:
    session = {**samples.SESSION, "payerEmail": "\x1b]0;x\x07[bold]a@b\u202ec", "status": "paid"}
    platform.answers["/session/sess_1"] = {"session": session, "transaction": None}
    shown = typed("sessions", "show", "sess_1").stdout
    assert "\ufffd]0;x\ufffd[bold]a@b\ufffdc" in shown
    assert "\x1b" not in shown


def test_what_a_payer_wrote_cannot_steer_the_terminal_in_json(platform: Platform) -> None:
    session = {**samples.SESSION, "payerEmail": "\x9b31mé\u202ec", "status": "paid"}
    platform.answers["/session/sess_1"] = {"session": session, "transaction": None}
    result = typed("sessions", "show", "sess_1", "--json")
    assert r"\u009b31mé\u202ec" in result.stdout
    [found] = objects(result)
    assert found["session"]["payerEmail"] == "\x9b31mé\u202ec"
    refusal = Response.envelope(code=400301, message="no\x1b[2J such \x9b1m thing", status=404)
    platform.answers["/session/sess_1"] = refusal
    assert typed("sessions", "show", "sess_1").stderr == (
        "gstable: [400301] no\ufffd[2J such \ufffd1m thing\n"
    )


def test_a_refusal_is_one_line(platform: Platform) -> None:
    platform.answers["/product/list/by/ids"] = []
    missing = typed("products", "show", "prd_9")
    assert (missing.exit_code, missing.stderr) == (1, "gstable: there is no product prd_9\n")
    refused = typed("sessions", "show", "sess_9")
    assert refused.exit_code == 1
    assert refused.stderr == "gstable: [400301] no answer for /session/sess_9\n"
    assert refused.stdout == ""


def test_no_answer_names_the_address(platform: Platform) -> None:
    platform.answers["/account/list"] = away()
    failed = typed("accounts", "list")
    assert failed.exit_code == 1
    assert failed.stderr == (
        "gstable: no answer from http://127.0.0.1:9/api/v1: connection refused\n"
    )


def test_a_key_is_needed(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSTABLE_API_KEY", " ")
    failed = typed("accounts", "list")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("gstable: set GSTABLE_API_KEY ")
    assert failed.stderr.count("\n") == 1


def test_what_is_typed_wrong_is_exit_code_2(platform: Platform) -> None:
    for words in (
        ("products", "list", "--page", "0"),
        ("products", "list", "--size", "101"),
        ("products", "show"),
        ("events", "tail", "--events", "session.nonsense"),
        ("events", "resend-range", "wkid_1", "--since", "yesterday"),
        ("listen", "--forward-to", "localhost:3000"),
        ("listen", "--forward-to", "http://127.0.0.1:1", "--secret", "sk_1"),
        ("pay", "sess_1", "--way", "cash"),
        ("pay", "sess_1", "--json"),
    ):
        assert typed(*words).exit_code == 2, words
    assert platform.asked == []
