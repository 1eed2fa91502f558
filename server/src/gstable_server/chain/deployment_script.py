"""Transactions for a local chain, written down before any of them is sent.

Every address is known beforehand (it follows from the sender and its nonce), so the transactions
go out together and nothing waits for a receipt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.transactions import rlp
from gstable_server.kernel.address import Address

CHECKOUT = Path(__file__).resolve().parents[4]
"""The source tree: contracts and programs for development lie there."""
GAS = 8_000_000
DETERMINISTIC_DEPLOYER = Address(bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c"))
"""The proxy that creates a contract at an address which follows from its code and a salt alone; it
is on every public chain, and on every anvil."""
SALT = bytes(32)


class Script:
    """Transactions of one sender whose key the node holds, numbered from its next nonce."""

    def __init__(self, sender: Address, nonce: int) -> None:
        self.sender = sender
        self._nonce = nonce
        self.transactions: list[dict[str, str]] = []

    def create(self, code: bytes, *arguments: bytes | abi.Dynamic) -> Address:
        """Deploy ``code`` with the constructor's ``arguments``; the address it will have."""
        created = created_address(self.sender, self._nonce)
        self._add({"data": "0x" + (code + abi.encode(*arguments)).hex()})
        return created

    def create_everywhere_alike(self, code: bytes, *arguments: bytes | abi.Dynamic) -> Address:
        """Deploy through the deterministic deployer: the address is that of every other chain."""
        creation = code + abi.encode(*arguments)
        self._add({"to": _hex(DETERMINISTIC_DEPLOYER), "data": "0x" + (SALT + creation).hex()})
        return deterministic_address(creation)

    def call(self, to: Address, signature: str, *arguments: bytes | abi.Dynamic) -> None:
        """Call the function of ``signature``."""
        data = abi.call_data(signature, *arguments)
        self._add({"to": _hex(to), "data": "0x" + data.hex()})

    def _add(self, transaction: dict[str, str]) -> None:
        self.transactions.append(
            {"from": _hex(self.sender), "nonce": hex(self._nonce), "gas": hex(GAS), **transaction}
        )
        self._nonce += 1


def created_address(sender: Address, nonce: int) -> Address:
    """Where the contract that ``sender`` creates with ``nonce`` will be."""
    return Address(keccak256(rlp([sender, nonce]))[12:])


def deterministic_address(creation: bytes) -> Address:
    """Where the deterministic deployer puts the contract of ``creation`` code (EIP-1014)."""
    preimage = b"\xff" + DETERMINISTIC_DEPLOYER + SALT + keccak256(creation)
    return Address(keccak256(preimage)[12:])


async def carry_out(rpc: HttpRpc, scripts: Sequence[Script]) -> None:
    """Send everything at once, mine, and prove that all of it succeeded."""
    transactions = [each for script in scripts for each in script.transactions]
    hashes = await rpc.ask([("eth_sendTransaction", [each]) for each in transactions])
    await rpc.ask([("evm_mine", [])])
    receipts = await rpc.ask([("eth_getTransactionReceipt", [tx_hash]) for tx_hash in hashes])
    for position, receipt in enumerate(receipts):
        assert receipt is not None, "a mined block holds every waiting transaction"
        assert receipt["status"] == "0x1", f"step {position} failed: {transactions[position]}"


def load_artifact(path: Path) -> dict[str, Any]:
    """A compiled contract as its compiler wrote it."""
    artifact: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return artifact


def creation_code(artifact: dict[str, Any], library: Address | None = None) -> bytes:
    """The code that deploys; ``library`` goes to the places that ``linkReferences`` lists."""
    places = [
        (place["start"], place["length"])
        for libraries in artifact.get("linkReferences", {}).values()
        for listed in libraries.values()
        for place in listed
    ]
    digits = artifact["bytecode"].removeprefix("0x")
    for start, length in places:
        assert library is not None, "the contract must be linked with a library"
        digits = digits[: 2 * start] + library.hex() + digits[2 * (start + length) :]
    return bytes.fromhex(digits)


def _hex(address: Address) -> str:
    return "0x" + address.hex()
