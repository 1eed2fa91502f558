"""Settings with which a role could not do its work are refused at its start."""

from __future__ import annotations

import pytest

from gstable_server.plumbing.config import SettingsInvalid, load_settings


def test_a_worker_always_has_a_connection_beside_those_that_it_listens_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql:///gstable")
    monkeypatch.setenv("GSTABLE_ORDER_SIGNING_KEY", "11" * 32)
    monkeypatch.setenv("GSTABLE_FEE_RECEIVER", "0x" + "0f" * 20)
    monkeypatch.setenv("GSTABLE_DATABASE_POOL", "2")
    with pytest.raises(SettingsInvalid, match="GSTABLE_DATABASE_POOL"):
        load_settings()
    monkeypatch.setenv("GSTABLE_DATABASE_POOL", "3")
    assert load_settings().database_pool == 3
