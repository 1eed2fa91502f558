"""Money that pays nothing as asked: every kind lands in one list, and is resolved from there."""

from __future__ import annotations

import asyncio
import os

import pytest

from gstable_server.chain.abi.payments import TRANSFERRED
from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.orders import transfer_call
from gstable_server.cli.payer import token_balance
from gstable_server.kernel.address import Address
from tests.e2e.operator import Operator
from tests.e2e.shop import Shop
from tests.e2e.test_deposits import deposit, transfer
from tests.e2e.test_refunds import Till
from tests.e2e.test_time import passes

RECEIVED = 9_980_000
LATE = ("session.created", "session.expired", "session.paid_late")


@pytest.fixture
def operator(shop: Shop) -> Operator:
    return Operator(shop)


def pays_late(shop: Shop) -> str:
    """A payer who held signed terms when the session expired, and used them all the same."""
    session_id = shop.session()
    url = shop.payment_url(session_id)
    prepared = shop.visits(lambda payer: payer.prepare(url, "polygon::usdc"))
    passes(shop, session_id)
    shop.visits(lambda payer: payer.send(prepared))
    return session_id


def test_chn_07_late_money_is_accepted_and_completes_its_session(operator: Operator) -> None:
    # Given a payment that came too late
    shop = operator.shop
    session_id = pays_late(shop)
    row = operator.finds("session_id", session_id, "open", final=True)
    assert (row["flags"], int(row["amount"])) == (["late"], RECEIVED)
    # When the operator accepts it, once it is final
    shop.is_told(session_id, *LATE)
    done = operator.asks("accept", row["inflow_id"], "--reason", "agreed by phone", "--by", "Olga")
    # Then the session is completed by it, and everybody can read who decided that and why
    assert (done["state"], done["how"]) == ("resolved", "accepted")
    [decision] = done["decisions"]
    assert (decision["act"], decision["actor"], decision["reason"]) == (
        "accept", "Olga", "agreed by phone"
    )  # fmt: skip
    assert shop.detail(session_id).session.status == "completed"
    shop.is_told(session_id, *LATE, "session.completed")
    again = operator.tries("accept", row["inflow_id"], "--reason", "again")
    assert (again.exit_code, "it is resolved" in again.stderr) == (1, True)


def test_late_money_is_given_back_by_the_merchants_wallet(operator: Operator) -> None:
    shop = operator.shop
    session_id = pays_late(shop)
    row = operator.finds("session_id", session_id, "open", final=True)
    done = operator.asks("refund", row["inflow_id"], "--reason", "too late")
    assert done["state"] == "resolving"
    prepared = shop.client.checkout_session.refund_detail(done["refundId"])
    assert prepared.amount_in_token == RECEIVED
    Till(shop).sends(prepared)
    back = operator.finds("session_id", session_id, "resolved")
    assert back["how"] == "refunded"
    shop.is_told(session_id, *LATE, "session.refunded")


def test_con_15_what_is_sent_to_the_router_waits_until_it_is_dismissed(operator: Operator) -> None:
    # Given a payer who sends 3 USDC straight to the router
    network = operator.shop.running.networks.network("polygon")
    [token] = [one for one in network.tokens if one.token_id == "polygon::usdc"]
    tx_hash = operator.sends(transfer_call(token.address, network.router, 3_000_000))
    # Then it is in the list, with what can be done
    row = operator.finds("tx_hash", tx_hash, "open")
    assert (set(row["flags"]), int(row["amount"])) == ({"stray", "unmatched"}, 3_000_000)
    listed = operator.asks("list", "--flag", "stray")
    assert row["inflow_id"] in [one["inflowId"] for one in listed["inflows"]]
    [waiting] = [one for one in listed["waiting"] if one["tokenId"] == "polygon::usdc"]
    assert int(waiting["amount"]) >= 3_000_000
    shown = operator.asks("show", row["inflow_id"])["resolutions"]
    assert {act: one["possible"] for act, one in shown.items()} == {
        "accept": False, "refund": False, "sweep": False, "dismiss": True
    }  # fmt: skip
    # When it is dismissed, then it waits no more
    operator.asks("dismiss", row["inflow_id"], "--reason", "sent by mistake, nobody can move it")
    assert operator.finds("tx_hash", tx_hash, "dismissed")["how"] is None
    table = operator.tries("list", "--state", "dismissed")
    assert (table.exit_code, row["inflow_id"] in table.stdout) == (0, True)


def test_too_little_and_an_unknown_token_wait_when_the_session_is_over(operator: Operator) -> None:
    # Given a deposit address with less than is due
    shop = operator.shop
    shop.payer_number = 1
    session_id = shop.session(fee_model=2)
    found = deposit(shop, session_id, "polygon::usdc")
    transfer(shop, found, "polygon::usdc", 4_000_000)
    row = operator.finds("session_id", session_id, "expected")
    assert row["flags"] == ["under"]
    # And a transfer of a token that nobody knows
    address = address_from_text(found["address"])
    unknown = Address(os.urandom(20))
    shop.running.rpc("polygon", "anvil_setCode", f"0x{unknown.hex()}", f"0x{SAYS_TRANSFER.hex()}")
    tx_hash = operator.sends(transfer_call(unknown, address, 10**30))
    strange = operator.finds("tx_hash", tx_hash, "open")
    assert set(strange["flags"]) == {"unknown_token", "wrong_token"}
    # When the session is over
    passes(shop, session_id)
    row = operator.finds("tx_hash", row["tx_hash"], "open")
    # Then it can go back only when no signed order can take it any more
    shown = operator.asks("show", row["inflow_id"])
    assert "can go back only after" in shown["resolutions"]["sweep"]["obstacle"]
    assert shown["call"]["to"] != shown["to"]
    refused = operator.tries("sweep", row["inflow_id"], "--reason", "now")
    assert (refused.exit_code, "only after" in refused.stderr) == (1, True)


def test_a_deposit_that_pays_is_no_matter_for_anybody(operator: Operator) -> None:
    shop = operator.shop
    shop.payer_number = 1
    session_id = shop.session(fee_model=2)
    found = deposit(shop, session_id, "polygon::usdc")
    transfer(shop, found, "polygon::usdc", 10_020_000)
    shop.reaches(session_id, "completed")
    row = operator.finds("session_id", session_id, "resolved")
    assert (row["how"], int(row["collected"])) == ("collected", 10_020_000)
    wallet = address_from_text(found["address"])
    assert asyncio.run(token_balance(shop.running.networks, "polygon::usdc", wallet)) == 0


def test_the_command_refuses_what_makes_no_sense(operator: Operator) -> None:
    assert operator.tries("show", "inf_nothing").exit_code == 1
    assert operator.tries("list", "--flag", "nonsense").exit_code == 2


SAYS_TRANSFER = (
    # Whatever is called: Transfer(caller, first argument, second argument).
    b"\x60\x24\x35\x60\x00\x52\x60\x04\x35\x33\x7f"
    + TRANSFERRED.topic
    + b"\x60\x20\x60\x00\xa3"
    + b"\x60\x01\x60\x00\x52\x60\x20\x60\x00\xf3"
)
