"""From a link to a receipt: what is signed, approved, sent and waited for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import anyio
import pytest

from gstable import GStableError, Response
from gstable._async.seam import AsyncSeam
from gstable.agent import (
    AgentClient,
    AsyncAgentClient,
    ChainError,
    LimitExceeded,
    NotPayable,
    PaymentPending,
    SpendLimits,
    TransactionReverted,
    UnsafePayment,
)
from tests.unit.agent_client.platform import (
    CHAIN_ID,
    DOOR,
    EXECUTOR,
    KEY,
    MERCHANT_ID,
    NODE,
    PAYER,
    PRICE,
    START,
    TOKEN,
    Platform,
    broken_line,
)

COMPLETED = "payment_completed"


@pytest.fixture
def platform() -> Platform:
    return Platform()


def test_a_link_is_read_without_a_signature(platform: Platform) -> None:
    link = platform.client().get_link("lnk_1")
    assert (link.merchant_id, link.link_version, link.pricing) == (MERCHANT_ID, "ver_3", "fixed")
    [line], [token] = link.lines, link.tokens
    assert (line.product_name, line.quantity, line.unit_price_usd) == ("Month", 3, "1.00")
    assert (token.chain_id, token.amount_in_token, token.decimals) == (CHAIN_ID, PRICE, 6)
    assert platform.nonces == set()


def test_a_link_is_paid_with_an_allowance_of_the_exact_amount(platform: Platform) -> None:
    receipt = platform.client().pay("lnk_1", CHAIN_ID)
    assert platform.calls() == [("approve", PRICE), ("pay", None)]
    assert platform.allowed == 0
    assert platform.balance == 10_000_000 - PRICE
    assert receipt.session_id == "sess_1"
    assert receipt.stage == COMPLETED
    assert (receipt.amount_in_token, receipt.amount) == (PRICE, 3_009_000)
    assert receipt.tx_hash in platform.receipts
    [created], [prepared] = (
        platform.asked("/payment/session/create"),
        platform.asked("/payment/prepare"),
    )
    assert created["message"]["amount"] == str(PRICE)
    assert prepared["message"]["payerEmail"] == ""


@pytest.mark.parametrize("token", [None, "USDC", "usdc", TOKEN, TOKEN.lower()])
def test_a_token_is_named_by_symbol_or_address(platform: Platform, token: str | None) -> None:
    assert platform.client().pay("lnk_1", CHAIN_ID, token).token_address == TOKEN


def test_what_is_allowed_already_is_not_allowed_again(platform: Platform) -> None:
    platform.allowed = PRICE
    platform.client().pay("lnk_1", CHAIN_ID)
    assert platform.calls() == [("pay", None)]


def test_an_allowance_that_is_too_low_is_taken_back_first(platform: Platform) -> None:
    platform.allowed = 1
    platform.client().pay("lnk_1", CHAIN_ID)
    assert platform.calls() == [("approve", 0), ("approve", PRICE), ("pay", None)]


def test_a_chain_without_eip_1559_gets_a_gas_price(platform: Platform) -> None:
    platform.legacy = True
    platform.allowed, platform.completing = PRICE, False
    with pytest.raises(PaymentPending):  # the transaction was taken, and its call not run
        platform.client(patience_seconds=3).pay("lnk_1", CHAIN_ID)
    assert len(platform.sent) == 1


def test_a_plan_says_what_would_happen_and_signs_nothing(platform: Platform) -> None:
    plan = platform.client().plan("lnk_1", CHAIN_ID)
    assert (plan.amount_in_token, plan.amount, plan.obstacles) == (PRICE, 3_009_000, ())
    assert (plan.payer, plan.token_balance, plan.gas_balance) == (PAYER, 10_000_000, 10**18)
    text = str(plan)
    assert "Approve exactly 3.009 USDC on Polygon" in text
    assert "Count 3.009 USD: 3.009 of 20.00 USD in 24 hours" in text
    assert platform.nonces == set()
    assert platform.sent == []


def test_a_plan_names_every_obstacle(platform: Platform) -> None:
    platform.balance = 5
    limits = SpendLimits(per_payment=1, per_day=2, merchants=["other"], tokens=[])
    plan = platform.client(limits).plan("lnk_1", CHAIN_ID)
    assert [words.split()[0] for words in plan.obstacles] == [
        "merchant", "token", "3.009", "0.00", "the"
    ]  # fmt: skip
    assert "Cannot be paid: the wallet has 0.000005 USDC" in str(plan)


def test_a_payer_who_names_the_amount(platform: Platform) -> None:
    platform.pricing = "custom"
    client = platform.client()
    for amount in (None, 9_999, 5_000_001):
        with pytest.raises(NotPayable):
            client.pay("lnk_1", CHAIN_ID, amount_in_token=amount)
    assert platform.nonces == set()
    receipt = client.pay("lnk_1", CHAIN_ID, amount_in_token=1_000_000)
    assert receipt.amount_in_token == 1_000_000


@pytest.mark.parametrize(
    ("chain_id", "token", "amount"),
    [(1, None, None), (CHAIN_ID, "USDT", None), (CHAIN_ID, None, PRICE + 1)],
)
def test_what_the_link_does_not_offer_is_not_signed(
    platform: Platform, chain_id: int, token: str | None, amount: int | None
) -> None:
    with pytest.raises(NotPayable):
        platform.client().pay("lnk_1", chain_id, token, amount_in_token=amount)
    assert platform.nonces == set()


def test_a_wallet_that_has_too_little_sends_nothing(platform: Platform) -> None:
    platform.balance = PRICE - 1
    client = platform.client()
    with pytest.raises(NotPayable, match="the wallet has less"):
        client.pay("lnk_1", CHAIN_ID)
    assert platform.sent == []


def test_a_session_of_a_merchant_is_paid_as_the_payer_chooses(platform: Platform) -> None:
    platform.offer("sess_shop")
    client = platform.client()
    with pytest.raises(NotPayable, match="give chain_id"):
        client.pay_session("sess_shop")
    receipt = client.pay_session("sess_shop", CHAIN_ID, payer_email="a@example.com")
    assert receipt.amount_in_token == PRICE
    [prepared] = platform.asked("/payment/prepare")
    assert prepared["message"]["payerEmail"] == "a@example.com"
    assert platform.asked("/payment/session/create") == []


def test_a_session_for_one_chain_is_not_paid_on_another(platform: Platform) -> None:
    client = platform.client()
    session = client.create_session("lnk_1", CHAIN_ID)
    assert (session.stage, session.chain_id) == ("session_ready", CHAIN_ID)
    with pytest.raises(NotPayable, match="open another"):
        client.pay_session(session.session_id, 1)
    assert client.pay_session(session.session_id).stage == COMPLETED


def test_what_was_prepared_can_be_looked_at(platform: Platform) -> None:
    client = platform.client()
    session = client.create_session("lnk_1", CHAIN_ID)
    prepared = client.prepare(session.session_id)
    assert (prepared.executor, prepared.total) == (EXECUTOR, PRICE)
    assert platform.sent == []


# --- when it does not go well ---------------------------------------------------------------------


def test_a_payment_that_is_not_completed_is_gone_on_with_and_not_sent_twice(
    platform: Platform,
) -> None:
    platform.completing = False
    client = platform.client(patience_seconds=5)
    with pytest.raises(PaymentPending) as pending:
        client.pay("lnk_1", CHAIN_ID)
    assert pending.value.session_id == "sess_1"
    assert pending.value.tx_hash in platform.receipts
    platform.completing = True
    again = client.pay_session("sess_1")
    assert again.stage == COMPLETED
    assert platform.calls() == [("approve", PRICE), ("pay", None)]


def test_a_payment_that_the_platform_has_not_seen_yet_is_seen_on_the_chain(
    platform: Platform,
) -> None:
    # Given a payment that is on the chain, and a platform that still asks for it
    client = platform.client()
    client.pay("lnk_1", CHAIN_ID)
    platform.sessions["sess_1"]["stage"] = "payment_prepared"
    # When the payer goes on with it
    with pytest.raises(PaymentPending):
        client.pay_session("sess_1")
    # Then nothing more was sent
    assert platform.calls() == [("approve", PRICE), ("pay", None)]


def test_a_payment_that_is_not_mined_stays_counted(platform: Platform) -> None:
    platform.allowed, platform.mining = PRICE, False
    limits = SpendLimits(per_payment=PRICE, per_day=PRICE)
    client = platform.client(limits, patience_seconds=5)
    with pytest.raises(PaymentPending, match="not mined after 5 s"):
        client.pay("lnk_1", CHAIN_ID)
    assert limits.store.spent(int(platform.now)) == PRICE
    with pytest.raises(LimitExceeded):
        client.pay("lnk_1", CHAIN_ID)
    platform.mining = True
    assert client.pay_session("sess_1").stage == COMPLETED
    assert limits.store.spent(int(platform.now)) == PRICE


def test_a_lost_answer_to_the_payment_is_no_failure(platform: Platform) -> None:
    # Given a node that takes the payment and loses its answer, so that it refuses the repetition
    platform.allowed = PRICE
    lost = iter([True])

    def changed(method: str, answer: Any) -> Any:
        is_lost = method == "eth_sendRawTransaction" and next(lost, False)
        return broken_line() if is_lost else answer

    platform.changed = changed
    # Then the payment is found all the same
    assert platform.client().pay("lnk_1", CHAIN_ID).stage == COMPLETED
    assert platform.balance == 10_000_000 - PRICE


def test_a_payment_that_nobody_knows_of_stays_counted(platform: Platform) -> None:
    # Given a node that gives no answer to the payment
    platform.allowed = PRICE
    handle = platform.transport._handler

    def silent(request: Any) -> Response:
        is_payment = b"eth_sendRawTransaction" in (request.body or b"")
        return Response(502, {}, b"") if is_payment else handle(request)

    platform.transport._handler = silent
    limits = SpendLimits(per_payment=PRICE, per_day=PRICE)
    with pytest.raises(PaymentPending):
        platform.client(limits).pay("lnk_1", CHAIN_ID)
    # Then it is counted once, and the session can be gone on with
    assert limits.store.spent(int(platform.now)) == PRICE
    platform.transport._handler = handle
    assert platform.client(limits).pay_session("sess_1").stage == COMPLETED
    assert limits.store.spent(int(platform.now)) == PRICE


def test_a_payment_that_fails_on_chain_is_told_and_not_counted(platform: Platform) -> None:
    platform.allowed, platform.failing = PRICE, True
    limits = SpendLimits(per_payment=PRICE, per_day=PRICE)
    with pytest.raises(TransactionReverted) as reverted:
        platform.client(limits).pay("lnk_1", CHAIN_ID)
    assert reverted.value.tx_hash in platform.receipts
    assert limits.store.spent(int(platform.now)) == 0
    platform.failing = False
    assert platform.client(limits).pay_session("sess_1").stage == COMPLETED


def test_what_the_executor_may_still_take_stays_counted(platform: Platform) -> None:
    # Given an executor that fails once it is approved, and could take the money later by itself
    platform.failing = True
    limits = SpendLimits(per_payment=PRICE, per_day=PRICE)
    client = platform.client(limits)
    with pytest.raises(TransactionReverted):
        client.pay("lnk_1", CHAIN_ID)
    assert platform.allowed == PRICE
    # Then the day is spent, whatever the platform offers next
    assert limits.store.spent(int(platform.now)) == PRICE
    with pytest.raises(LimitExceeded):
        client.pay("lnk_1", CHAIN_ID)


def test_a_platform_that_forgets_payments_gets_no_more_than_a_day_allows(
    platform: Platform,
) -> None:
    # Given a platform and an executor that say of a session which was paid that it was not
    limits = SpendLimits(per_payment=PRICE, per_day=2 * PRICE)
    client = platform.client(limits, patience_seconds=2)
    platform.completing = False
    with pytest.raises(PaymentPending):
        client.pay("lnk_1", CHAIN_ID)
    for spent in (2 * PRICE, 2 * PRICE):
        platform.paid.clear()
        with pytest.raises((PaymentPending, LimitExceeded)):
            client.pay_session("sess_1")
        assert limits.store.spent(int(platform.now)) == spent
    # Then what was taken is what was counted
    assert platform.balance == 10_000_000 - 2 * PRICE


@pytest.mark.parametrize("method", ["eth_estimateGas", "eth_gasPrice"])
def test_what_could_not_be_sent_is_not_counted(platform: Platform, method: str) -> None:
    platform.changed = lambda asked, answer: "?" if asked == method else answer
    limits = SpendLimits(per_payment=PRICE, per_day=PRICE)
    with pytest.raises(ChainError):
        platform.client(limits).pay("lnk_1", CHAIN_ID)
    assert platform.sent == []
    assert limits.store.spent(START) == 0


def test_a_session_that_is_over_is_not_paid(platform: Platform) -> None:
    platform.offer("sess_shop")
    platform.sessions["sess_shop"]["stage"] = "session_expired"
    with pytest.raises(NotPayable, match="session_expired"):
        platform.client().pay_session("sess_shop", CHAIN_ID)


def test_a_refusal_of_the_platform_keeps_its_code(platform: Platform) -> None:
    refusal = Response.envelope(code=100104, message="Link version is invalid")
    platform.changed = lambda path, answer: refusal if path.endswith("/create") else answer
    with pytest.raises(GStableError) as refused:
        platform.client().pay("lnk_1", CHAIN_ID)
    assert refused.value.code == 100104


def test_each_attempt_is_signed_anew(platform: Platform) -> None:
    # Given a platform that takes the first message and loses its answer
    lost = iter([True])

    def changed(path: str, answer: Any) -> Any:
        return broken_line() if path == "/payment/prepare" and next(lost, False) else answer

    platform.changed = changed
    # Then the second attempt is not a replay
    assert platform.client().pay("lnk_1", CHAIN_ID).stage == COMPLETED
    first, second = platform.asked("/payment/prepare")
    assert first["message"]["authorizationNonce"] != second["message"]["authorizationNonce"]


def test_a_node_that_stutters_is_asked_again(platform: Platform) -> None:
    busy = iter([Response(503, {}, b"busy")])
    handle = platform.transport._handler

    def stutter(request: Any) -> Response:
        return (next(busy, None) if request.url == NODE else None) or handle(request)

    platform.transport._handler = stutter
    assert platform.client().pay("lnk_1", CHAIN_ID).stage == COMPLETED


# --- the client itself ----------------------------------------------------------------------------


def test_nothing_that_is_secret_is_shown(platform: Platform) -> None:
    platform.changed = lambda method, answer: "?" if method == "eth_chainId" else answer
    client = platform.client()
    with pytest.raises(ChainError) as failure:
        client.pay("lnk_1", CHAIN_ID)
    for text in (repr(client), str(client), str(failure.value), repr(failure.value)):
        assert KEY[2:] not in text
        assert "key-of-the-node" not in text
    for request in platform.transport.requests:
        assert KEY[2:].encode() not in (request.body or b"")


@pytest.mark.parametrize("signer", ["", "0x12", "x" * 64, b"\x00", "0x" + "00" * 32])
def test_what_is_no_private_key_is_refused_without_repeating_it(signer: str | bytes) -> None:
    with pytest.raises(ValueError, match="must be a private key") as refused:
        AgentClient(signer, {}, SpendLimits(per_payment=1, per_day=1))
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("url", ["", "ftp://node", 5])
def test_a_node_needs_an_address(url: Any) -> None:
    with pytest.raises(ValueError, match=r"rpc_urls\[137\]"):
        AgentClient(KEY, {137: url}, SpendLimits(per_payment=1, per_day=1))


def test_a_chain_without_a_node_is_not_paid_on(platform: Platform) -> None:
    client = AgentClient(
        KEY,
        {},
        SpendLimits(per_payment=PRICE, per_day=PRICE),
        base_url=DOOR,
        transport=platform.transport,
    )
    with pytest.raises(NotPayable, match="no node"):
        client.pay("lnk_1", CHAIN_ID)
    assert platform.nonces == set()


def test_a_node_of_another_chain_is_not_used(platform: Platform) -> None:
    platform.changed = lambda method, answer: "0x1" if method == "eth_chainId" else answer
    with pytest.raises(UnsafePayment, match="is one of chain 1"):
        platform.client().pay("lnk_1", CHAIN_ID)
    assert platform.nonces == set()


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    def shape(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    assert shape(AgentClient) == shape(AsyncAgentClient)


@pytest.mark.anyio
async def test_the_asynchronous_client_pays_too_and_one_payment_after_the_other(
    platform: Platform,
) -> None:
    client = AsyncAgentClient(
        KEY,
        {CHAIN_ID: NODE},
        SpendLimits(per_payment=PRICE, per_day=3 * PRICE),
        base_url=DOOR,
        transport=platform.transport,
        _seam=AsyncSeam(now=lambda: platform.now),
    )
    async with client, anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(client.pay, "lnk_1", CHAIN_ID)
    assert platform.calls() == [("approve", PRICE), ("pay", None)] * 2


def test_the_merchants_client_does_not_load_what_signs() -> None:
    code = "import sys, gstable; sys.exit('eth_account' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
