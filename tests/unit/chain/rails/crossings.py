"""Two networks with every rail, and a payment that crosses from one to the other. Nothing runs."""

from __future__ import annotations

from dataclasses import replace

from gstable_server.chain import abi
from gstable_server.chain.facts import PaymentLog, RailName
from gstable_server.chain.networks import Cctp, Contract, Contracts, Network, Networks, Token
from gstable_server.chain.rails.port import Crossing, RailRequest
from gstable_server.chain.testing import FakeChain, fake_network
from gstable_server.kernel.address import Address
from gstable_server.kernel.clock import from_unix_seconds

PAYER, MERCHANT = Address(b"\x01" * 20), Address(b"\x02" * 20)
SOLVER, FEE_RECEIVER = Address(b"\x05" * 20), Address(b"\x03" * 20)
SESSION = b"\x5e" * 32
MINED_AT = 1_767_225_600
FILL_DEADLINE, RECLAIM_AFTER = MINED_AT + 2700, MINED_AT + 6300


def address(*parts: object) -> Address:
    """An address of its own for each name."""
    return Address("/".join(map(str, parts)).encode()[-20:].rjust(20, b"\x01"))


def network(name: str, chain_id: int, domain: int, decimals: int = 6) -> Network:
    tokens = tuple(
        Token(
            token_id=f"{name}::{symbol.lower()}",
            name=symbol,
            symbol=symbol,
            network=name,
            chain_id=chain_id,
            address=address(name, symbol),
            decimals=decimals,
            code_hash=None,
        )
        for symbol in ("USDC", "USDT")
    )
    contracts = Contracts(
        swap_rail=Contract(address(name, "swap"), None),
        cctp_rail=Contract(address(name, "cctp"), None),
        escrow_rail=Contract(address(name, "escrow"), None),
        hold_rail=Contract(address(name, "hold"), None),
    )
    cctp = Cctp(domain, address(name, "messenger"), address(name, "transmitter"), "http://iris")
    return replace(
        fake_network(name=name),
        chain_id=chain_id,
        route_group=name.upper(),
        router=address(name, "router"),
        tokens=tokens,
        contracts=contracts,
        cctp=cctp,
        swap_pool_fee=100,
    )


NEAR, FAR = network("near", 1331001, 0), network("far", 1338453, 6)
NETWORKS = Networks((NEAR, FAR))


def request(paying: Token, settlement: Token, pays: int, merchant_amount: int) -> RailRequest:
    return RailRequest(
        paying=paying,
        source=NETWORKS.network(paying.network),
        settlement=settlement,
        destination=NETWORKS.network(settlement.network),
        payer_pays=pays,
        merchant_amount=merchant_amount,
    )


def payment(rail: RailName, data: bytes = b"") -> PaymentLog:
    """10 USDC of the payer near, of which the merchant is promised 9.99 far away."""
    return PaymentLog(
        network=NEAR.name,
        chain_id=NEAR.chain_id,
        tx_hash=b"\x77" * 32,
        log_position=0,
        block_number=9,
        block_hash=b"\x88" * 32,
        block_time=from_unix_seconds(MINED_AT),
        session_key=SESSION,
        payer=PAYER,
        merchant=MERCHANT,
        token=NEAR.tokens[0].address,
        amount=10_000_000,
        fee_received=20_000,
        fee_receiver=FEE_RECEIVER,
        rail=rail,
        rail_data=data,
        settlement_chain_id=FAR.chain_id,
        settlement_token=FAR.tokens[0].address,
        merchant_amount=9_990_000,
        merchant_received=0,
    )


def escrowed() -> PaymentLog:
    data = abi.encode(abi.number_word(FILL_DEADLINE), abi.number_word(RECLAIM_AFTER))
    return payment(RailName.ESCROW, data)


def crossing(of: PaymentLog) -> Crossing:
    return Crossing(of, NEAR, FAR, source_final=True)


def chains() -> dict[str, FakeChain]:
    return {one.name: FakeChain(one) for one in NETWORKS.all}
