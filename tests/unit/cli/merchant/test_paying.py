"""``pay`` before anything is signed: what is asked for, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gstable_server.cli.merchant.connection import MerchantFailed
from gstable_server.cli.merchant.paying import _address
from tests.unit.cli.merchant.support import Platform, typed

LINK = "lnk_" + "a" * 32
SESSION = "sess_" + "b" * 32


@pytest.mark.parametrize(
    ("target", "base", "page"),
    [
        (LINK, "http://127.0.0.1:9", f"/link/{LINK}"),
        (SESSION, "http://127.0.0.1:9", f"/pay/{SESSION}"),
        (f"https://pay.example.com/link/{LINK}", "https://pay.example.com", f"/link/{LINK}"),
        (f"http://localhost:8000/pay/{SESSION}/", "http://localhost:8000", f"/pay/{SESSION}"),
        (f"http://localhost/pay/{SESSION}?a=1#b", "http://localhost", f"/pay/{SESSION}"),
    ],
)
def test_addresses_and_ids_name_a_page(
    platform: Platform, target: str, base: str, page: str
) -> None:
    assert _address(target) == (base, base + page)


@pytest.mark.parametrize(
    "target",
    ["", "prd_1", "lnk_", "https://pay.example.com/", f"https://pay.example.com/x/{LINK}", "a/b"],
)
def test_anything_else_is_refused(platform: Platform, target: str) -> None:
    with pytest.raises(MerchantFailed, match="neither a link nor a session"):
        _address(target)


def test_the_wallet_comes_from_the_environment_only(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("GSTABLE_PAYER_KEY", "GSTABLE_NETWORKS_FILE"):
        monkeypatch.delenv(name, raising=False)
    missing = typed("pay", SESSION, "--yes")
    assert missing.exit_code == 1
    assert missing.stderr == "gstable: set GSTABLE_PAYER_KEY, GSTABLE_NETWORKS_FILE\n"
    monkeypatch.setenv("GSTABLE_PAYER_KEY", "0x" + "11" * 32)
    monkeypatch.setenv("GSTABLE_NETWORKS_FILE", str(tmp_path / "none.toml"))
    unknown = typed("pay", SESSION, "--yes")
    assert unknown.exit_code == 1
    assert "none.toml" in unknown.stderr
    assert unknown.stderr.count("\n") == 1


def test_a_key_that_is_none_is_not_repeated(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSTABLE_NETWORKS_FILE", "networks.toml")
    monkeypatch.setenv("GSTABLE_PAYER_KEY", "c4n4ry")
    failed = typed("pay", SESSION, "--yes")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("gstable: GSTABLE_PAYER_KEY: ")
    assert "c4n4ry" not in failed.output
