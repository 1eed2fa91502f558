"""The book beside what the chains say: pure.

What is in motion is left out on both sides: a session of which something was read that the book
has not heard yet, and one that crosses to a network that was not read, or has lost its payment. A
transaction may pay several sessions, and the book names some transfers by the transaction alone,
so all that share a transaction stay or go together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gstable_server.chain.networks import Networks
from gstable_server.reconciliation.expectation import UNMATCHED, Expectation, Expected
from gstable_server.reconciliation.logs import Brought, Given, Happening
from gstable_server.reconciliation.model import Booked, Difference, Owner, RawLog, Told

_Node = bytes | tuple[str, bytes]
_Account = tuple[str | None, str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``sessions`` were compared, ``left_out`` were not."""

    sessions: int
    left_out: int
    differences: tuple[Difference, ...]


def compare(
    networks: Networks,
    happenings: Sequence[Happening],
    transfers: Sequence[RawLog],
    owners: Mapping[bytes, Owner],
    told: Told,
    unread: Collection[str],
) -> Comparison:
    """Every account's sum by the chains and by the book, and each session's; ``unread`` networks
    are left out with everything that crosses to or from them."""
    groups = _Groups()
    for one in happenings:
        groups.join(one.session_key, (one.network, one.tx_hash))
    out = groups.of([*told.in_motion, *_crossing(networks, happenings, unread)])
    expectation = Expectation(networks, happenings, owners)
    known = [*expectation.all(), *expectation.of_claims(told.claims, transfers)]
    sides: tuple[Counter[_Account], Counter[_Account]] = Counter(), Counter()
    for expected in known:
        if groups.root(expected.session_key) not in out and not _is_of(expected.token_id, unread):
            owner = owners.get(expected.session_key)
            _add(sides[0], expected, owner.session_id if owner and expected.of_session else None)
    keys: dict[str, bytes] = {owner.session_id: owner.session_key for owner in owners.values()}
    for booked in told.booked:
        if _is_of(booked.token_id, unread) or booked.network in unread:
            continue
        if groups.root(_node(booked, keys)) in out:
            continue
        for side in sides if _by_hand(booked) else sides[1:]:
            _add(side, booked, booked.session_id)
    sessions = {one.session_key for one in happenings}
    left_out = sum(groups.root(key) in out for key in sessions)
    return Comparison(len(sessions) - left_out, left_out, tuple(_differences(*sides)))


def _by_hand(booked: Booked) -> bool:
    """An operator says whose money it is that reached a wallet: nothing else is theirs to say."""
    return booked.by_hand and booked.account.startswith((UNMATCHED, "merchant:"))


def _add(side: Counter[_Account], one: Expected | Booked, session_id: str | None) -> None:
    account = one.account.removesuffix(":pending").removesuffix(":exceptional")
    side[None, one.token_id, account] += one.amount
    if session_id is not None:
        side[str(session_id), one.token_id, account] += one.amount


def _differences(expected: Counter[_Account], booked: Counter[_Account]) -> Iterable[Difference]:
    """Those of whole accounts first."""
    names = sorted(expected.keys() | booked.keys(), key=lambda name: (name[0] or "", *name[1:]))
    for session_id, token_id, account in names:
        name = session_id, token_id, account
        if expected[name] != booked[name]:
            yield Difference(session_id, token_id, account, expected[name], booked[name])


def _node(booked: Booked, keys: Mapping[str, bytes]) -> _Node | None:
    if booked.session_id is not None:
        return keys.get(booked.session_id)
    if booked.network is None or booked.tx_hash is None:
        return None
    return booked.network, booked.tx_hash


def _is_of(token_id: str, networks: Collection[str]) -> bool:
    """Token ids begin with their network's name."""
    return token_id.partition("::")[0] in networks


def _crossing(
    networks: Networks, happenings: Sequence[Happening], unread: Collection[str]
) -> Iterable[bytes]:
    """Sessions whose money crosses between a network that was read and one that was not, or was
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


class _Groups:
    """Sessions and transactions that belong together."""

    def __init__(self) -> None:
        self._above: dict[_Node, _Node] = {}

    def root(self, node: _Node | None) -> _Node | None:
        """The one that stands for the group; None for nobody's."""
        if node is None:
            return None
        while (above := self._above.get(node, node)) != node:
            self._above[node] = node = self._above.get(above, above)
        return node

    def join(self, one: _Node, other: _Node) -> None:
        first, second = self.root(one), self.root(other)
        assert first is not None
        assert second is not None
        self._above[first] = second

    def of(self, nodes: Iterable[_Node]) -> frozenset[_Node | None]:
        """The groups that any of ``nodes`` is in."""
        return frozenset(self.root(node) for node in nodes)
