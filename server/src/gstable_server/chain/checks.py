"""Whether a chain is what ``networks.toml`` says: asked before anything on it is believed."""

from __future__ import annotations

from collections.abc import Sequence

from gstable_server.chain import abi
from gstable_server.chain.checksum import keccak256, to_checksum
from gstable_server.chain.networks import Contract, Network, Token
from gstable_server.chain.rpc import NodeRefused, Rpc
from gstable_server.kernel.address import Address

IS_COLLECTOR = "isCollector(address)"
IS_RAIL = "isRail(address)"
ROUTER_OF = "router()"
TOKEN_MESSENGER = "tokenMessenger()"  # noqa: S105
LOCAL_DOMAIN = "localDomain()"
PERMIT2_OF = "permit2()"


async def check_network(
    rpc: Rpc, network: Network, order_signer: Address | None = None
) -> list[str]:
    """Why ``network`` must not be used, one sentence each; empty when all is as configured.

    Compared with the chain: its id; the router's code, signer and Permit2; the code of every
    collector, rail and foreign contract that money passes, that the router lists our collectors
    and rails and that they serve this router; each token's code and decimals. Raises ``Passing``
    when the node does not answer.
    """
    chain_id = await rpc.chain_id()
    if chain_id != network.chain_id:
        # Nothing else means anything on another chain.
        return [f"{network.name}: the node follows chain {chain_id}, not {network.chain_id}"]
    what = f"{network.name}: router {to_checksum(network.router)}"
    router = Contract(network.router, network.router_code_hash)
    router_problems = await code_problems(rpc, what, router)
    problems = list(router_problems)
    if not router_problems:
        if order_signer is not None:
            problems += await _signer_problems(rpc, what, network.router, order_signer)
        problems += await _permit2_problems(rpc, what, network)
        for name, contract in network.contracts.configured.items():
            problems += await _our_contract_problems(rpc, network, name, contract)
    for name, contract in foreign_contracts(network).items():
        what = f"{network.name}: {name} {to_checksum(contract.address)}"
        problems += await code_problems(rpc, what, contract)
    problems += await _cctp_problems(rpc, network)
    for token in network.tokens:
        problems += await _token_problems(rpc, token)
    return problems


def foreign_contracts(network: Network) -> dict[str, Contract]:
    """The configured contracts that are not ours and that money passes, by their name."""
    found: dict[str, Contract] = {}
    if network.permit2:
        found["permit2"] = Contract(network.permit2, network.permit2_code_hash)
    if network.x402.permit2_proxy:
        proxy = Contract(network.x402.permit2_proxy, network.x402.permit2_proxy_code_hash)
        found["x402.permit2_proxy"] = proxy
    if network.cctp:
        cctp = network.cctp
        messenger = Contract(cctp.token_messenger, cctp.token_messenger_code_hash)
        transmitter = Contract(cctp.message_transmitter, cctp.message_transmitter_code_hash)
        found |= {"token_messenger": messenger, "message_transmitter": transmitter}
    return found


def contracts_of(network: Network) -> dict[str, Contract]:
    """Every contract but the router and the tokens, by its name."""
    return {**network.contracts.configured, **foreign_contracts(network)}


async def code_problems(rpc: Rpc, what: str, contract: Contract) -> list[str]:
    """Why the code at the address is not the configured one; ``what`` begins the sentence."""
    code = await rpc.code(contract.address)
    if not code:
        return [f"{what} has no code: wrong address, or not deployed on this chain"]
    actual = keccak256(code)
    if contract.code_hash is not None and actual != contract.code_hash:
        return [f"{what} has code 0x{actual.hex()}, configured is 0x{contract.code_hash.hex()}"]
    return []


async def number_of(rpc: Rpc, to: Address, data: bytes) -> int | None:
    """The one word that the call returns; None when it reverts or returns anything else."""
    try:
        returned = await rpc.call(to, data)
    except NodeRefused:
        return None
    return int.from_bytes(returned, "big") if len(returned) == abi.WORD else None


async def _signer_problems(rpc: Rpc, what: str, router: Address, signer: Address) -> list[str]:
    if await _lists(rpc, router, abi.IS_SIGNER, signer):
        return []
    return [f"{what} does not accept orders signed by {to_checksum(signer)}"]


async def _permit2_problems(rpc: Rpc, what: str, network: Network) -> list[str]:
    """A payer's signature for another Permit2 than the router's could never be used."""
    if network.permit2 is None:
        return []
    used = await number_of(rpc, network.router, abi.call_data(PERMIT2_OF))
    if used == int.from_bytes(network.permit2, "big"):
        return []
    return [f"{what} does not use the permit2 {to_checksum(network.permit2)}"]


async def _our_contract_problems(
    rpc: Rpc, network: Network, name: str, contract: Contract
) -> list[str]:
    what = f"{network.name}: {name} {to_checksum(contract.address)}"
    problems = await code_problems(rpc, what, contract)
    if problems:
        return problems
    listed = IS_COLLECTOR if name in network.contracts.collectors else IS_RAIL
    if not await _lists(rpc, network.router, listed, contract.address):
        problems.append(f"{what} is not listed by the router")
    serves = await number_of(rpc, contract.address, abi.call_data(ROUTER_OF))
    if serves != int.from_bytes(network.router, "big"):
        problems.append(f"{what} serves another router")
    return problems


async def _cctp_problems(rpc: Rpc, network: Network) -> Sequence[str]:
    """A rail that burns through another messenger, or a domain of another network, would send
    money where nobody looks for it."""
    cctp, rail = network.cctp, network.contracts.cctp_rail
    if cctp is None:
        return []
    problems: list[str] = []
    domain = await number_of(rpc, cctp.message_transmitter, abi.call_data(LOCAL_DOMAIN))
    if domain != cctp.domain:
        problems.append(
            f"{network.name}: message_transmitter {to_checksum(cctp.message_transmitter)} is of "
            f"domain {domain}, configured is {cctp.domain}"
        )
    if rail is not None:
        messenger = await number_of(rpc, rail.address, abi.call_data(TOKEN_MESSENGER))
        if messenger != int.from_bytes(cctp.token_messenger, "big"):
            problems.append(
                f"{network.name}: cctp_rail {to_checksum(rail.address)} burns through another "
                "token_messenger than the configured one"
            )
    return problems


async def _token_problems(rpc: Rpc, token: Token) -> list[str]:
    what = f"{token.token_id} at {to_checksum(token.address)}"
    problems = await code_problems(rpc, what, Contract(token.address, token.code_hash))
    if problems:
        return problems
    decimals = await number_of(rpc, token.address, abi.call_data(abi.DECIMALS))
    if decimals is None:
        return [f"{what} does not answer decimals(): not an ERC-20 token"]
    if decimals != token.decimals:
        return [f"{what} has {decimals} decimals, configured are {token.decimals}"]
    return []


async def _lists(rpc: Rpc, contract: Address, signature: str, account: Address) -> bool:
    return await number_of(rpc, contract, abi.call_data(signature, abi.address_word(account))) == 1
