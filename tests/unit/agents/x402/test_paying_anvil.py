"""Payments by the unchanged package, judged by the real contracts: taken once, or not at all."""

from __future__ import annotations

import asyncio
import copy
import os

import httpx
import pytest

from gstable_server.agents.x402 import operations
from gstable_server.chain.keys import address_of_key, sign_digest
from gstable_server.chain.orders import approve_call
from gstable_server.chain.rpc import Rpc
from gstable_server.chain.signed_transfers import Flaw, Method, SignedTransfer, as_chain_takes_it
from gstable_server.kernel.address import Address
from gstable_server.sessions.paying import RELAYS_MAX
from tests.e2e.contract_wallets import ContractWallet
from tests.unit.agents.x402.till import NETWORK, Till, read, stranger

pytestmark = [pytest.mark.anyio, pytest.mark.anvil]

FAR_FUTURE = 4_000_000_000


async def test_a_session_is_paid_once_however_often_it_is_sent(till: Till) -> None:
    path = await till.session()
    before, had = await till.stored(), await till.merchant_has()
    asked = await till.ask(path)
    assert asked.status_code == 402
    assert asked.json() == read(asked, "PAYMENT-REQUIRED")
    assert await till.stored() == before, "asking stores nothing"
    payload = await till.sign(path)
    # Sent three times at once it is one payment, on its way.
    answers = await asyncio.gather(*(till.pay(path, payload) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {202}
    assert {read(one, "PAYMENT-RESPONSE")["errorReason"] for one in answers} == {
        "settlement_pending"
    }
    assert (await till.stored())[0] == before[0] + 1
    # Who asks without a payment is not asked to pay again, and nobody else's is taken.
    assert (await till.ask(path)).status_code == 202
    answer = await till.settled(path, payload)
    assert answer.status_code == 200
    response = read(answer, "PAYMENT-RESPONSE")
    assert (response["success"], response["payer"]) == (True, till.account.address)
    again = read(await till.pay(path, payload), "PAYMENT-RESPONSE")
    assert again["transaction"] == response["transaction"]
    # Then it is collected, like any deposit.
    for _ in range(100):
        if await till.merchant_has() - had == 9_980_000:
            break
        await till.turn()
    assert await till.merchant_has() - had == 9_980_000
    async with till.db.read() as tx:
        rows = await tx.fetch("SELECT purpose FROM executor_intents ORDER BY sequence")
    assert [row["purpose"] for row in rows] == ["x402", "sweep"]


async def test_a_link_is_opened_by_its_payment(till: Till) -> None:
    path = await till.link()
    before = await till.stored()
    first, second = await till.sign(path), await till.sign(path)
    assert await till.stored() == before, "asking opens nothing"
    ids = [one["accepted"]["extra"]["session"]["id"] for one in (first, second)]
    assert ids[0] != ids[1], "buyers do not share a session"
    answer = await till.settled(path, first)
    assert (answer.status_code, answer.json()["sessionId"]) == (200, ids[0])
    view = await till.view(f"/x402/session/{ids[0]}")
    told = first["accepted"]["extra"]["session"]["expirationTime"]
    assert view.session.expires_at.timestamp() == told
    assert f"/x402/link/{view.session.business_id}" == path
    # The signature alone, which can be read on the chain, tells a stranger nothing.
    other = copy.deepcopy(first)
    other["accepted"]["extra"]["session"] = second["accepted"]["extra"]["session"]
    assert (await till.pay(path, other)).status_code == 402
    # Another buyer's offer is still good.
    assert (await till.settled(path, second)).status_code == 200


async def test_what_a_client_makes_up_about_a_link_is_refused(till: Till) -> None:
    path = await till.link()
    payload = await till.sign(path)
    foreign = (await till.session()).rsplit("/", 1)[1]
    told = payload["accepted"]["extra"]["session"]
    for made_up, reason in (
        ({**told, "id": foreign}, "invalid_payment_requirements"),
        ({**told, "expirationTime": told["expirationTime"] + 60}, "invalid_payment_requirements"),
        ({**told, "expirationTime": 1}, "invalid_payment_requirements"),
        ({**told, "expirationTime": told["expirationTime"] - 60}, "invalid_exact_evm_payload"),
        ({**told, "id": "sess_" + "A" * 32}, "invalid_exact_evm_payload_recipient_mismatch"),
        (None, "invalid_exact_evm_payload_recipient_mismatch"),
    ):
        changed = copy.deepcopy(payload)
        changed["accepted"]["extra"]["session"] = made_up
        assert (await till.refused(path, changed)).startswith(reason)
    assert (await till.settled(path, payload)).status_code == 200


async def test_what_the_contract_would_refuse_is_not_sent(till: Till) -> None:
    path = await till.session()
    payload = await till.sign(path)
    wrong = copy.deepcopy(payload)
    wrong["payload"]["signature"] = "0x" + sign_digest(os.urandom(32), b"\x01" * 32).hex()
    assert await till.refused(path, wrong) == "invalid_exact_evm_payload_signature"
    poor = await till.sign(path, account=stranger())
    assert await till.refused(path, poor) == "invalid_exact_evm_insufficient_balance"
    # A signature whose transfer somebody else has sent already.
    other_path = await till.session()
    used = await till.sign(other_path)
    assert (await till.settled(other_path, used)).status_code == 200
    assert await till.refused(path, used) == "duplicate_settlement"
    # Without an approval of Permit2, and with one.
    path = await till.session(settlementToken="polygon::usdt")
    by_permit2 = await till.sign(path, "USDT")
    assert await till.refused(path, by_permit2) == "permit2_allowance_required"
    permit2 = till.network.permit2
    assert permit2 is not None
    sent = await till.wallet.send(approve_call(till.token("USDT"), permit2, 10**8))
    await till.devnet.mine(NETWORK)
    assert (await till.wallet.wait(sent)).succeeded
    wrong = copy.deepcopy(by_permit2)
    wrong["payload"]["signature"] = payload["payload"]["signature"]
    assert await till.refused(path, wrong) == "invalid_permit2_signature"
    assert (await till.settled(path, by_permit2)).status_code == 200


async def test_a_transfer_that_fails_after_all_can_be_paid_anew(till: Till) -> None:
    path = await till.session()
    payload = await till.sign(path)
    async with till.devnet.standing_still(NETWORK):
        assert (await till.pay(path, payload)).status_code == 202
        # Signed and sent by the executor; then the payer, in the same block, takes the money away.
        await till.runner.turn()
        await till.spend_first()
        await till.devnet.mine(NETWORK)
    answer = await till.settled(path, payload)
    assert answer.status_code == 402
    response = read(answer, "PAYMENT-RESPONSE")
    assert (response["success"], response["errorReason"]) == (False, "transaction_failed")
    required = read(answer, "PAYMENT-REQUIRED")
    assert required["accepts"], "it may be paid anew"
    # As often as we pay the gas for it.
    await till.devnet.fund_all(NETWORK, [till.wallet.address], {"USDC": 10**8})
    async with till.db.begin() as tx:
        for number in range(RELAYS_MAX - 1):
            await tx.execute(_SENT_BEFORE, f"relay:{number}", path.rsplit("/", 1)[1])
    refused = await till.pay(path, await till.sign(path))
    assert (refused.status_code, refused.json()["code"]) == (409, 400205)


async def test_what_is_not_sent_yet_is_taken_back_once_the_session_is_paid(till: Till) -> None:
    path = await till.session()
    payload = await till.sign(path)
    assert (await till.pay(path, payload)).status_code == 202
    view = await till.view(path)
    await till.world.prepare(view)
    await till.world.hear("seen", till.world.log(view, token=till.token("USDC")))
    answer = await till.pay(path, payload)
    assert answer.status_code == 402
    assert read(answer, "PAYMENT-RESPONSE")["errorReason"] == "transaction_failed"
    assert read(answer, "PAYMENT-REQUIRED")["accepts"] == []
    await till.turn()
    async with till.db.read() as tx:
        rows = await tx.fetch("SELECT state, tx_hash FROM executor_intents")
    assert [(row["state"], row["tx_hash"]) for row in rows] == [("withdrawn", None)]
    assert (await till.ask(path)).status_code == 200


async def test_one_balance_is_not_promised_to_many_transfers(till: Till) -> None:
    """Each would pass its rehearsal, and all but one would fail at our cost."""
    poor = stranger()
    wallet = Address(bytes.fromhex(poor.address[2:]))
    await till.devnet.fund(NETWORK, wallet, "USDC", 15_000_000)
    path = await till.link()
    first, second = [await till.sign(path, account=poor) for _ in range(2)]
    assert (await till.pay(path, first)).status_code == 202
    assert await till.refused(path, second) == "invalid_exact_evm_insufficient_balance"
    # Money that comes is for the next one, and what is over takes nothing any more.
    await till.devnet.fund(NETWORK, wallet, "USDC", 4_000_000)
    assert (await till.pay(path, second)).status_code == 202
    for payload in (first, second):
        assert (await till.settled(path, payload)).status_code == 200


async def test_a_slow_repetition_finds_what_was_settled_in_the_meantime(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await till.link()
    payload = await till.sign(path)
    settled: list[httpx.Response] = []

    async def slow(rpc: Rpc, transfer: SignedTransfer) -> SignedTransfer | Flaw:
        # Before the chain answers, the same request is made again, and its transfer is mined.
        monkeypatch.undo()
        settled.append(await till.settled(path, payload))
        return await as_chain_takes_it(rpc, transfer)

    monkeypatch.setattr(operations, "as_chain_takes_it", slow)
    answer = await till.pay(path, payload)
    assert (answer.status_code, answer.json()["sessionId"]) == (
        200,
        payload["accepted"]["extra"]["session"]["id"],
    )
    first = read(settled[0], "PAYMENT-RESPONSE")
    assert first["success"] is True
    assert read(answer, "PAYMENT-RESPONSE") == first


async def test_who_has_paid_a_link_otherwise_is_not_asked_to_pay_another_session(
    till: Till,
) -> None:
    path = await till.link()
    payload = await till.sign(path)
    answer = await till.pay(path, payload)
    assert answer.status_code == 202
    view = await till.view(f"/x402/session/{answer.json()['sessionId']}")
    await till.world.prepare(view)
    await till.world.hear("seen", till.world.log(view, token=till.token("USDC")))
    again = await till.pay(path, payload)
    assert again.status_code == 402
    assert read(again, "PAYMENT-REQUIRED")["error"] == "transaction_failed"
    assert read(again, "PAYMENT-REQUIRED")["accepts"] == []


async def test_a_payers_name_for_a_payment_is_used_once(till: Till) -> None:
    path, other_path = await till.session(), await till.session()
    first = await till.sign(path, identifier="order-0123456789ab")
    second = await till.sign(other_path, identifier="order-0123456789ab")
    assert (await till.settled(path, first)).status_code == 200
    answer = await till.pay(other_path, second)
    assert (answer.status_code, answer.json()) == (409, {"error": "payment_identifier_conflict"})
    renamed = copy.deepcopy(first)
    renamed["extensions"]["payment-identifier"]["info"]["id"] = "another-0123456789"
    assert (await till.pay(path, renamed)).status_code == 409
    assert (await till.settled(other_path, await till.sign(other_path))).status_code == 200


async def test_contract_wallets_pay_once_they_are_there(till: Till) -> None:
    """EIP-1271, and ERC-6492 as far as nobody's wallet is deployed at our cost."""
    key, token = os.urandom(32), till.token("USDC")
    assert till.network.permit2 is not None
    wallet = ContractWallet(address_of_key(key), token.address, till.network.permit2)
    await till.devnet.fund(NETWORK, wallet.address, "USDC", 10**7)
    receiver = Address(os.urandom(20))
    bare = SignedTransfer(
        Method.EIP3009, till.network, token, wallet.address, receiver, 7, 0, FAR_FUTURE,
        os.urandom(32), b"\x01",
    )  # fmt: skip
    own = sign_digest(key, bare.digest)

    def signed(signature: bytes) -> SignedTransfer:
        return SignedTransfer(
            bare.method, bare.network, bare.token, bare.payer, bare.receiver, bare.value,
            bare.valid_after, bare.valid_before, bare.nonce, signature,
        )  # fmt: skip

    wrapped = signed(wallet.deploying(own))
    assert await as_chain_takes_it(till.rpc, wrapped) is Flaw.NOT_DEPLOYED
    assert await as_chain_takes_it(till.rpc, signed(b"\x64\x92" * 16)) is Flaw.SIGNATURE
    sent = await till.wallet.send(wallet.deploy_call)
    await till.devnet.mine(NETWORK)
    assert (await till.wallet.wait(sent)).succeeded
    taken = await as_chain_takes_it(till.rpc, wrapped)
    assert isinstance(taken, SignedTransfer)
    assert taken.signature == own
    stolen = signed(sign_digest(os.urandom(32), bare.digest))
    assert await as_chain_takes_it(till.rpc, stolen) is Flaw.SIGNATURE
    sent = await till.wallet.send(taken.call)
    await till.devnet.mine(NETWORK)
    assert (await till.wallet.wait(sent)).succeeded
    assert await till.devnet.balance(NETWORK, receiver, "USDC") == 7
    assert await as_chain_takes_it(till.rpc, wrapped) is Flaw.NONCE_USED


async def test_devices_that_count_from_nought_are_understood(till: Till) -> None:
    key = os.urandom(32)
    token, receiver = till.token("USDC"), Address(os.urandom(20))
    await till.devnet.fund(NETWORK, address_of_key(key), "USDC", 10)
    transfer = SignedTransfer(
        Method.EIP3009, till.network, token, address_of_key(key), receiver, 7, 0, FAR_FUTURE,
        os.urandom(32), b"\x01",
    )  # fmt: skip
    signature = sign_digest(key, transfer.digest)
    counted = signature[:64] + bytes([signature[64] - 27])
    taken = await as_chain_takes_it(
        till.rpc,
        SignedTransfer(
            transfer.method, transfer.network, token, transfer.payer, receiver, 7, 0, FAR_FUTURE,
            transfer.nonce, counted,
        ),
    )  # fmt: skip
    assert isinstance(taken, SignedTransfer)
    assert taken.signature == signature


_SENT_BEFORE = """
INSERT INTO session_authorizations (cause, session_id, authorized_at) VALUES ($1, $2, now())
"""
