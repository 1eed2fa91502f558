# Generated from agent/_async/chain.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""The chain's side: a node that the payer trusts, and the transactions of one wallet."""

from typing import Any

from gstable import _retry
from gstable._sync.seam import Seam
from gstable._config import Timeout
from gstable._errors import GStableConnectionError
from gstable._transport import Transport, Request
from gstable.agent import _rpc
from gstable.agent._checks import DECIMALS_MAX
from gstable.agent._errors import ChainError, LimitExceeded, TransactionReverted, UnsafePayment
from gstable.agent._rpc import NodeRefused, Receipt, SignedTransaction
from gstable.agent._typed_data import Signer

HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}
LOOK_SECONDS = 1
TRIES = 3


class Chain:
    """One chain through one node, for one wallet."""

    def __init__(
        self,
        chain_id: int,
        url: str,
        signer: Signer,
        transport: Transport,
        seam: Seam,
        timeout: Timeout,
    ) -> None:
        self._chain_id = chain_id
        self._url = url
        self._signer = signer
        self._transport = transport
        self._seam = seam
        self._timeout = timeout

    def check(self) -> None:
        """Raises `UnsafePayment` where the node is another chain's."""
        found = _rpc.number(self._ask("eth_chainId"), "eth_chainId")
        if found != self._chain_id:
            raise UnsafePayment(f"the node of chain {self._chain_id} is one of chain {found}")

    def code(self, address: str) -> bytes:
        """The code at an address; empty for a wallet."""
        return _rpc.data(self._ask("eth_getCode", address, "latest"), "eth_getCode")

    def gas_balance(self) -> int:
        """What the wallet has for gas, in wei."""
        found = self._ask("eth_getBalance", self._signer.address, "latest")
        return _rpc.number(found, "eth_getBalance")

    def decimals(self, token: str) -> int:
        """The decimals that the token's contract tells."""
        found = _rpc.word(self._view(token, _rpc.DECIMALS), "decimals")
        if found > DECIMALS_MAX:
            raise UnsafePayment(f"{token} has no decimals of a token")
        return found

    def balance(self, token: str) -> int:
        """What the wallet has of a token, in smallest units."""
        data = _rpc.BALANCE_OF + _rpc.address_word(self._signer.address)
        return _rpc.word(self._view(token, data), "balanceOf")

    def allowance(self, token: str, spender: str) -> int:
        """What `spender` may take of the wallet's, in smallest units."""
        owner = _rpc.address_word(self._signer.address)
        data = _rpc.ALLOWANCE + owner + _rpc.address_word(spender)
        return _rpc.word(self._view(token, data), "allowance")

    def is_paid(self, executor: str, session_key: bytes) -> bool:
        """Whether the executor has taken the money of that session."""
        return _rpc.word(self._view(executor, _rpc.PAID + session_key), "paid") != 0

    def nonce(self) -> int:
        """The number of the wallet's next transaction, with those that wait to be mined."""
        found = self._ask("eth_getTransactionCount", self._signer.address, "pending")
        return _rpc.number(found, "eth_getTransactionCount")

    def sign(self, to: str, data: bytes, gas_cost_limit: int | None) -> SignedTransaction:
        """A call as a transaction, signed and not sent. A call that would revert is not signed.

        Raises `NodeRefused`, `ChainError`, and `LimitExceeded` where it may cost more wei.
        """
        call = {"from": self._signer.address, "to": to, "data": f"0x{data.hex()}"}
        estimate = _rpc.number(self._ask("eth_estimateGas", call), "eth_estimateGas")
        gas = estimate * 6 // 5
        fees = self._fees()
        most = gas * max(fees.values())
        if gas_cost_limit is not None and most > gas_cost_limit:
            raise LimitExceeded("gas_per_transaction", f"gas may cost {most} wei")
        signed = self._signer.sign_transaction(
            {
                "chainId": self._chain_id,
                "nonce": self.nonce(),
                "to": to,
                "data": call["data"],
                "value": 0,
                "gas": gas,
                **fees,
            }
        )
        raw, tx_hash = bytes(signed.raw_transaction), bytes(signed.hash)
        return SignedTransaction(raw, f"0x{tx_hash.hex()}")

    def hand_in(self, signed: SignedTransaction) -> None:
        """Give a transaction to the node. Raises `NodeRefused` where the node refuses it, another
        `ChainError` where nobody knows whether it has it."""
        try:
            self._ask("eth_sendRawTransaction", f"0x{signed.raw.hex()}")
        except NodeRefused:
            # Perhaps it is there, and only the answer to the first attempt was lost.
            if self._ask("eth_getTransactionByHash", signed.tx_hash) is None:
                raise

    def wait(self, tx_hash: str, what: str, seconds: int) -> Receipt:
        """The receipt once it is mined. Raises `TransactionReverted`, and `ChainError` when it is
        not mined after so many seconds."""
        until = self._seam.now() + seconds
        while self._seam.now() < until:
            found = _rpc.receipt(self._ask("eth_getTransactionReceipt", tx_hash))
            if found is not None:
                if not found.succeeded:
                    raise TransactionReverted(f"{what} failed on chain: {tx_hash}", tx_hash)
                return found
            self._seam.sleep(LOOK_SECONDS)
        raise ChainError(f"{what} is not mined after {seconds} s: {tx_hash}")

    def _fees(self) -> dict[str, int]:
        """What a unit of gas may cost: EIP-1559 where the chain has it, else the node's price."""
        price = _rpc.number(self._ask("eth_gasPrice"), "eth_gasPrice")
        block = self._ask("eth_getBlockByNumber", "latest", False)
        if not isinstance(block, dict) or block.get("baseFeePerGas") is None:
            return {"gasPrice": price}
        base = _rpc.number(block["baseFeePerGas"], "baseFeePerGas")
        tip = max(price - base, 1)
        return {"maxFeePerGas": 2 * base + tip, "maxPriorityFeePerGas": tip}

    def _view(self, to: str, data: bytes) -> bytes:
        call = {"to": to, "data": f"0x{data.hex()}"}
        return _rpc.data(self._ask("eth_call", call, "latest"), "eth_call")

    def _ask(self, method: str, *params: object) -> Any:
        """One call, tried again where the node gave no answer: each of them may be repeated."""
        body = _rpc.question(method, list(params))
        request = Request("POST", self._url, HEADERS, body, self._timeout)
        failure = ""
        for attempt in range(1, TRIES + 1):
            try:
                response = self._transport.send(request)
                if response.status not in _retry.TRANSIENT_STATUSES:
                    return _rpc.result(method, response)
                failure = f"HTTP status {response.status}"
            except GStableConnectionError as error:
                failure = error.message
            self._seam.sleep(_retry.delay(attempt, self._seam.chance(), None, 0))
        raise ChainError(f"{method}: {failure}")
