"""A process that loses what it needs is alive and not ready, and ready again by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from gstable_server import monitoring, serve
from gstable_server.api.app import create_app
from gstable_server.api.monitor import monitor_app
from gstable_server.chain.networks import Networks
from gstable_server.kernel.errors import Passing
from gstable_server.plumbing.config import Settings, SettingsInvalid
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.health import Health
from gstable_server.plumbing.metrics import REGISTRY
from tests.unit.sessions.world import POLYGON

pytestmark = pytest.mark.anyio

LIVE = """
[[network]]
name = "polygon"
title = "Polygon"
mode = "live"
chain_id = 1337137
route_group = "POL"
rpc_urls = ["http://127.0.0.1:1"]
router = "0x610178da211fef7d417bc0e6fed39f05609ad788"
router_code_hash = "0x{hash}"
confirmations = 3
start_block = 0
native_symbol = "POL"

[[network.token]]
name = "USD Coin"
symbol = "USDC"
address = "0x9fe46736679d2d9a65f0992f2272de9f3c7fa6e0"
decimals = 6
code_hash = "0x{hash}"
"""

BASE = replace(POLYGON, name="base", chain_id=POLYGON.chain_id + 1, tokens=())
NEVER = replace(POLYGON, name="never", chain_id=POLYGON.chain_id + 2, tokens=())


class Node:
    """A node that is there or not."""

    def __init__(self) -> None:
        self.is_there = True

    async def block_number(self) -> int:
        if not self.is_there:
            raise Passing("https://rpc.example.com/secret-key: connection refused")
        return 7


def asking(app: Any) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, client=("192.0.2.1", 40000))
    return httpx2.AsyncClient(transport=transport, base_url="https://pay.example.com")


async def test_ops_14_without_nodes_or_database_it_is_alive_and_not_ready(
    database: Database,
) -> None:
    node = Node()
    networks = Networks((POLYGON,))

    def health() -> Health:
        checks = monitoring.checks(database, networks, {"polygon": node})  # type: ignore[dict-item]
        return Health([replace(check, kept_seconds=0) for check in checks])

    gauges = monitoring.Gauges(database, networks)
    public = create_app(database, [], capabilities=dict, health=health())
    inside = monitor_app(health(), gauges.readings)
    async with asking(public) as outside, asking(inside) as operator:

        async def status(path: str) -> set[int]:
            return {(await one.get(path)).status_code for one in (outside, operator)}

        assert (await status("/health/live"), await status("/health/ready")) == ({200}, {200})
        assert (await outside.get("/metrics")).status_code == 404
        node.is_there = False
        assert (await status("/health/live"), await status("/health/ready")) == ({200}, {503})
        told = (await outside.get("/health/ready")).json()
        assert told["code"] == 999999
        assert told["data"]["status"] == "failing"
        assert "rpc.example.com" not in str(told)
        node.is_there = True
        assert await status("/health/ready") == {200}
        await database.close()
        assert (await status("/health/live"), await status("/health/ready")) == ({200}, {503})
        shown = (await operator.get("/metrics")).text
        assert "gstable_database_up 0.0" in shown
        assert "gstable_outbox_events" not in shown


async def put_state(
    database: Database, network: str, halted_reason: str | None, silent_seconds: float
) -> None:
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO chain_states (network, frontier, head, halted_reason, updated_at)"
            " VALUES ($1, 5, 9, $2, $3)",
            network,
            halted_reason,
            tx.now - timedelta(seconds=silent_seconds),
        )


async def test_a_network_that_is_not_read_is_told_and_stops_nobody(database: Database) -> None:
    await put_state(database, "polygon", "it turned back", 0)
    await put_state(database, "base", None, 2 * monitoring.SILENT_SECONDS)
    networks = Networks((POLYGON, BASE, NEVER))
    report = await Health(monitoring.checks(database, networks, {})).report()
    assert (report.is_ready, report.status) == (True, "degraded")
    assert report.findings[-1].problem == "polygon is halted, base is not read, never is not read"


async def test_a_network_that_left_the_configuration_troubles_nobody(database: Database) -> None:
    # Given a network that was halted, and one that is well
    await put_state(database, "base", "it turned back", 2 * monitoring.SILENT_SECONDS)
    await put_state(database, "polygon", None, 0)
    # When the runbook is followed and it is taken out of the configuration
    networks = Networks((POLYGON,))
    # Then no alarm is raised for it any more
    report = await Health(monitoring.checks(database, networks, {})).report()
    assert report.status == "ok", report
    readings = await monitoring.Gauges(database, networks).readings()
    assert {one.labels for one in readings if one.name == "gstable_network_halted"} == {
        ("polygon",)
    }


async def test_ops_12_a_live_server_does_not_start_with_settings_for_development(
    tmp_path: Path,
) -> None:
    file = tmp_path / "networks.toml"
    file.write_text(LIVE.format(hash="ab" * 32))
    settings = Settings(
        DATABASE_URL="postgresql://postgres:postgres@127.0.0.1:1/gstable",
        networks_file=file,
        order_signing_key=SecretStr("11" * 32),
        fee_receiver="0x" + "0f" * 20,
        log_level="debug",
    )
    with pytest.raises(SettingsInvalid) as refusal:
        async with serve.world_of(settings, serve.Role.API):
            raise AssertionError("it started")
    named = {problem.split(":")[0] for problem in str(refusal.value).split("; ")}
    assert named == {
        "DATABASE_URL", "GSTABLE_ORDER_SIGNING_KEY", "GSTABLE_PUBLIC_URL", "GSTABLE_LOG_LEVEL",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("trusted_proxies", "everybody", "GSTABLE_TRUSTED_PROXIES: must be IP addresses"),
        ("secrets_key", SecretStr("short"), "GSTABLE_SECRETS_KEY: must be 32 bytes"),
        ("oidc_issuer", "https://id.example.com", "GSTABLE_OIDC_ISSUER: needs"),
    ],
)
async def test_a_wrong_setting_is_named_before_anything_is_begun(
    tmp_path: Path, field: str, value: object, problem: str
) -> None:
    file = tmp_path / "networks.toml"
    file.write_text(LIVE.format(hash="ab" * 32).replace('"live"', '"test"'))
    settings = Settings(
        DATABASE_URL="postgresql://gstable@127.0.0.1:1/gstable",
        networks_file=file,
        order_signing_key=SecretStr("11" * 32),
        fee_receiver="0x" + "0f" * 20,
    ).model_copy(update={field: value})
    with pytest.raises(SettingsInvalid, match=problem):
        async with serve.world_of(settings, serve.Role.API):
            raise AssertionError("it started")


async def test_ops_14_a_server_starts_while_its_database_is_away(tmp_path: Path) -> None:
    file = tmp_path / "networks.toml"
    file.write_text(LIVE.format(hash="ab" * 32).replace('"live"', '"test"'))
    settings = Settings(
        DATABASE_URL="postgresql://gstable@127.0.0.1:1/gstable",
        networks_file=file,
        order_signing_key=SecretStr("11" * 32),
        fee_receiver="0x" + "0f" * 20,
    )
    async with serve.world_of(settings, serve.Role.API) as world:
        assert not await world.db.answers(within_seconds=1)


def test_what_the_process_itself_needs_is_shown() -> None:
    assert REGISTRY.get_sample_value("process_resident_memory_bytes")
