"""A payer's wallet without a browser, for the demonstration and for tests.

It keeps its key in memory and asks nobody before it signs: not for real money.
"""

from __future__ import annotations

import asyncio

from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.keys import address_of_key
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc_answers import Receipt
from gstable_server.chain.transactions import signed_transaction
from gstable_server.kernel.errors import Passing

TIP = 1_000_000_000
"""Per unit of gas, in the smallest native unit."""
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
            gas = estimate * 6 // 5
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
