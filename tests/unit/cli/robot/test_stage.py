"""What the environment must say before anything is played."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gstable_server.chain.networks import Networks
from gstable_server.chain.networks_toml import networks_toml
from gstable_server.cli.robot.stage import RobotFailed, open_stage
from tests.unit.sessions.world import POLYGON

pytestmark = pytest.mark.anyio

KEY = "11" * 32


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "networks.toml"
    file.write_text(networks_toml(Networks((POLYGON,))))
    return {
        "GSTABLE_API_KEY": "sk_test_0000000000000000000000000000",
        "GSTABLE_NETWORKS_FILE": str(file),
        "GSTABLE_PAYER_KEY": f"0x{KEY}",
    }


async def refused(environment: Mapping[str, str]) -> str:
    with pytest.raises(RobotFailed) as failure:
        async with open_stage(environment):
            pass
    return str(failure.value)


async def test_a_test_key_networks_and_a_wallet_are_enough(environment: dict[str, str]) -> None:
    async with open_stage(environment) as stage:
        assert stage.payer_key == KEY
        assert (stage.merchant_key, stage.stall_seconds) == (None, 120)
        assert [network.name for network in stage.networks.all] == ["polygon"]


@pytest.mark.parametrize("name", ["GSTABLE_API_KEY", "GSTABLE_NETWORKS_FILE", "GSTABLE_PAYER_KEY"])
async def test_what_is_missing_is_named(environment: dict[str, str], name: str) -> None:
    assert await refused({**environment, name: ""}) == f"set {name}"
    assert "GSTABLE_API_KEY, GSTABLE_NETWORKS_FILE, GSTABLE_PAYER_KEY" in await refused({})


@pytest.mark.parametrize("prefix", ["sk_live_", "rk_test_", "rk_live_", ""])
async def test_only_a_full_test_key_plays(environment: dict[str, str], prefix: str) -> None:
    key = f"{prefix}0000000000000000000000000000"
    assert "sk_test_" in await refused({**environment, "GSTABLE_API_KEY": key})


@pytest.mark.parametrize("name", ["GSTABLE_PAYER_KEY", "GSTABLE_MERCHANT_KEY"])
async def test_a_wrong_private_key_is_named_and_not_shown(
    environment: dict[str, str], name: str
) -> None:
    secret = "22" * 31
    problem = await refused({**environment, name: secret})
    assert problem.startswith(f"{name}: ")
    assert secret not in problem


async def test_a_stall_is_a_number_of_seconds(environment: dict[str, str]) -> None:
    wrong = {**environment, "GSTABLE_STALL_SECONDS": "soon"}
    assert await refused(wrong) == "GSTABLE_STALL_SECONDS must be a number of seconds"
