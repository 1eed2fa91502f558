"""What transactions do where they are mined, and what those of a branch have come to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gstable_server.chain import abi
from gstable_server.chain.orders import ContractCall
from gstable_server.chain.rpc import Log
from gstable_server.kernel.address import Address
from tests.sim.payments import Paid

Done = tuple[str, bytes]
"""Something that cannot be done twice, by name, and of what."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Money that left a hold or a deposit address, but for what a payment took there: ``what`` is
    captured, voided, reclaimed or recovered, amounts are atomic units of ``token``. Of what was
    captured the merchant ``received`` all but the ``fee``."""

    what: str
    session_key: bytes
    token: Address
    amount: int
    received: int = 0
    fee: int = 0


@dataclass(frozen=True, slots=True)
class Effects:
    """What a transaction did where it was mined: its logs, the payments that it was, what left
    holds and deposit addresses, what is done by it and cannot be done twice, and by how much it
    changed what is kept at which place."""

    logs: tuple[Log, ...] = ()
    paid: tuple[Paid, ...] = ()
    done: tuple[Done, ...] = ()
    gone: tuple[Gone, ...] = ()
    kept: tuple[tuple[bytes, int], ...] = ()
    succeeded: bool = True


REVERTED = Effects(succeeded=False)


@dataclass(slots=True)
class Branch:
    """What was ``done`` on a branch, and in which block; and how much is ``kept`` at each place of
    it (``at_address``, ``in_hold``), in atomic units."""

    done: dict[Done, int] = field(default_factory=dict)
    kept: Counter[bytes] = field(default_factory=Counter)

    def add(self, effects: Effects, number: int) -> None:
        """What has these effects was mined in block ``number``."""
        if not effects.succeeded:
            return
        for done in effects.done:
            self.done[done] = number
        for place, change in effects.kept:
            self.kept[place] += change

    def take_back(self, effects: Effects) -> None:
        """It was not, after all."""
        if not effects.succeeded:
            return
        for done in effects.done:
            del self.done[done]
        for place, change in effects.kept:
            self.kept[place] -= change


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of a contract where it is mined: by whom, after what, and in a block of which time,
    in Unix seconds."""

    tx_hash: bytes
    call: ContractCall
    sender: Address
    branch: Branch
    time: int

    def word(self, index: int) -> bytes:
        """The argument at that place, 32 bytes."""
        begin = 4 + index * abi.WORD
        return self.call.data[begin : begin + abi.WORD]


def at_address(token: Address, holder: Address) -> bytes:
    """The place where ``holder`` has tokens."""
    return token + holder


def in_hold(session_key: bytes) -> bytes:
    """The place where the hold rail has a session's money."""
    return b"hold" + session_key
