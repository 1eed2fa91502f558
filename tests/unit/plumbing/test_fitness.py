"""What a server for real money refuses to start with."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from gstable_server.plumbing.config import Settings
from gstable_server.plumbing.fitness import problems_in_live_mode

GOOD: dict[str, Any] = {
    "DATABASE_URL": "postgresql://gstable:correct-horse-battery@10.0.0.5/gstable",
    "public_url": "https://pay.example.com",
    "order_signing_key": secrets.token_hex(32),
    "relayer_key": secrets.token_hex(32),
    "fee_receiver": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
}
ANVIL = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # known to everybody


def problems(**changes: Any) -> list[str]:
    return problems_in_live_mode(Settings(_env_file=None, **{**GOOD, **changes}))


def test_ops_12_good_settings_have_no_problem() -> None:
    assert problems() == []
    assert problems(DATABASE_URL="postgresql:///gstable?host=/run/postgresql") == []
    assert problems(DATABASE_URL="postgresql://gstable@db.internal/gstable") == []


@pytest.mark.parametrize(
    ("variable", "changes"),
    [
        ("GSTABLE_PUBLIC_URL", {"public_url": "http://pay.example.com"}),
        ("GSTABLE_PUBLIC_URL", {"public_url": "https://"}),
        ("GSTABLE_PUBLIC_URL", {"public_url": "https://me:secret@pay.example.com"}),
        ("GSTABLE_LOG_LEVEL", {"log_level": "DEBUG"}),
        ("GSTABLE_WEBHOOK_ALLOW_LOOPBACK", {"webhook_allow_loopback": True}),
        ("GSTABLE_FEE_RECEIVER", {"fee_receiver": "0x" + "0" * 40}),
        ("GSTABLE_ORDER_SIGNING_KEY", {"order_signing_key": ""}),
        ("GSTABLE_ORDER_SIGNING_KEY", {"order_signing_key": "changeme"}),
        ("GSTABLE_ORDER_SIGNING_KEY", {"order_signing_key": "11" * 32}),
        ("GSTABLE_ORDER_SIGNING_KEY", {"order_signing_key": "0" * 63 + "1"}),
        ("GSTABLE_ORDER_SIGNING_KEY", {"order_signing_key": bytes(range(32)).hex()}),
        ("GSTABLE_ORDER_SIGNING_KEY", {"order_signing_key": secrets.token_hex(16) * 2}),
        ("GSTABLE_RELAYER_KEY", {"relayer_key": ANVIL}),
        ("GSTABLE_RELAYER_KEY", {"relayer_key": "0x" + GOOD["order_signing_key"]}),
        ("GSTABLE_SOLVER_KEY", {"solver_key": "deadbeef" * 8}),
        ("GSTABLE_ATTESTOR_KEY", {"attestor_key": GOOD["relayer_key"]}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql://gstable:gstable@10.0.0.5/gstable"}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql://postgres:postgres@db/gstable"}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql://gstable:aaaaaaaaaaaaaaaa@db/gstable"}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql://user:@db/gstable"}),
        (
            "DATABASE_URL",
            {"DATABASE_URL": "postgresql://merchantpayments:merchantpayments@db/gstable"},
        ),
    ],
)
def test_ops_12_what_is_weak_default_or_for_development_is_named(
    variable: str, changes: dict[str, Any]
) -> None:
    [problem] = problems(**changes)
    assert problem.startswith(f"{variable}: ")
    for value in changes.values():
        assert len(str(value)) < 9 or str(value) not in problem, "a secret is never told"


def test_ops_12_every_problem_is_named_at_once() -> None:
    found = problems(public_url="http://localhost:8000", log_level="debug", relayer_key=ANVIL)
    assert len(found) == 3
