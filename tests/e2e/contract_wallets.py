"""Payers whose wallet is a contract of theirs: deployed (EIP-1271), and not yet (ERC-6492).

The contract is written in the machine's own code, because it has to do two things only: say
whether its holder signed a hash, and, when it is deployed, allow a spender to take its tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.deployment_script import DETERMINISTIC_DEPLOYER
from gstable_server.chain.http_rpc import open_rpc
from gstable_server.chain.keys import address_of_key, private_key_from_hex, sign_digest
from gstable_server.chain.networks import Network, Networks
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.typed_data_json import typed_data_from_json
from gstable_server.chain.wallet import Wallet
from gstable_server.cli.payer import Paid, Payer, Prepared
from gstable_server.kernel.address import Address

SALT = b"\0" * 32
NOT_DEPLOYED = bytes.fromhex("6492" * 16)
MAGIC = bytes.fromhex("1626ba7e")
MANY = 10**12


def _push(value: bytes) -> bytes:
    """PUSH1 … PUSH32."""
    return bytes([0x5F + len(value)]) + value


def _push1(*values: int) -> bytes:
    return b"".join(_push(bytes([value])) for value in values)


def _copied(length: int, offset: int) -> bytes:
    """CODECOPY to the beginning of memory."""
    return _push1(length, offset, 0) + b"\x39"


def _runtime(holder: Address) -> bytes:
    """``isValidSignature(bytes32 hash, bytes signature)``, whatever is called: the hash stands at
    byte 4 of the question, and r, s and v from byte 100."""
    load, store, shift_left, multiply, equal = b"\x35", b"\x52", b"\x1b", b"\x02", b"\x14"
    staticcall, gas, mload, stop = b"\xfa", b"\x5a", b"\x51", b"\xf3"
    hash_word = _push1(4) + load + _push1(0) + store
    # v is the first byte of its word: BYTE 0.
    v_word = _push1(164) + load + _push1(0) + b"\x1a" + _push1(32) + store
    r_word = _push1(100) + load + _push1(64) + store
    s_word = _push1(132) + load + _push1(96) + store
    recovered = _push1(32, 0, 128, 0, 1) + gas + staticcall + b"\x50"
    agrees = _push(holder) + _push1(0) + mload + equal
    # The magic value for the holder's signature, zero for any other.
    answer = _push(MAGIC) + multiply + _push1(224) + shift_left + _push1(0) + store
    return hash_word + v_word + r_word + s_word + recovered + agrees + answer + _push1(32, 0) + stop


@dataclass(frozen=True, slots=True)
class ContractWallet:
    """A contract wallet of ``holder`` that lets ``spender`` have its ``token`` once it is there."""

    holder: Address
    token: Address
    spender: Address

    @property
    def creation_code(self) -> bytes:
        runtime = _runtime(self.holder)
        approve = abi.call_data(abi.APPROVE, abi.address_word(self.spender), abi.number_word(MANY))
        # CALL(gas, token, 0, approve), then RETURN the runtime code; both stand behind.
        call = _push1(0, 0, len(approve), 0, 0) + _push(self.token) + b"\x5a\xf1\x50"
        give_back = _push1(len(runtime), 0) + b"\xf3"
        own = 2 * len(_copied(0, 0)) + len(call) + len(give_back)
        program = _copied(len(approve), own) + call
        program += _copied(len(runtime), own + len(approve)) + give_back
        return program + approve + runtime

    @property
    def address(self) -> Address:
        """Where it is or will be (EIP-1014)."""
        code_hash = keccak256(self.creation_code)
        return Address(keccak256(b"\xff" + DETERMINISTIC_DEPLOYER + SALT + code_hash)[12:])

    @property
    def deploy_call(self) -> ContractCall:
        return ContractCall(DETERMINISTIC_DEPLOYER, SALT + self.creation_code)

    def deploying(self, signature: bytes) -> bytes:
        """The signature with the instructions to deploy the wallet first (ERC-6492)."""
        wrapped = abi.encode(
            abi.address_word(DETERMINISTIC_DEPLOYER),
            abi.Dynamic(self.deploy_call.data),
            abi.Dynamic(signature),
        )
        return wrapped + NOT_DEPLOYED


class ContractPayer(Payer):
    """Somebody whose money is at a contract wallet, and whose key only signs."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base: str,
        networks: Networks,
        private_key: str,
        wallet: ContractWallet,
        *,
        deployed: bool,
    ) -> None:
        super().__init__(http, base, networks, private_key)
        self._wallet = wallet
        self._deployed = deployed
        self.address = wallet.address

    async def send(self, prepared: Prepared) -> Paid:
        """Sign what was prepared; the server sends it."""
        digest = typed_data_from_json(prepared.answer["typedData"]).digest
        signature = sign_digest(self._private_key, digest)
        if not self._deployed:
            signature = self._wallet.deploying(signature)
        answer = await self.hand_in(prepared, signature)
        tx_hash_hex = await self.relayed(prepared.payment_url, answer["relay"])
        return Paid(tx_hash_hex, self.address, int(prepared.answer["terms"]["total"]))


def wallet_of(key: str, network: Network, token: Address) -> ContractWallet:
    """The contract wallet of that key, which lets Permit2 have the token."""
    assert network.permit2 is not None
    return ContractWallet(address_of_key(private_key_from_hex(key)), token, network.permit2)


async def deploy(key: str, network: Network, wallet: ContractWallet) -> None:
    """The holder deploys the wallet."""
    async with open_rpc(network) as rpc:
        holder = Wallet(private_key_from_hex(key), rpc, network.chain_id)
        receipt = await holder.wait(await holder.send(wallet.deploy_call))
        assert receipt.succeeded
        assert await rpc.code(wallet.address), "the wallet is there"


async def is_there(network: Network, wallet: ContractWallet) -> bool:
    async with open_rpc(network) as rpc:
        return bool(await rpc.code(wallet.address))
