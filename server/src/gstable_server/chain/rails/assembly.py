"""The rails that a server has, in the order in which a route takes the first that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gstable_server.chain.networks import Networks
from gstable_server.chain.rails.attestation import AttestationService
from gstable_server.chain.rails.cctp import CctpRail
from gstable_server.chain.rails.escrow import EscrowRail
from gstable_server.chain.rails.escrow_terms import FillAttestor
from gstable_server.chain.rails.hold import CAPTURE_SECONDS, HoldRail
from gstable_server.chain.rails.port import Rail
from gstable_server.chain.rails.swap import SwapRail
from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.address import ZERO_ADDRESS, Address


@dataclass(frozen=True, slots=True)
class RailSettings:
    """Rates in millionths; accounts that are None (or zero) leave their part to others.

    ``fee_receiver`` and ``hold_fee_ppm``: where the fee of a captured hold goes, and how much.
    ``operator`` captures and voids holds on behalf of merchants: the relayer's account;
    ``capture_seconds`` is how long they may be captured.
    """

    fee_receiver: Address
    hold_fee_ppm: int = 2000
    slippage_ppm: int = 1000
    solver_ppm: int = 1000
    operator: Address = ZERO_ADDRESS
    capture_seconds: int = CAPTURE_SECONDS
    solver: Address | None = None
    attestor: FillAttestor | None = None


def rails_of(
    networks: Networks,
    chains: Mapping[str, Rpc],
    attestations: AttestationService,
    settings: RailSettings,
) -> tuple[Rail, ...]:
    """Every rail; each serves only where ``networks`` has its contracts. ``chains`` reads each
    network by name."""
    return (
        SwapRail(slippage_ppm=settings.slippage_ppm),
        CctpRail(networks, chains, attestations),
        EscrowRail(
            networks,
            chains,
            solver=settings.solver,
            attestor=settings.attestor,
            solver_ppm=settings.solver_ppm,
        ),
        HoldRail(
            fee_ppm=settings.hold_fee_ppm,
            fee_receiver=settings.fee_receiver,
            operator=settings.operator,
            capture_seconds=settings.capture_seconds,
        ),
    )
