"""The book beside what the chains say, in sums that can be added up in any order: pure.

What is in motion is left out on both sides: a session of which something was read that the book
has not heard yet, and one that crosses to a network that was not read, or has lost its payment. A
transaction may pay several sessions, and the book names some transfers by the transaction alone,
so all that share a transaction stay or go together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from gstable_server.chain.networks import Networks
from gstable_server.reconciliation.expectation import UNMATCHED, Expectation, Expected
from gstable_server.reconciliation.logs import Brought, Given, Happening
from gstable_server.reconciliation.model import Booked, Claim, Owner, RawLog, Sum

_Name = tuple[bytes, str | None, str, str]


def of_sessions(
    networks: Networks, happenings: Sequence[Happening], owners: Mapping[bytes, Owner]
) -> list[Sum]:
    """What the book should say by ``happenings``, which are all of the sessions they are of."""
    return _expected(Expectation(networks, happenings, owners).all(), owners)


def of_claims(
    networks: Networks,
    claims: Sequence[Claim],
    transfers: Sequence[RawLog],
    owners: Mapping[bytes, Owner],
) -> list[Sum]:
    """What the book should say by refunds: all those of some transactions, and their transfers."""
    return _expected(Expectation(networks, (), owners).of_claims(claims, transfers), owners)


def _expected(found: Iterable[Expected], owners: Mapping[bytes, Owner]) -> list[Sum]:
    total: Counter[_Name] = Counter()
    for one in found:
        owner = owners.get(one.session_key)
        session_id = owner.session_id if owner and one.of_session else None
        total[one.session_key, session_id, one.token_id, _whole(one.account)] += one.amount
    return [
        Sum(key, session_id, None, None, token_id, account, expected=amount, booked=0)
        for (key, session_id, token_id, account), amount in total.items()
        if amount
    ]


def of_book(booked: Sequence[Booked], owners: Mapping[bytes, Owner]) -> list[Sum]:
    """What the book says."""
    keys: dict[str, bytes] = {owner.session_id: owner.session_key for owner in owners.values()}
    return [
        Sum(
            session_key=keys.get(one.session_id) if one.session_id is not None else None,
            session_id=one.session_id,
            network=one.network,
            tx_hash=one.tx_hash,
            token_id=one.token_id,
            account=_whole(one.account),
            expected=one.amount if _by_hand(one) else 0,
            booked=one.amount,
        )
        for one in booked
    ]


def _by_hand(booked: Booked) -> bool:
    """An operator says whose money it is that reached a wallet: nothing else is theirs to say."""
    return booked.by_hand and booked.account.startswith((UNMATCHED, "merchant:"))


def _whole(account: str) -> str:
    return account.removesuffix(":pending").removesuffix(":exceptional")


def crossing(
    networks: Networks, happenings: Sequence[Happening], unread: Collection[str]
) -> Iterator[bytes]:
    """Sessions whose money crosses between a network that was read and one of ``unread``, or was
    brought although nobody's payment stands: a reorganisation took that back, and it may return."""
    paid = {one.session_key for one in happenings if isinstance(one, Given)}
    for one in happenings:
        if isinstance(one, Given) and one.rail in {"cctp", "escrow"}:
            other = networks.at_chain(one.settlement_chain_id)
        elif isinstance(one, Brought):
            other = networks.at_chain(one.source_chain_id)
        else:
            continue
        if other is None or other.name in unread or one.session_key not in paid:
            yield one.session_key


def whole_sessions(
    before: Sequence[Happening], more: Sequence[Happening]
) -> tuple[list[Happening], list[Happening]]:
    """Of happenings in the order of their sessions: those of sessions that are complete, because
    another follows, and those of the last one. ``before`` are of one session, or none."""
    groups = [list(group) for _, group in groupby([*before, *more], _session_key)]
    return [one for group in groups[:-1] for one in group], groups[-1] if groups else []


def _session_key(one: Happening) -> bytes:
    return one.session_key
