"""A wallet whose chains are on paper: for what a page does with a wallet's answers, whatever they
are. It signs for real; what a chain does with a payment is tested on real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

from gstable_server.chain.networks import Networks
from tests.browser.wallet import FAILED, InjectedWallet, WalletRefusal

NAME = "Paper Wallet"
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 28 28'%3E"
    "%3Crect width='28' height='28' rx='7' fill='%231d4e66'/%3E"
    "%3Cpath d='M7 8h14v12H7z' fill='%23f4d58d'/%3E%3C/svg%3E"
)
SIGN, SEND = "eth_signTypedData_v4", "eth_sendTransaction"
ALLOWANCE, BALANCE_OF, NONCES = "0xdd62ed3e", "0x70a08231", "0x7ecebe00"
IS_SIGNER, PAID, PAUSED = "0x7df73e27", "0xadd89bb2", "0x5c975abb"
KEYS = ["0x" + "5e" * 32, "0x" + "6e" * 32]


def _word(value: int) -> str:
    return f"0x{value:064x}"


@dataclass
class PaperWallet(InjectedWallet):
    """``receipts`` are the transactions that were mined, by hash; with ``mines`` each is at once,
    and succeeds. ``balance`` is of every token, in its smallest units."""

    balance: int = 10**12
    allowance: int = 0
    mines: bool = False
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    dead: bool = False
    """Its node does not answer."""
    native: int = 10**18
    block_time: int = 0
    router: dict[str, int] = field(default_factory=lambda: {IS_SIGNER: 1, PAID: 0, PAUSED: 0})
    """What the payment contract answers, by selector."""
    reverts: set[str] = field(default_factory=set)
    """Selectors of calls that fail."""

    @classmethod
    def of(cls, networks: Networks) -> PaperWallet:
        """On Polygon, and knowing all the networks."""
        chains = {network.chain_id for network in networks.all}
        polygon = networks.network("polygon").chain_id
        return cls(
            private_keys=KEYS,
            nodes={},
            chain_id=polygon,
            known_chains=chains,
            name=NAME,
            icon=ICON,
        )

    def mine(self, tx_hash: str, *, succeeds: bool = True) -> None:
        """A block has that transaction."""
        self.receipts[tx_hash] = {"status": "0x1" if succeeds else "0x0"}

    def node(self, method: str, params: Sequence[Any], chain_id: int | None = None) -> Any:
        """What the node of the chain in use says."""
        if self.dead:
            raise WalletRefusal(FAILED, "The node does not answer.")
        match method:
            case "eth_call":
                return self._call(params[0]["data"])
            case "eth_getBalance":
                return hex(self.native)
            case "eth_getBlockByNumber":
                return {"timestamp": hex(self.block_time)}
            case "eth_estimateGas":
                return hex(100_000)
            case "eth_gasPrice":
                return hex(10**9)
            case "eth_getTransactionCount":
                return hex(len(self.sent))
            case "eth_getTransactionReceipt":
                return self.receipts.get(params[0])
            case "eth_sendRawTransaction":
                return self._take(params[0])
        raise WalletRefusal(FAILED, f"{method} is not known here.")

    def _call(self, data: str) -> str:
        answers = {ALLOWANCE: self.allowance, BALANCE_OF: self.balance, NONCES: 0}
        if data[:10] in self.reverts:
            raise WalletRefusal(FAILED, "execution reverted")
        value = (answers | self.router).get(data[:10])
        return "0x" if value is None else _word(value)

    def _take(self, raw: str) -> str:
        tx_hash = "0x" + hashlib.sha256(raw.encode()).hexdigest()
        is_approval = self.sent[-1]["data"].startswith("0x095ea7b3")
        if is_approval:
            self.allowance = int(self.sent[-1]["data"][-64:], 16)
        if self.mines or is_approval:
            self.mine(tx_hash)
        return tx_hash


def installed(context: BrowserContext, networks: Networks) -> PaperWallet:
    """A new wallet of this kind in every page of ``context`` that is opened from now on."""
    wallet = PaperWallet.of(networks)
    wallet.install(context)
    return wallet


def hold(page: Page, method: str = SIGN) -> None:
    """From now on the wallet's owner leaves questions of this kind unanswered."""
    page.evaluate("(method) => { window.__gstableHold = method; }", method)


def release(page: Page) -> None:
    """The owner answers what was asked, or what is just about to be."""
    page.evaluate(
        """async () => {
          while (!window.__gstableRelease) await new Promise((go) => setTimeout(go, 20));
          window.__gstableRelease();
        }"""
    )
