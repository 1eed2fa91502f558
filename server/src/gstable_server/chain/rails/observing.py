"""What every rail's ``observe`` has in common: whose log it is, and its place on the chain."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from gstable_server.chain.networks import Contract, Network
from gstable_server.chain.rpc import Header, Log
from gstable_server.kernel.clock import from_unix_seconds


class Place(TypedDict):
    """The members that every ``ChainLog`` begins with."""

    network: str
    chain_id: int
    tx_hash: bytes
    log_position: int
    block_number: int
    block_hash: bytes
    block_time: datetime


def place(network: Network, header: Header, log: Log) -> Place:
    """Where ``log`` stands; its position is 0 until whoever reads the block numbers it."""
    return Place(
        network=network.name,
        chain_id=network.chain_id,
        tx_hash=log.tx_hash,
        log_position=0,
        block_number=header.number,
        block_hash=header.hash,
        block_time=from_unix_seconds(header.timestamp),
    )


def is_from(log: Log, contract: Contract | None) -> bool:
    """Whether the contract is configured and wrote the log."""
    return contract is not None and log.address == contract.address
