"""The events that payments and transfers are read from."""

from __future__ import annotations

from gstable_server.chain.abi.events import event

# PaymentRouter.sol
PAID = event(
    "Paid(bytes32 indexed,address indexed,address indexed,address,uint256,uint256,address)"
)
ROUTED = event(
    "Routed(bytes32 indexed,address indexed,address indexed,address,address,uint256,uint256,"
    "address,uint256,address,uint256,uint256,bytes)"
)

# DepositCollector.sol
RECOVERED = event("Recovered(bytes32 indexed,address indexed,address,uint256)")

# ERC-20
TRANSFERRED = event("Transfer(address indexed,address indexed,uint256)")
