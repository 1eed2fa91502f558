"""Faults between pay and webhook: whatever dies, the payment ends in the right state, once."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import asyncpg
import pytest

from gstable import GStableError
from tests.e2e.shop import Shop
from tests.running import Running, eventually, running_stack

DONE = ("session.created", "session.paid", "session.completed")


@pytest.mark.parametrize("role", ["api", "worker", "indexer"])
def test_ops_01_a_role_killed_between_pay_and_webhook(shop: Shop, role: str) -> None:
    # Given a session that a payer is about to pay
    before = shop.balance()
    session_id = shop.session()
    prepared = shop.visits(
        lambda payer: payer.prepare(shop.payment_url(session_id), "polygon::usdc")
    )
    # When a process is killed at the moment the payment is mined
    shop.visits(lambda payer: payer.send(prepared))
    dead = shop.running.kill(role)
    # Then another takes over, and nothing is lost or told twice
    eventually(lambda: shop.running.role_pid(role) != dead, f"another {role}")
    eventually(lambda: _completed(shop, session_id), "the session completes")
    shop.is_told(session_id, *DONE)
    assert shop.balance() - before == 9_980_000


def test_ops_02_every_database_connection_lost_between_pay_and_webhook(shop: Shop) -> None:
    # Given a session that a payer is about to pay
    session_id = shop.session()
    prepared = shop.visits(
        lambda payer: payer.prepare(shop.payment_url(session_id), "polygon::usdc")
    )
    # When the database ends every connection at the moment the payment is mined
    shop.visits(lambda payer: payer.send(prepared))
    assert asyncio.run(_cut_connections(shop.running)) >= 3, "those of API, worker and indexer"
    # Then each role opens others, and nothing is lost or told twice
    eventually(lambda: _completed(shop, session_id), "the session completes")
    shop.is_told(session_id, *DONE)


async def _cut_connections(running: Running) -> int:
    connection = await asyncpg.connect(running.about["databaseUrl"])
    try:
        cut: int = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cut
    finally:
        await connection.close()


def _completed(shop: Shop, session_id: str) -> bool:
    """True once the API, which may just be starting again, says so."""
    try:
        return shop.detail(session_id).session.status == "completed"
    except GStableError:
        return False


def test_chn_16_a_reorganisation_removes_and_returns_a_payment(shop: Shop) -> None:
    # Given a payment in the newest block
    session_id = shop.session("base::usdc")
    paid = shop.pays(session_id, "base::usdc")
    raw = shop.running.rpc("base", "eth_getRawTransactionByHash", paid.tx_hash_hex)
    # When the chain replaces the newest blocks, and the payment is mined again later
    shop.running.rpc("base", "anvil_reorg", 1, [])
    if shop.running.rpc("base", "eth_getTransactionReceipt", paid.tx_hash_hex) is None:
        shop.running.rpc("base", "eth_sendRawTransaction", raw)
    # Then the session completes, and was credited once
    found = shop.reaches(session_id, "completed")
    assert found.transaction is not None
    assert found.transaction.source_tx == paid.tx_hash_hex
    eventually(
        lambda: shop.running.told(session_id)[-1:] == ["session.completed"], "the last letter"
    )
    told = shop.running.told(session_id)
    assert told.count("session.paid") == 1
    assert told.count("session.completed") == 1


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["asked to end", "killed"])
def test_a_restart_in_the_middle_loses_nothing_and_leaves_no_process_behind(
    tmp_path: Path, end: signal.Signals
) -> None:
    # Given an installation that keeps its state, ended between payment and completion
    state = str(tmp_path / "state")
    with running_stack("--state", state) as running, running.client() as client:
        shop = Shop(running, client)
        before = shop.balance()
        session_id = shop.session()
        paid = shop.pays(session_id)
        raw = running.rpc("polygon", "eth_getRawTransactionByHash", paid.tx_hash_hex)
        running.end(end)
    # When it is started again
    with running_stack("--state", state) as running, running.client() as client:
        shop = Shop(running, client)
        # (a local chain that was killed may have lost its newest blocks: what a node's pool keeps)
        if running.rpc("polygon", "eth_getTransactionReceipt", paid.tx_hash_hex) is None:
            running.rpc("polygon", "eth_sendRawTransaction", raw)
        # Then the payment is found, completed, and told
        shop.reaches(session_id, "completed")
        assert shop.balance() - before == 9_980_000
        eventually(
            lambda: running.told(session_id)[-1:] == ["session.completed"], "the last letter"
        )
