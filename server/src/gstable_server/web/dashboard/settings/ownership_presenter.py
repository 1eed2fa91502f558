"""What the pages of an account say of its wallet: who proved it, and where it is a contract."""

from __future__ import annotations

from dataclasses import dataclass

from gstable_server.accounts.ownership.model import Code, Kind, Proof, Whereabouts
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Networks
from gstable_server.web.dashboard.speech import N_, _, moment

CODES = {
    Code.NONE: N_("No contract"),
    Code.CONTRACT: N_("Contract"),
    Code.DELEGATED: N_("Key, with the code of a contract"),
    Code.UNKNOWN: N_("Not known"),
}


@dataclass(frozen=True, slots=True)
class ProofRow:
    text: str
    at: str


def proof_row(proof: Proof, networks: Networks) -> ProofRow:
    network = networks.find_network(proof.network)
    title = network.title if network else proof.network
    text = (
        _("Signed with the wallet's key, which holds on every network")
        if proof.kind is Kind.KEY
        else _("Signed by the wallet's contract on %(network)s", network=title)
    )
    return ProofRow(text, moment(proof.proven_at))


@dataclass(frozen=True, slots=True)
class WhereaboutsRow:
    """``rows`` are networks with what is at the address there; ``missing`` names those where
    money may be lost, "" where there are none."""

    address: str
    rows: tuple[tuple[str, str], ...]
    missing: str
    is_contract: bool


def whereabouts_row(known: Whereabouts, networks: Networks) -> WhereaboutsRow:
    def title(name: str) -> str:
        network = networks.find_network(name)
        return network.title if network else name

    return WhereaboutsRow(
        address=to_checksum(known.address),
        rows=tuple((title(name), _(CODES[kind])) for name, kind in known.kinds.items()),
        missing=", ".join(title(name) for name in known.missing_on),
        is_contract=bool(known.contract_on),
    )
