"""Puts the router, USDC and a double of USDT on a local chain, in two blocks.

Every address is known before anything is sent (it follows from the sender and its nonce), so
the transactions go out together and nothing waits for a receipt.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.http_rpc import HttpRpc
from gstable_server.chain.transactions import rlp
from gstable_server.kernel.address import Address, address_from_hex

GAS = 8_000_000
DECIMALS = 6
PROXY_ADMIN = Address(keccak256(b"administrator of the USDC proxy")[12:])
"""The proxy answers nothing else to its administrator, so it is nobody who calls the token."""


@dataclass(frozen=True, slots=True)
class DeployedToken:
    name: str
    symbol: str
    address: Address
    decimals: int
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where everything is; code hashes are Keccak-256 of the runtime code."""

    router: Address
    router_code_hash: bytes
    tokens: tuple[DeployedToken, ...]


class _Script:
    """Transactions of one sender, numbered from its next nonce."""

    def __init__(self, sender: str, nonce: int) -> None:
        self.sender = address_from_hex(sender)
        self._nonce = nonce
        self.transactions: list[dict[str, str]] = []

    def create(self, code: bytes) -> Address:
        """Deploy ``code``; the address it will have."""
        created = created_address(self.sender, self._nonce)
        self._add({"data": "0x" + code.hex()})
        return created

    def call(self, to: Address, signature: str, *arguments: bytes | abi.Dynamic) -> None:
        data = abi.call_data(signature, *arguments)
        self._add({"to": "0x" + to.hex(), "data": "0x" + data.hex()})

    def _add(self, transaction: dict[str, str]) -> None:
        sender = "0x" + self.sender.hex()
        self.transactions.append(
            {"from": sender, "nonce": hex(self._nonce), "gas": hex(GAS), **transaction}
        )
        self._nonce += 1


def created_address(sender: Address, nonce: int) -> Address:
    """Where the contract that ``sender`` creates with ``nonce`` will be."""
    return Address(keccak256(rlp([sender, nonce]))[12:])


async def deploy(
    rpc: HttpRpc, artifacts: Path, operator: str, signer: Address, tether: bool
) -> Deployment:
    """Deploy with the node's own account ``operator``, who becomes the owner of everything."""
    owner = address_from_hex(operator)
    script = _Script(operator, await rpc.transaction_count(owner))
    usdc = _usdc(script, json.loads((artifacts / "usdc.json").read_text())["contracts"])
    placed = [("USD Coin", "USDC", usdc)]
    if tether:
        code = _bytecode(_artifact(artifacts, "TetherDouble")) + abi.encode(abi.number_word(0))
        placed.append(("Tether USD", "USDT", script.create(code)))
    router = script.create(
        _bytecode(_artifact(artifacts, "PaymentRouter"))
        + abi.encode(abi.address_word(owner), abi.address_word(signer))
    )
    await _send(rpc, script.transactions)
    return Deployment(
        router=router,
        router_code_hash=await _code_hash(rpc, router),
        tokens=tuple(
            [
                DeployedToken(name, symbol, address, DECIMALS, await _code_hash(rpc, address))
                for name, symbol, address in placed
            ]
        ),
    )


def _usdc(script: _Script, contracts: dict[str, Any]) -> Address:
    """Circle's FiatTokenV2_2 behind its proxy, in the sequence of contracts/README.md."""
    checker = script.create(_bytecode(contracts["SignatureChecker"]))
    implementation = script.create(_linked(contracts["FiatTokenV2_2"], checker))
    token = script.create(
        _bytecode(contracts["FiatTokenProxy"]) + abi.encode(abi.address_word(implementation))
    )
    operator = abi.address_word(script.sender)
    name, symbol, currency = (abi.Dynamic(t) for t in (b"USD Coin", b"USDC", b"USD"))
    script.call(token, "changeAdmin(address)", abi.address_word(PROXY_ADMIN))
    script.call(
        token,
        "initialize(string,string,string,uint8,address,address,address,address)",
        name,
        symbol,
        currency,
        abi.number_word(DECIMALS),
        operator,  # master minter
        operator,  # pauser
        operator,  # blacklister
        operator,  # owner
    )
    script.call(token, "initializeV2(string)", name)
    script.call(token, "initializeV2_1(address)", operator)
    script.call(token, "initializeV2_2(address[],string)", abi.Dynamic(b""), symbol)
    script.call(token, "configureMinter(address,uint256)", operator, abi.number_word(2**256 - 1))
    return token


async def _send(rpc: HttpRpc, transactions: list[dict[str, str]]) -> None:
    hashes = await rpc.ask([("eth_sendTransaction", [each]) for each in transactions])
    await rpc.ask([("evm_mine", [])])
    for position, tx_hash in enumerate(hashes):
        receipt = await rpc.receipt(bytes.fromhex(tx_hash[2:]))
        assert receipt is not None, "a mined block holds every waiting transaction"
        assert receipt.succeeded, f"deployment step {position} failed"


async def _code_hash(rpc: HttpRpc, address: Address) -> bytes:
    return keccak256(await rpc.code(address))


def _artifact(artifacts: Path, name: str) -> dict[str, Any]:
    artifact: dict[str, Any] = json.loads((artifacts / f"{name}.json").read_text())
    return artifact


def _bytecode(artifact: dict[str, Any]) -> bytes:
    return bytes.fromhex(artifact["bytecode"].removeprefix("0x"))


def _linked(artifact: dict[str, Any], library: Address) -> bytes:
    """Put the library's address in the places that ``linkReferences`` lists."""
    code = bytearray(bytes.fromhex(_blanked(artifact["bytecode"].removeprefix("0x"), artifact)))
    for start, length in _places(artifact):
        code[start : start + length] = library
    return bytes(code)


def _blanked(digits: str, artifact: dict[str, Any]) -> str:
    """The placeholders are not hexadecimal: zeros stand in until they are replaced."""
    for start, length in _places(artifact):
        digits = digits[: 2 * start] + "00" * length + digits[2 * (start + length) :]
    return digits


def _places(artifact: dict[str, Any]) -> list[tuple[int, int]]:
    return [
        (place["start"], place["length"])
        for libraries in artifact["linkReferences"].values()
        for places in libraries.values()
        for place in places
    ]
