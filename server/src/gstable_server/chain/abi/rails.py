"""The calls and events of settlement rails, and of Circle's contracts behind one of them.

Written down as in the Solidity ABI, like ``chain.abi``; the same test compares them with the
compiled contracts.
"""

from __future__ import annotations

from gstable_server.chain.abi.events import event

# EscrowRail.sol
ESCROW_TERMS_TUPLE = (
    "(uint256,address,bytes32,address,address,address,uint256,"
    "uint256,address,uint256,uint256,uint256)"
)
FILL = f"fill({ESCROW_TERMS_TUPLE})"
RELEASE = "release(bytes32,address,bytes)"
ESCROW_RECLAIM = "reclaim(bytes32)"
FILLED_BY = "filledBy(bytes32)"
ESCROWS = "escrows(bytes32)"
SOLVER_SINCE = "solverSince(address)"
ATTESTOR_SINCE = "attestorSince(address)"
FILLED = event(
    "Filled(bytes32 indexed,bytes32 indexed,address indexed,address,address,uint256,uint256)"
)
RELEASED = event("Released(bytes32 indexed,bytes32 indexed,address indexed,address,uint256)")
ESCROW_RECLAIMED = event(
    "Reclaimed(bytes32 indexed,bytes32 indexed,address indexed,address,uint256)"
)

# HoldRail.sol
CAPTURE = "capture(bytes32,uint256)"
VOID = "void(bytes32)"
HOLD_RECLAIM = "reclaim(bytes32)"
CAPTURED = event(
    "Captured(bytes32 indexed,address indexed,address,uint256,uint256,uint256,uint256)"
)
VOIDED = event("Voided(bytes32 indexed,address indexed,address,uint256)")
HOLD_RECLAIMED = event("Reclaimed(bytes32 indexed,address indexed,address,uint256)")

# Circle's MessageTransmitterV2
RECEIVE_MESSAGE = "receiveMessage(bytes,bytes)"
USED_NONCES = "usedNonces(bytes32)"
MESSAGE_SENT = event("MessageSent(bytes)")
MESSAGE_RECEIVED = event(
    "MessageReceived(address indexed,uint32,bytes32 indexed,bytes32,uint32 indexed,bytes)"
)
