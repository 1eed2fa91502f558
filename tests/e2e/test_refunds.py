"""A merchant gives money back from their own wallet, and the chain proves it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from gstable import GStableError, Refund
from gstable_server.chain.checksum import address_from_text
from gstable_server.chain.devnet import BLOCK_SECONDS
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.keys import private_key_from_hex
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.payer import token_balance
from tests.e2e.reconciled import reconciled
from tests.e2e.shop import Shop
from tests.running import Running, eventually

CREATED_PAID_COMPLETED = ("session.created", "session.paid", "session.completed")
RECEIVED = 9_980_000


@dataclass
class Till:
    """The merchant's own wallet, and what the SDK says of refunds."""

    shop: Shop

    @property
    def running(self) -> Running:
        return self.shop.running

    def sends(self, refund: Refund) -> str:
        """The wallet sends the one transaction that the refund names; its hash."""
        asked = refund.transaction
        assert asked is not None
        call = ContractCall(address_from_text(asked.to), bytes.fromhex(asked.data[2:]), asked.value)

        async def send() -> bytes:
            network = self.running.networks.at_chain(asked.chain_id)
            assert network is not None
            async with open_rpc(network) as rpc:
                key = private_key_from_hex(self.running.merchant_key)
                wallet = Wallet(key, rpc, network.chain_id)
                receipt = await wallet.wait(tx_hash := await wallet.send(call))
                assert receipt.succeeded
                return tx_hash

        return f"0x{asyncio.run(send()).hex()}"

    def reaches(self, refund: Refund, status: str) -> Refund:
        """Wait until the refund is in ``status``."""

        def there() -> Refund | None:
            found = self.shop.client.checkout_session.refund_detail(refund.refund_id)
            return found if found.status == status else None

        found: Refund = eventually(there, f"{refund.refund_id} is {status}")
        return found

    def tokens_of(self, address: str, token_id: str) -> int:
        """What an account has, in atomic units."""
        account = address_from_text(address)
        return asyncio.run(token_balance(self.running.networks, token_id, account))


@pytest.fixture
def till(shop: Shop) -> Till:
    return Till(shop)


@pytest.mark.parametrize("token_id", ["polygon::usdc", "polygon::usdt"])
def test_a_payment_is_given_back_in_two_parts(till: Till, token_id: str) -> None:
    # Given a completed payment of 10 USD
    shop, sessions = till.shop, till.shop.client.checkout_session
    session_id = shop.session(token_id)
    shop.pays(session_id, token_id)
    payer = shop.reaches(session_id, "completed").session.payer
    before, wallet_before = till.tokens_of(payer, token_id), shop.balance(token_id)
    # When the merchant gives 4 USD back
    first = sessions.refund_prepare(session_id, amount=4_000_000, reason="One cup was broken")
    assert (first.to, first.amount_in_token, first.token) == (payer, 4_000_000, token_id)
    assert shop.detail(session_id).session.refunds == (first,)
    tx_hash = till.sends(first)
    # Then the payer has it, and the session and a signed webhook say so
    done = till.reaches(first, "completed")
    assert (done.tx_hash, done.transaction) == (tx_hash, None)
    assert till.tokens_of(payer, token_id) - before == 4_000_000
    assert shop.detail(session_id).session.refunds == (done,)
    assert shop.detail(session_id).session.status == "completed"
    shop.is_told(session_id, *CREATED_PAID_COMPLETED, "session.refunded")
    letter = shop.running.letters(session_id)[-1]["payload"]
    assert letter["refundData"]["refundId"] == first.refund_id
    assert letter["refundData"]["txHash"] == tx_hash
    assert letter["sessionData"]["status"] == "completed"
    # And the rest, but not a unit more, can follow
    with pytest.raises(GStableError, match="amount is more than remains: 5980000"):
        sessions.refund_prepare(session_id, amount=RECEIVED - 4_000_000 + 1)
    rest = sessions.refund_prepare(session_id)
    till.sends(rest)
    till.reaches(rest, "completed")
    assert till.tokens_of(payer, token_id) - before == RECEIVED
    assert wallet_before - shop.balance(token_id) == RECEIVED
    with pytest.raises(GStableError, match="nothing remains"):
        sessions.refund_prepare(session_id)


def test_chn_17_a_refund_waits_until_the_payment_is_final(till: Till) -> None:
    # Given a chain that mines what is sent, and no further block
    shop = till.shop
    session_id = shop.session()
    shop.running.rpc("polygon", "evm_setIntervalMining", 0)
    shop.running.rpc("polygon", "evm_setAutomine", True)
    try:
        shop.pays(session_id)
        shop.reaches(session_id, "paid")
        # When the merchant wants to give it back, then it is refused
        with pytest.raises(GStableError, match="not final yet") as refused:
            shop.client.checkout_session.refund_prepare(session_id)
        assert refused.value.code == 100502
        assert shop.detail(session_id).session.refunds == ()
    finally:
        shop.running.rpc("polygon", "evm_setAutomine", False)
        shop.running.rpc("polygon", "evm_setIntervalMining", BLOCK_SECONDS)
    shop.reaches(session_id, "completed")
    assert shop.client.checkout_session.refund_prepare(session_id).status == "prepared"


def test_a_transfer_after_giving_up_still_counts(till: Till) -> None:
    shop, sessions = till.shop, till.shop.client.checkout_session
    session_id = shop.session()
    shop.pays(session_id)
    shop.reaches(session_id, "completed")
    # Given a refund that was cancelled while its transaction waits in the wallet
    refund = sessions.refund_prepare(session_id, amount=1_234_567)
    assert sessions.refund_cancel(refund.refund_id).success
    assert sessions.refund_detail(refund.refund_id).transaction is None
    # When the wallet sends it all the same
    till.sends(refund)
    # Then the money is gone, and the refund says so
    till.reaches(refund, "completed")
    shop.is_told(session_id, *CREATED_PAID_COMPLETED, "session.refunded")


def test_the_book_is_what_the_chains_say_after_refunds(till: Till) -> None:
    outcome = asyncio.run(reconciled(till.running))
    assert (outcome.differences, outcome.unread) == ((), ())
    assert outcome.sessions
