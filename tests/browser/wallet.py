"""A wallet for Playwright's pages that announces itself by EIP-6963 and signs for real.

The page sees an EIP-1193 provider; every request comes to Python, where the keys are. What the
wallet signs goes to the node of the chain that it is on, and so do reads.
"""

from __future__ import annotations

import json
import secrets
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from playwright.sync_api import BrowserContext, Page

NAME = "Harbour Wallet"
REJECTED = 4001
UNKNOWN_CHAIN = 4902
FAILED = -32603
MONEY = frozenset({"0x70a08231", "0xa9059cbb"})
"""Selectors of ``balanceOf`` and ``transfer`` (EIP-20)."""

SCRIPT = """
(() => {
  const listeners = new Map();
  const emit = (event, value) => (listeners.get(event) ?? []).forEach((tell) => tell(value));
  const provider = {
    async request({ method, params = [] }) {
      // Its owner takes time to read.
      if (window.__gstableHold === method) {
        await new Promise((go) => { window.__gstableRelease = go; });
      }
      const answer = JSON.parse(await window[BINDING](JSON.stringify({ method, params })));
      for (const [event, value] of answer.events) emit(event, value);
      if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
      return answer.result;
    },
    on(event, listener) {
      listeners.set(event, [...(listeners.get(event) ?? []), listener]);
    },
    removeListener(event, listener) {
      listeners.set(event, (listeners.get(event) ?? []).filter((one) => one !== listener));
    },
  };
  window[BINDING + "Emit"] = emit;
  const info = Object.freeze(INFO);
  const announce = () =>
    window.dispatchEvent(
      new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }),
    );
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""


class WalletRefusal(Exception):
    """What the wallet answers with instead of a result."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass
