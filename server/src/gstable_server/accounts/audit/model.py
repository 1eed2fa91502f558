"""Acts of people, and the hash chain over them: pure.

An entry's hash is SHA-256 over the hash before it and everything that the entry says. Whoever
keeps one elsewhere can find out later whether any entry up to it was changed or removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from gstable_server.kernel.ids import MemberId, MerchantId
from gstable_server.kernel.roles import Action

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXT_LENGTH_MAX = 300
"""Characters of one value before or after; what is longer is cut, and ends with "…"."""
_MICROSECOND = timedelta(microseconds=1)
_LENGTH_BYTES = 8
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. ``email`` stands in the log as it was at that time; ``address`` is the client's."""

    merchant_id: MerchantId
    member_id: MemberId
    email: str
    address: str


@dataclass(frozen=True, slots=True)
class Note:
    """What was done, in a word of its own (``account.created``), on what, and how that was before
    and is now. Never a secret: only what a page may show to everybody who may read the log."""

    what: str
    about: str
    before: Fields = field(default_factory=dict)
    after: Fields = field(default_factory=dict)


def change_note(what: str, about: str, before: Fields, after: Fields) -> Note:
    """A note of those fields that differ; both have the same."""
    names = [name for name in before if before[name] != after[name]]
    return Note(
        what, about, {name: before[name] for name in names}, {name: after[name] for name in names}
    )


@dataclass(frozen=True, slots=True)
class Act:
    """One entry without its place in the chain. ``mode`` is "" for what belongs to both."""

    actor: Actor
    action: Action
    mode: str
    note: Note
    at: datetime


@dataclass(frozen=True, slots=True)
class Head:
    """A place in the chain: numbers count from 1 without gaps."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


BEFORE_ALL = Head(0, bytes(32))
"""What the first entry follows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An act in its place."""

    head: Head
    act: Act


def head_from_text(text: str) -> Head:
    """A head as ``str`` wrote it. Raises ``ValueError``."""
    match = _HEAD.fullmatch(text.strip())
    if match is None:
        raise ValueError("must look like NUMBER:HASH, as an earlier run printed it")
    return Head(int(match[1]), bytes.fromhex(match[2]))


def next_head(before: Head, act: Act) -> Head:
    """The place of ``act`` behind ``before``."""
    number = before.number + 1
    digest = sha256(before.hash)
    for part in _parts(number, act):
        digest.update(len(part).to_bytes(_LENGTH_BYTES))
        digest.update(part)
    return Head(number, digest.digest())


def _parts(number: int, act: Act) -> Iterable[bytes]:
    texts = (
        str(number),
        act.actor.merchant_id,
        act.actor.member_id,
        act.actor.email,
        act.actor.address,
        act.action.value,
        act.mode,
        act.note.what,
        act.note.about,
        _canonical(act.note.before),
        _canonical(act.note.after),
        str((act.at - EPOCH) // _MICROSECOND),
    )
    return [text.encode() for text in texts]


def _canonical(fields: Fields) -> str:
    return json.dumps(dict(fields), sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def shortened(note: Note) -> Note:
    """The note with values that can be stored and shown: no endless texts, no zero characters."""
    return Note(note.what, _short(note.about), _shorts(note.before), _shorts(note.after))


def _shorts(fields: Fields) -> Fields:
    return {name: _short(text) for name, text in fields.items()}


def _short(text: str) -> str:
    text = text.replace("\0", "")
    return text if len(text) <= TEXT_LENGTH_MAX else f"{text[: TEXT_LENGTH_MAX - 1]}…"
