"""Deposit addresses: an address of its own for a session, the same on every network.

A plain transfer to it, from any wallet or exchange, is a payment: whoever asks
``DepositCollector`` (contracts/src/collectors) moves the money, and only to the session's
merchant and fee receiver, or after ``refundable_after`` back to ``refund_to``. The address is the
CREATE2 address (EIP-1014) of a minimal proxy (EIP-1167), so it is known before anything is
deployed; nobody has a key to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import ProviderLied
from gstable_server.kernel.address import ZERO_ADDRESS, Address
from gstable_server.kernel.clock import UnixSeconds

NATIVE = ZERO_ADDRESS
"""Stands for the network's own coin where a token is asked for."""
_PROXY_BEGIN = bytes.fromhex("3d602d80600a3d3981f3363d3d373d3d3d363d73")
_PROXY_END = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")


@dataclass(frozen=True, slots=True)
class DepositTerms:
    """What a deposit address is for (``DepositTerms`` of DepositCollector.sol).

    ``refundable_after`` is the Unix second after which everything may go to ``refund_to``.
    """

    session_key: bytes
    merchant: Address
    settlement_chain_id: int
    settlement_token: Address
    fee_receiver: Address
    refund_to: Address
    refundable_after: UnixSeconds

    @property
    def encoded(self) -> bytes:
        """The ABI encoding: also what the collector is told when it collects."""
        return abi.encode(
            self.session_key,
            abi.address_word(self.merchant),
            abi.number_word(self.settlement_chain_id),
            abi.address_word(self.settlement_token),
            abi.address_word(self.fee_receiver),
            abi.address_word(self.refund_to),
            abi.number_word(self.refundable_after),
        )

    @property
    def salt(self) -> bytes:
        """Keccak-256 of the encoding, 32 bytes."""
        return keccak256(self.encoded)


def deposit_address(collector: Address, terms: DepositTerms) -> Address:
    """Where a plain transfer pays for ``terms``: ``DepositCollector.addressOf``.

    It depends on no network, because ``collector`` has the same address on each.
    """
    # The collector makes the wallet that all proxies share in its constructor, as its first
    # contract: CREATE with nonce 1, whose RLP is written out here.
    wallet = keccak256(b"\xd6\x94" + collector + b"\x01")[12:]
    created = keccak256(_PROXY_BEGIN + wallet + _PROXY_END)
    return Address(keccak256(b"\xff" + collector + terms.salt + created)[12:])


def recover_call(collector: Address, terms: DepositTerms, token: Address) -> ContractCall:
    """Return all of ``token`` (``NATIVE``: the coin) at the address to ``refund_to``.

    Refused by the contract until ``refundable_after`` has passed; anybody may send it.
    """
    return ContractCall(
        collector, abi.call_data(abi.RECOVER, terms.encoded, abi.address_word(token))
    )


def balances_data(accounts: Sequence[Address], tokens: Sequence[Address]) -> bytes:
    """The question ``balances`` to a collector, for ``Rpc.call``."""
    rows, columns = (
        abi.array([abi.address_word(each) for each in one]) for one in (accounts, tokens)
    )
    return abi.call_data(abi.BALANCES, rows, columns)


def balances_from(
    returned: bytes, accounts: Sequence[Address], tokens: Sequence[Address]
) -> dict[tuple[Address, Address], int]:
    """What ``balances`` returned: by account and token, in atomic units.

    Raises ``ProviderLied`` when it is not an answer to this question.
    """
    count = len(accounts) * len(tokens)
    head = abi.number_word(abi.WORD) + abi.number_word(count)
    words = [returned[at : at + abi.WORD] for at in range(len(head), len(returned), abi.WORD)]
    if returned[: len(head)] != head or len(returned) != len(head) + count * abi.WORD:
        raise ProviderLied(f"not {count} balances")
    pairs = ((account, token) for account in accounts for token in tokens)
    return {pair: int.from_bytes(word, "big") for pair, word in zip(pairs, words, strict=True)}