class InjectedWallet:
    """One wallet of a browser context.

    ``private_keys`` as hexadecimal text, the first is the account in use; ``nodes`` is the RPC
    address by chain id for every chain that exists, of which the wallet knows ``known_chains``.
    ``reject`` holds the methods that its owner declines. ``asked`` records every method.
    """

    private_keys: Sequence[str]
    nodes: Mapping[int, str]
    chain_id: int
    known_chains: set[int]
    name: str = NAME
    icon: str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"
    reject: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    signed: list[dict[str, Any]] = field(default_factory=list)
    account_index: int = 0
    invent_hashes: bool = False
    """Say that transactions were sent, and send none."""
    allowance_is_enough: bool = False
    """Say that every allowance and every call is fine."""
    sign_wrongly: bool = False
    """Sign with another key than the account's."""
    afterwards: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What its owner does as soon as a method was answered."""
    fake_balance: int | None = None
    """Said instead of every balance, of tokens and coins."""
    uuid: str = "9b7e2c52-65c1-4f0b-9c77-0d0a5f4c3b21"
    """Another one for each of several wallets in one context (EIP-6963)."""
    _events: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The account in use, with its EIP-55 checksum."""
        return str(Account.from_key(self.private_keys[self.account_index]).address)

    @property
    def _binding(self) -> str:
        """What its pages call it by."""
        return f"__gstableWallet{self.uuid[:8]}"

    def install(self, context: BrowserContext) -> None:
        """Be there in every page of ``context`` that is opened from now on."""
        info = {"uuid": self.uuid, "rdns": "test.harbour.wallet"}
        info |= {"name": self.name, "icon": self.icon}
        context.expose_function(self._binding, self._answer)
        script = SCRIPT.replace("BINDING", json.dumps(self._binding))
        context.add_init_script(script.replace("INFO", json.dumps(info)))

    def use_account(self, page: Page, index: int) -> None:
        """The owner chooses another account, and the wallet tells the page."""
        self.account_index = index
        self.tell(page, "accountsChanged", [self.address])

    def tell(self, page: Page, event: str, value: object) -> None:
        """An event of EIP-1193, as the page hears it."""
        emit = f"([event, value]) => window['{self._binding}Emit'](event, value)"
        page.evaluate(emit, [event, value])

    def transact(self, to: str, data: str) -> None:
        """Send a transaction of the owner's own and wait until it is mined."""
        call = {"from": self.address, "to": to, "data": data, "value": "0x0"}
        sent = self._send(call)
        for _ in range(600):
            receipt = self.node("eth_getTransactionReceipt", [sent])
            if receipt is not None:
                assert receipt["status"] == "0x1"
                return
            time.sleep(0.1)
        raise AssertionError("not mined within 60 s")

    def node(self, method: str, params: Sequence[Any], chain_id: int | None = None) -> Any:
        """Ask the node of ``chain_id``, or of the chain in use."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        request = urllib.request.Request(
            self.nodes[self.chain_id if chain_id is None else chain_id],
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        if "error" in answer:
            raise WalletRefusal(FAILED, answer["error"]["message"])
        return answer["result"]

    def _answer(self, request_json: str) -> str:
        self._events.clear()
        return json.dumps({**self.answer(json.loads(request_json)), "events": self._events})

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """``{"result": …}`` or ``{"error": …}``."""
        method, params = request["method"], request["params"]
        self.asked.append(method)
        try:
            if method in self.reject:
                raise WalletRefusal(REJECTED, "User rejected the request.")
            result = self._do(method, params)
            self.afterwards.get(method, lambda: None)()
        except WalletRefusal as refusal:
            return {"error": {"code": refusal.code, "message": str(refusal)}}
        return {"result": result}

    def _do(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_requestAccounts" | "eth_accounts":
                return [self.address]
            case "eth_chainId":
                return hex(self.chain_id)
            case "wallet_switchEthereumChain":
                return self._switch(int(params[0]["chainId"], 16))
            case "wallet_addEthereumChain":
                self.known_chains.add(int(params[0]["chainId"], 16))
                return None
            case "eth_sendTransaction" if self.invent_hashes:
                return "0x" + secrets.token_hex(32)
            case "eth_sendTransaction":
                return self._send(params[0])
            case "eth_signTypedData_v4":
                return self._sign(params[0], json.loads(params[1]))
            case "eth_call" if self.allowance_is_enough:
                return "0x" + "f" * 64
            case "eth_getBalance" if self.fake_balance is not None:
                return hex(self.fake_balance)
            case "eth_call" if self.fake_balance and params[0]["data"][:10] in MONEY:
                return f"0x{self.fake_balance:064x}"
            case _:
                return self.node(method, params)

    def _switch(self, chain_id: int) -> None:
        if chain_id not in self.known_chains:
            raise WalletRefusal(UNKNOWN_CHAIN, f"Unrecognized chain ID {hex(chain_id)}.")
        if chain_id != self.chain_id:
            self.chain_id = chain_id
            self._events.append(("chainChanged", hex(chain_id)))

    def _sign(self, account: str, typed_data: dict[str, Any]) -> str:
        """Sign structured data (EIP-712) for the chain in use."""
        if account.lower() != self.address.lower():
            raise WalletRefusal(4100, "The account is not authorized.")
        if typed_data["domain"]["chainId"] != self.chain_id:
            raise WalletRefusal(FAILED, "The data is for another chain.")
        self.signed.append(typed_data)
        message = encode_typed_data(full_message=typed_data)
        key = secrets.token_hex(32) if self.sign_wrongly else self.private_keys[self.account_index]
        signature = Account.sign_message(message, key).signature
        return str(signature.to_0x_hex())

    def _send(self, transaction: dict[str, Any]) -> str:
        """Estimate, sign as a dynamic-fee transaction (EIP-1559), send."""
        if transaction["from"].lower() != self.address.lower():
            raise WalletRefusal(4100, "The account is not authorized.")
        call = {key: transaction[key] for key in ("from", "to", "data", "value")}
        gas = int(self.node("eth_estimateGas", [call]), 16)
        price = int(self.node("eth_gasPrice", []), 16)
        fields = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": int(self.node("eth_getTransactionCount", [self.address, "pending"]), 16),
            "to": transaction["to"],
            "data": transaction["data"],
            "value": int(transaction["value"], 16),
            "gas": gas + gas // 5,
            "maxFeePerGas": 2 * price,
            "maxPriorityFeePerGas": min(price, 10**9),
        }
        signed = Account.sign_transaction(fields, self.private_keys[self.account_index])
        self.sent.append(fields)
        sent_hash = str(self.node("eth_sendRawTransaction", [signed.raw_transaction.to_0x_hex()]))
        self.hashes.append(sent_hash)
        return sent_hash


def choose_wallet(page: Page) -> None:
    """The payer takes the wallet of the local chains."""
    page.get_by_role("button", name=NAME).click()
