"""How an event lies in a log, and reading it so strictly that nothing else passes for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstable_server.chain.abi import WORD
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.rpc import Log
from gstable_server.kernel.address import Address

_INDEXED = " indexed"


class _NotThis(Exception):
    """The log is not exactly what the contract writes."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its signature as the ABI writes it, the signature's Keccak-256, which is the first
    topic, and the type of each member, with `` indexed`` where it is a topic.

    Types are ``bytes32``, ``address``, unsigned integers, and ``bytes`` as the last member.
    """

    signature: str
    topic: bytes
    members: tuple[str, ...]

    def read(self, log: Log) -> tuple[Any, ...] | None:
        """The members in order: bytes, ``Address`` or int; None if ``log`` is not this event."""
        if not log.topics or log.topics[0] != self.topic:
            return None
        topics = list(log.topics[1:])
        plain = [kind for kind in self.members if not kind.endswith(_INDEXED)]
        if len(topics) != len(self.members) - len(plain):
            return None
        words = [log.data[at : at + WORD] for at in range(0, len(log.data), WORD)]
        try:
            _require_length(plain, log.data)
            return tuple(
                _value(kind.removesuffix(_INDEXED), topics.pop(0))
                if kind.endswith(_INDEXED)
                else _tail(log.data, words.pop(0), len(plain) * WORD)
                if kind == "bytes"
                else _value(kind, words.pop(0))
                for kind in self.members
            )
        except _NotThis:
            return None


def event(declaration: str) -> Event:
    """The event declared as ``Name(type indexed,type,…)``."""
    signature = declaration.replace(_INDEXED, "")
    _, _, members = declaration.removesuffix(")").partition("(")
    return Event(signature, keccak256(signature.encode()), tuple(members.split(",")))


def _require_length(plain: list[str], data: bytes) -> None:
    head = len(plain) * WORD
    if len(data) != head and not (plain[-1] == "bytes" and len(data) > head):
        raise _NotThis


def _tail(data: bytes, offset_word: bytes, head: int) -> bytes:
    """The content, which compilers write right behind the ``head`` bytes of words."""
    offset = int.from_bytes(offset_word, "big")
    if offset != head or offset > len(data) - WORD:
        raise _NotThis
    begin = offset + WORD
    length = int.from_bytes(data[offset:begin], "big")
    padding = -length % WORD
    if len(data) != begin + length + padding or any(data[begin + length :]):
        raise _NotThis
    return data[begin : begin + length]


def _value(kind: str, word: bytes) -> bytes | Address | int:
    if kind == "bytes32":
        return word
    number = int.from_bytes(word, "big")
    bits = 160 if kind == "address" else int(kind.removeprefix("uint"))
    if number >> bits:
        raise _NotThis
    return Address(word[12:]) if kind == "address" else number
