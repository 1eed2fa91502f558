"""The published agent client's behaviour, rebuilt from what is known of it (spec 10.1, 10.6, 10.7).

It shares no code with the server: JSON by an ordinary HTTP client with its default of 5 seconds,
messages and transactions by eth-account, which refuses an address without its checksum. What it
reads it reads by subscript, so an absent member is a failure here as it is there.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from eth_account import Account
from eth_account.messages import encode_typed_data

DOMAIN = "aipay.gstable.io"
CREATION = "PaymentSessionCreationAuthorization"
PREPARATION = "PreparePaymentAuthorization"
TYPES = {
    CREATION: [
        ("purpose", "string"),
        ("linkId", "string"),
        ("linkVersion", "string"),
        ("merchantId", "string"),
        ("payer", "address"),
        ("paymentChainId", "uint256"),
        ("paymentToken", "address"),
        ("amount", "uint256"),
        ("authorizationNonce", "bytes32"),
        ("authorizationExpiresAt", "uint256"),
    ],
    PREPARATION: [
        ("purpose", "string"),
        ("sessionId", "string"),
        ("merchantId", "string"),
        ("paymentChainId", "uint256"),
        ("paymentToken", "address"),
        ("payer", "address"),
        ("payerEmail", "string"),
        ("authorizationNonce", "bytes32"),
        ("authorizationExpiresAt", "uint256"),
    ],
}
ALLOWANCE = "0xdd62ed3e"
APPROVE = "0x095ea7b3"
EVERYTHING = 2**256 - 1
LIFETIME_SECONDS = 3600
RECEIPT_SECONDS = 180.0
# The published client looks every 2 seconds, where a block takes as long. Blocks are made at once
# here, and nothing else depends on it.
RECEIPT_POLL_SECONDS = 0.1


class AgentStopped(Exception):
    """The published client would end here with an error."""


@dataclass(frozen=True)
class Sent:
    """A payment that was handed to the network; the client does not wait for it."""

    session_id: str
    chain_id: str
    tx_hash: str


class PublishedAgent:
    """``rpc_urls`` by chain id, which is text there as it is in the API's answers."""

    def __init__(self, base_url: str, private_key: str, rpc_urls: Mapping[str, str]) -> None:
        self.api = httpx.Client(base_url=base_url, timeout=180)
        self.node = httpx.Client(timeout=180)
        self.rpc_urls = dict(rpc_urls)
        self.account = Account.from_key(private_key)
        self._ids = itertools.count(1)

    def close(self) -> None:
        self.api.close()
        self.node.close()

    # The API.

    def link(self, link_id: str) -> Any:
        return self._data(self.api.get(f"/payment/link/{link_id}"))

    def session(self, session_id: str) -> Any:
        """What the client resumes from."""
        found = self._data(self.api.get(f"/session/{session_id}"))
        for name in ("merchantId", "sessionType", "lineItems"):
            assert found[name]
        assert found["aiView"]["workflow"]["stage"]
        assert found["aiView"]["workflow"]["nextAction"]["action"]
        return found

    def create(self, link: Any, token: Any) -> Any:
        message = {
            "purpose": "create_payment_session",
            "linkId": link["linkId"],
            "linkVersion": link["linkVersion"],
            "merchantId": link["merchantId"],
            "payer": self.account.address,
            "paymentChainId": token["chainId"],
            "paymentToken": token["tokenAddress"],
            "amount": token["amountInToken"],
            **self.authorization(),
        }
        made = self.post("/payment/session/create", self.signed(CREATION, message))
        assert made["sessionType"] == "ai_checkout"
        assert isinstance(made["sessionExpiresAt"], int)
        assert made["aiView"]["workflow"]["nextAction"]["action"]
        return made

    def prepare(self, session_id: str, merchant_id: str, chain_id: str, token: str) -> Any:
        message = {
            "purpose": "prepare_payment",
            "sessionId": session_id,
            "merchantId": merchant_id,
            "payer": self.account.address,
            "payerEmail": "agent@example.com",
            "paymentChainId": chain_id,
            "paymentToken": token,
            **self.authorization(),
        }
        made = self.post("/payment/prepare", self.signed(PREPARATION, message))
        assert made["aiView"]["workflow"]["stage"]
        assert made["aiView"]["workflow"]["nextAction"]["action"]
        return made

    def signed(self, primary_type: str, message: Mapping[str, str]) -> dict[str, Any]:
        """The body: numbers are decimal strings in JSON, and numbers when they are signed."""
        kinds = dict(TYPES[primary_type])
        values = {
            name: int(text) if kinds[name] == "uint256" else text for name, text in message.items()
        }
        members = [{"name": name, "type": kind} for name, kind in TYPES[primary_type]]
        domain = {"name": DOMAIN, "version": "1", "chainId": values["paymentChainId"]}
        signable = encode_typed_data(domain, {primary_type: members}, values)
        signature = self.account.sign_message(signable).signature
        return {"message": dict(message), "signature": "0x" + bytes(signature).hex()}

    def authorization(self) -> dict[str, str]:
        return {
            "authorizationNonce": "0x" + secrets.token_hex(32),
            "authorizationExpiresAt": str(int(time.time()) + LIFETIME_SECONDS),
        }

    def post(self, path: str, body: Any) -> Any:
        return self._data(self.api.post(path, json=body))

    @staticmethod
    def _data(response: httpx.Response) -> Any:
        """Whatever the HTTP status, only a ``code`` of exactly 0 is success."""
        envelope = response.json()
        if envelope["code"] != 0 or isinstance(envelope["code"], bool):
            raise AgentStopped(f"{envelope['code']}: {envelope['message']}")
        return envelope["data"]

    # The chain.

    def pay_link(self, link_id: str, chain_id: str, symbol: str) -> Sent:
        """``pay``: link, session, prepare, approve, execute."""
        link = self.link(link_id)
        token = pick(link["aiView"]["supportedPaymentTokens"], chain_id, symbol)
        session = self.create(link, token)
        return self._execute(session["sessionId"], link["merchantId"], token)

    def pay_session(self, session_id: str, chain_id: str, symbol: str) -> Sent:
        """The same from a session that a merchant opened, with what its guide offers."""
        session = self.session(session_id)
        guide = session["aiView"]["completePaymentSessionGuide"]
        token = pick(guide["supportedPaymentTokens"], chain_id, symbol)
        return self._execute(session_id, session["merchantId"], token)

    def _execute(self, session_id: str, merchant_id: str, token: Any) -> Sent:
        prepared = self.prepare(session_id, merchant_id, token["chainId"], token["tokenAddress"])
        chain_id = prepared["executionChainId"]
        assert chain_id in self.rpc_urls, "text that indexes the networks"
        executor = prepared["executorContract"]
        if self._allowance(chain_id, token["tokenAddress"], executor) * 10 < (
            int(token["amountInToken"]) * 11
        ):
            unlimited = APPROVE + _word(executor) + f"{EVERYTHING:064x}"
            self._await_receipt(chain_id, self._send(chain_id, token["tokenAddress"], unlimited))
        tx_hash = self._send(chain_id, executor, prepared["calldata"])
        return Sent(session_id, chain_id, tx_hash)

    def _allowance(self, chain_id: str, token: str, spender: str) -> int:
        data = ALLOWANCE + _word(self.account.address) + _word(spender)
        return int(self._ask(chain_id, "eth_call", {"to": token, "data": data}, "latest"), 16)

    def _send(self, chain_id: str, to: str, data: str) -> str:
        """A legacy transaction, priced by the node; its hash."""
        sender = self.account.address
        asked = {"from": sender, "to": to, "data": data, "value": "0x0"}
        gas = int(self._ask(chain_id, "eth_estimateGas", asked), 16)
        transaction = {
            "chainId": int(chain_id),
            "nonce": int(self._ask(chain_id, "eth_getTransactionCount", sender, "latest"), 16),
            "gasPrice": int(self._ask(chain_id, "eth_gasPrice"), 16),
            "gas": gas * 12 // 10,
            "to": to,
            "value": 0,
            "data": data,
        }
        raw = self.account.sign_transaction(transaction).raw_transaction
        return str(self._ask(chain_id, "eth_sendRawTransaction", "0x" + bytes(raw).hex()))

    def _await_receipt(self, chain_id: str, tx_hash: str) -> None:
        deadline = time.monotonic() + RECEIPT_SECONDS
        while time.monotonic() < deadline:
            receipt = self._ask(chain_id, "eth_getTransactionReceipt", tx_hash)
            if receipt is not None:
                if int(receipt["status"], 16) != 1:
                    raise AgentStopped("the approval failed")
                return
            time.sleep(RECEIPT_POLL_SECONDS)
        raise AgentStopped("the approval was not mined")

    def _ask(self, chain_id: str, method: str, *parameters: Any) -> Any:
        question = {
            "jsonrpc": "2.0",
            "id": str(next(self._ids)),  # text, as the published client sends it
            "method": method,
            "params": list(parameters),
        }
        answer = self.node.post(self.rpc_urls[chain_id], json=question).json()
        if "error" in answer:
            raise AgentStopped(f"{method}: {answer['error']}")
        return answer["result"]


def pick(tokens: Any, chain_id: str, symbol: str) -> Any:
    """The token that the user named; both are compared as text."""
    for token in tokens:
        if token["chainId"] == chain_id and token["symbol"] == symbol:
            return token
    raise AgentStopped(f"no {symbol} on {chain_id}")


def _word(address: str) -> str:
    return address[2:].lower().rjust(64, "0")
