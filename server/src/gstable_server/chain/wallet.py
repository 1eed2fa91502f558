"""A payer's wallet without a browser, for the demonstration and for tests.

It keeps its key in memory and asks nobody before it signs: not for real money.
"""

from __future__ import annotations

import asyncio

from gstable_server.chain.consents import (
    erc3009_typed_data,
    nonces_call,
    permit2_data,
    permit2_typed_data,
    permit_data,
    permit_typed_data,
)
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.keys import address_of_key, sign_digest
from gstable_server.chain.networks import Token
from gstable_server.chain.orders import (
    ContractCall,
    SignedOrder,
    approve_call,
    collected_call,
    direct_call,
    transfer_call,
)
from gstable_server.chain.rpc_answers import Receipt
from gstable_server.chain.transactions import signed_transaction
from gstable_server.chain.typed_data import TypedData
from gstable_server.kernel.address import Address
from gstable_server.kernel.errors import Passing

TIP = 1_000_000_000
"""Per unit of gas, in the smallest native unit."""
SLOT_EMPTIED_GAS = 17_100
"""What a write costs more than estimated when its slot has become empty since (EIP-2929)."""
SLOTS_EMPTIED = 3
"""What others may empty before a payment is mined: escrow and solvers take all that there is."""
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.1


class Wallet:
    """One account on one chain. Raises ``ValueError`` when the bytes are no private key."""

    def __init__(self, private_key: bytes, rpc: HttpRpc, chain_id: int) -> None:
        self._private_key = private_key
        self._rpc = rpc
        self._chain_id = chain_id
        self.address = address_of_key(private_key)

    async def send(self, call: ContractCall, *, gas: int | None = None) -> bytes:
        """Sign and send ``call``; the transaction's hash, 32 bytes.

        ``gas`` skips the estimate, which refuses calls that would fail now. Raises
        ``NodeRefused`` when the node does, for example because the call would revert.
        """
        if gas is None:
            estimate = await self._rpc.estimate_gas(self.address, call.to, call.data, call.value)
            gas = estimate + estimate // 5 + SLOTS_EMPTIED * SLOT_EMPTIED_GAS
        nonce = await self._rpc.transaction_count(self.address)
        fee = 2 * await self._rpc.gas_price() + TIP
        return await self._rpc.send_raw(self.sign(call, nonce=nonce, gas=gas, fee=fee))

    def sign(self, call: ContractCall, *, nonce: int, gas: int, fee: int) -> bytes:
        """The signed transaction of EIP-1559; ``fee`` is the most a unit of gas may cost."""
        return signed_transaction(
            self._private_key,
            call,
            self._chain_id,
            nonce=nonce,
            gas=gas,
            fee=fee,
            tip=min(TIP, fee),
        )

    async def wait(self, tx_hash: bytes, timeout_seconds: float = WAIT_SECONDS) -> Receipt:
        """The receipt once the transaction is mined. Raises ``Passing`` after the timeout."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while loop.time() < deadline:
            receipt = await self._rpc.receipt(tx_hash)
            if receipt is not None:
                return receipt
            await asyncio.sleep(POLL_SECONDS)
        raise Passing(f"transaction 0x{tx_hash.hex()} is not mined yet")

    def sign_typed_data(self, data: TypedData) -> bytes:
        """``eth_signTypedData_v4``: r, s, v (EIP-712)."""
        return sign_digest(self._private_key, data.digest)

    # Paying an order, in every way. Each answers the hash of the paying transaction, or the call
    # that anybody may send for this wallet, which then needs no gas.

    async def pay_by_approval(self, signed: SignedOrder) -> bytes:
        """Approve the exact amount to the router, wait for that, and pay (ERC-20)."""
        await self._approve(signed.order.token, signed.network.router, signed.order.total)
        return await self.send(direct_call(signed))

    async def pay_by_permit(self, signed: SignedOrder) -> bytes:
        """Sign a permit and pay with it in one transaction (EIP-2612)."""
        nonce = await self._rpc.call(signed.order.token.address, nonces_call(self.address))
        data = permit_typed_data(signed, self.address, int.from_bytes(nonce, "big"))
        consent = permit_data(signed, self.sign_typed_data(data))
        collector = signed.network.contracts.permit_collector
        assert collector is not None, "permit_typed_data looks it up"
        return await self.send(collected_call(signed, self.address, collector.address, consent))

    def pay_by_authorization(self, signed: SignedOrder) -> ContractCall:
        """Sign an authorization whose nonce is the order, to be relayed (EIP-3009)."""
        signature = self.sign_typed_data(erc3009_typed_data(signed, self.address))
        return collected_call(signed, self.address, signed.network.router, signature)

    async def pay_by_permit2(self, signed: SignedOrder) -> ContractCall:
        """Approve Permit2 for the exact amount, and sign the order for it, to be relayed."""
        permit2 = signed.network.permit2
        assert permit2 is not None, f"{signed.network.name} has no Permit2"
        await self._approve(signed.order.token, permit2, signed.order.total)
        signature = self.sign_typed_data(permit2_typed_data(signed, self.address))
        return collected_call(signed, self.address, permit2, permit2_data(signed, signature))

    async def transfer(self, token: Token, receiver: Address, amount: int) -> bytes:
        """Move atomic units of ``token``; what paying to a deposit address is."""
        return await self.send(transfer_call(token.address, receiver, amount))

    async def _approve(self, token: Token, spender: Address, amount: int) -> None:
        receipt = await self.wait(await self.send(approve_call(token, spender, amount)))
        assert receipt.succeeded, "the estimate would have refused it"
