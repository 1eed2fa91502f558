"""Test mode at a running installation: what happens for real when it is only asked for.

Scenarios are played at the same time by three payers; then each has a test of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from gstable import Client
from gstable_server.chain.keys import address_of_key, private_key_from_hex
from gstable_server.cli.robot.stage import RobotFailed, open_stage
from gstable_server.cli.robot.triggering import Triggered, object_of, trigger
from tests.e2e.shop import TEA, Shop
from tests.running import Running, eventually

LANES = (
    ("session.paid_late", "session.underpaid", "session.expired", "session.captured"),
    ("session.overpaid", "session.settling", "session.cancelled", "product.unarchived"),
    ("session.completed", "session.refunded", "payment.link.enabled"),
)
"""What is triggered one after the other by each payer."""
EVENTS = tuple(event for lane in LANES for event in lane)
WITHOUT_TRANSACTION = {
    "session.expired",
    "session.cancelled",
    "payment.link.enabled",
    "product.unarchived",
}


def environment(running: Running, payer_number: int = 0) -> dict[str, str]:
    """What ``gstable trigger`` and ``gstable robot`` are told."""
    return {
        "GSTABLE_API_KEY": running.api_key,
        "GSTABLE_BASE_URL": str(running.about["baseUrl"]),
        "GSTABLE_NETWORKS_FILE": str(running.about["networksFile"]),
        "GSTABLE_PAYER_KEY": running.payer_keys[payer_number],
        "GSTABLE_MERCHANT_KEY": running.merchant_key,
    }


async def _trigger_all(
    settings: Mapping[str, str], events: tuple[str, ...]
) -> dict[str, Triggered]:
    async with open_stage(settings) as stage:
        return {event: await trigger(event, stage, seconds=120) for event in events}


@pytest.fixture(scope="module")
def triggered(running: Running) -> dict[str, Triggered]:
    async def lanes() -> list[dict[str, Triggered]]:
        return await asyncio.gather(
            *(_trigger_all(environment(running, number), lane) for number, lane in enumerate(LANES))
        )

    return {name: one for lane in asyncio.run(lanes()) for name, one in lane.items()}


@pytest.mark.parametrize("event_type", EVENTS)
def test_a_triggered_event_is_told_of_its_own_object(
    shop: Shop, triggered: dict[str, Triggered], event_type: str
) -> None:
    found = triggered[event_type]
    event = shop.client.event.detail(found.event_id)
    assert (event.event_type, object_of(event)) == (event_type, found.object_id)
    assert (found.tx_hash_hex is None) is (event_type in WITHOUT_TRANSACTION)


def test_a_payment_is_taken_back_by_the_chain_and_the_session_is_open_again(shop: Shop) -> None:
    settings = environment(shop.running)
    found = asyncio.run(_trigger_all(settings, ("session.payment_reverted",)))
    one = found["session.payment_reverted"]
    told = types_told(shop.client, one.object_id)
    assert told == [
        "session.created",
        "session.paid",
        "session.settlement_pending",
        "session.payment_reverted",
    ]
    session = shop.detail(one.object_id).session
    assert (session.status, session.initiate_tx) == ("initialized", "")


def types_told(client: Client, object_id: str) -> list[str]:
    """The types of the newest events about an object, oldest first."""
    events = reversed(client.event.list(1, 100).items)
    return [event.event_type for event in events if object_of(event) == object_id]


def test_what_cannot_be_triggered_is_said(running: Running) -> None:
    with pytest.raises(RobotFailed, match=r"'account.created' cannot be triggered; these can:"):
        asyncio.run(_trigger_all(environment(running), ("account.created",)))


# --- the robot ------------------------------------------------------------------------------------


@contextmanager
def robot(settings: Mapping[str, str], cursor_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``gstable robot``, reading from where the file says."""
    arguments = [sys.executable, "-m", "gstable_server.cli", "robot"]
    process = subprocess.Popen(
        [*arguments, "--cursor-file", str(cursor_file)],
        env={**os.environ, **settings},
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def magic(shop: Shop, amount: int) -> str:
    line = {**TEA, "unit_price": amount}
    return shop.client.checkout_session.create(
        account_id=shop.running.account_id,
        settlement_token="base::usdc",
        line_items=[line],
    ).session_id


def test_a_killed_robot_that_reads_the_same_events_again_pays_nothing_twice(
    shop: Shop, tmp_path: Path
) -> None:
    # Given a robot that has begun to read, and a wallet that only it uses
    settings, cursor_file = environment(shop.running, 2), tmp_path / "cursor"
    with robot(settings, cursor_file) as running_robot:
        eventually(cursor_file.is_file, "the robot reads")
        before = cursor_file.read_text()
        # When sessions with magic totals are opened, by the merchant and by a payer with a link
        paid, plain = magic(shop, 10_000_001), magic(shop, 10_000_000)
        short = shop.opens(
            shop.link("base::usdc", link_type="custom", custom=True), amount="2.000002"
        )
        # Then it pays the one, too little of the other, and nothing else
        shop.reaches(paid, "completed")
        told = ["session.created", "session.underpaid"]
        eventually(lambda: types_told(shop.client, short) == told, "half is seen")
        eventually(lambda: cursor_file.read_text() != before, "it says how far it has read")
        running_robot.send_signal(signal.SIGKILL)
    sent = transactions_of(settings, shop.running)
    # And when it is started again from where it was before them
    cursor_file.write_text(before)
    with robot(settings, cursor_file) as running_robot:
        eventually(lambda: cursor_file.read_text() != before, "it has read them again")
        running_robot.send_signal(signal.SIGTERM)
        assert running_robot.wait(180) == 0
    # Then it has sent nothing more
    assert transactions_of(settings, shop.running) == sent
    assert shop.detail(plain).session.status == "initialized"


def transactions_of(settings: Mapping[str, str], running: Running) -> int:
    """How many transactions the robot's wallet has sent where the sessions are paid."""
    address = address_of_key(private_key_from_hex(settings["GSTABLE_PAYER_KEY"]))
    return int(running.rpc("base", "eth_getTransactionCount", f"0x{address.hex()}", "pending"), 16)


def test_a_robot_without_its_variables_says_which(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gstable_server.cli", "robot"],
        env={name: value for name, value in os.environ.items() if not name.startswith("GSTABLE_")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "gstable: set GSTABLE_API_KEY, GSTABLE_NETWORKS_FILE, GSTABLE_PAYER_KEY\n"
    )
