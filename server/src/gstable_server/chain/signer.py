"""The keys that send transactions. Nobody but the executor may have them (pyproject.toml)."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.chain.checksum import keccak256
from gstable_server.chain.keys import address_of_key
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.transactions import signed_transaction


@dataclass(frozen=True, slots=True)
class SignedTx:
    """The bytes for the network, and the hash they will be found under."""

    raw: bytes
    tx_hash: bytes


class TxSigner:
    """One sending account. Raises ``ValueError`` when the bytes are no private key."""

    __slots__ = ("_private_key", "address")

    def __init__(self, private_key: bytes) -> None:
        self._private_key = private_key
        self.address = address_of_key(private_key)

    def __repr__(self) -> str:
        return f"TxSigner(0x{self.address.hex()})"

    def sign(
        self, call: ContractCall, chain_id: int, *, nonce: int, gas: int, fee: int, tip: int
    ) -> SignedTx:
        """The transaction of EIP-1559. ``fee`` and ``tip`` are per unit of gas; the signature is
        deterministic (RFC 6979), so the same terms are the same transaction."""
        raw = signed_transaction(
            self._private_key, call, chain_id, nonce=nonce, gas=gas, fee=fee, tip=tip
        )
        return SignedTx(raw, keccak256(raw))
