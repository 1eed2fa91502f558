"""The attestation service of the local chains: Circle's REST paths, for development only.

Every question is answered from the chains, and a message's nonce follows from where it was sent, so
a restart changes no answer; only that a fast message was attested again has then to be asked again.
``GET /v2/messages/{domain}?transactionHash=``, ``POST /v2/reattest/{nonce}`` and
``GET /v2/burn/USDC/fees/{source}/{destination}`` are Circle's. Ours is
``POST /devnet/delays/{hook}/{seconds}``: what is burnt with that hook, which names a session, is
attested only after so many seconds.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web

from gstable_server.chain.abi import rails as rails_abi
from gstable_server.chain.checksum import keccak256
from gstable_server.chain.http_rpc import HttpRpc, open_rpc
from gstable_server.chain.keys import sign_digest
from gstable_server.chain.networks import Cctp, Network, Networks
from gstable_server.chain.rails.cctp_message import attested, parse_message
from gstable_server.chain.rpc import LogFilter
from gstable_server.kernel.errors import Passing
from gstable_server.kernel.money import share_rounded_up

FAST = 1000
STANDARD = 2000
PPM_PER_BASIS_POINT = 100
DELAY_PATH = "/devnet/delays/0x{hook}/{seconds}"
_TX_HASH = re.compile(r"0x[0-9a-fA-F]{64}")


class Attester:
    """``confirmations``: how many blocks deep, its own counted, a standard burn is attested; 0 and
    1 are as soon as it is mined. A fast one never waits, if its maximal fee covers
    ``fast_fee_basis_points``; it expires at ``fast_expiration``, a block of the destination, until
    it is attested again (0: never). While ``paused``, nothing is attested."""

    def __init__(self, chains: dict[int, tuple[Network, HttpRpc]], private_key: bytes) -> None:
        self._chains = chains
        self._private_key = private_key
        self.confirmations = 0
        self.fast_fee_basis_points = 0
        self.fast_expiration = 0
        self.paused = False
        self.url = ""
        self._reattested: set[str] = set()
        self._delayed_until: dict[bytes, float] = {}

    async def messages(self, request: web.Request) -> web.Response:
        """What the transaction burnt, each pending or complete; 404 while nothing is known."""
        chain = self._chains.get(int(request.match_info["domain"]))
        tx_hash = request.query.get("transactionHash", "")
        if chain is None or not _TX_HASH.fullmatch(tx_hash):
            return _failure(400, "Invalid request parameters")
        try:
            found = await self._found(*chain, bytes.fromhex(tx_hash[2:]))
        except Passing as trouble:
            return _failure(503, str(trouble))
        if not found:
            return _failure(404, "Messages not found for the transaction hash")
        return web.json_response({"messages": found})

    async def fees(self, request: web.Request) -> web.Response:
        """What a burn costs at each finality, in basis points."""
        domains = {int(request.match_info[name]) for name in ("source", "destination")}
        if len(domains) != 2 or not domains <= self._chains.keys():
            return _failure(400, "Invalid request parameters")
        return web.json_response(
            [
                {"finalityThreshold": FAST, "minimumFee": self.fast_fee_basis_points},
                {"finalityThreshold": STANDARD, "minimumFee": 0},
            ]
        )

    async def reattest(self, request: web.Request) -> web.Response:
        """From now on, the fast message with this nonce is told without an expiration."""
        nonce = request.match_info["nonce"]
        self._reattested.add(nonce.lower())
        done = "Re-attestation successfully requested for nonce."
        return web.json_response({"message": done, "nonce": nonce})

    async def delay(self, request: web.Request) -> web.Response:
        """A delay ends by itself, so that whoever asked for it may die meanwhile."""
        now = asyncio.get_running_loop().time()
        self._delayed_until = {
            hook: until for hook, until in self._delayed_until.items() if until > now
        }
        hook = bytes.fromhex(request.match_info["hook"])
        self._delayed_until[hook] = now + int(request.match_info["seconds"])
        return web.json_response({"message": "It will be attested late."})

    def _is_delayed(self, hook: bytes) -> bool:
        return self._delayed_until.get(hook, 0) > asyncio.get_running_loop().time()

    async def _found(self, network: Network, rpc: HttpRpc, tx_hash: bytes) -> list[dict[str, Any]]:
        receipt = await rpc.receipt(tx_hash)
        if receipt is None:
            return []
        cctp = _cctp(network)
        sent_by = LogFilter((cctp.message_transmitter,), ((rails_abi.MESSAGE_SENT.topic,),))
        logs = await rpc.logs_of_block(receipt.block_hash, (sent_by,))
        depth = await rpc.block_number() - receipt.block_number + 1
        sent = [rails_abi.MESSAGE_SENT.read(log) for log in logs if log.tx_hash == tx_hash]
        return [
            # Counted within the transaction: a nonce that a reorganisation changed would let the
            # same burn be minted twice.
            self._answer(raw[0], _nonce(cctp, tx_hash, at), depth)
            for at, raw in enumerate(sent)
            if raw is not None
        ]

    def _answer(self, raw: bytes, nonce: bytes, depth: int) -> dict[str, Any]:
        message = parse_message(raw)
        fee = share_rounded_up(
            message.burn.amount, self.fast_fee_basis_points * PPM_PER_BASIS_POINT
        )
        wants_fast = message.finality_minimum <= FAST
        is_fast = wants_fast and fee <= message.burn.max_fee
        answer = {"eventNonce": "0x" + nonce.hex(), "cctpVersion": 2, "delayReason": None}
        waits = not is_fast and depth < self.confirmations
        if self.paused or waits or self._is_delayed(message.burn.hook):
            delay = "insufficient_fee" if wants_fast and not is_fast else None
            pending = {"message": "0x", "attestation": "PENDING", "status": "pending_confirmations"}
            return {**answer, **pending, "delayReason": delay}
        if is_fast:
            expiration = 0 if answer["eventNonce"] in self._reattested else self.fast_expiration
            complete = attested(raw, nonce, FAST, fee, expiration)
        else:
            complete = attested(raw, nonce, STANDARD, 0)
        signature = sign_digest(self._private_key, keccak256(complete))
        return {
            **answer,
            "message": "0x" + complete.hex(),
            "attestation": "0x" + signature.hex(),
            "status": "complete",
        }


@asynccontextmanager
async def open_attester(
    networks: Networks, private_key: bytes, port: int
) -> AsyncIterator[Attester]:
    """Serve on ``port`` of this machine (0: a free one, see ``url``) until the end of the block.

    ``private_key`` is the one attester that the local transmitters know.
    """
    async with AsyncExitStack() as stack:
        chains = {
            network.cctp.domain: (network, await stack.enter_async_context(open_rpc(network)))
            for network in networks.all
            if network.cctp is not None
        }
        attester = Attester(chains, private_key)
        app = web.Application()
        app.router.add_get(r"/v2/messages/{domain:\d+}", attester.messages)
        app.router.add_post(r"/v2/reattest/{nonce:0x[0-9a-fA-F]{64}}", attester.reattest)
        app.router.add_post(
            r"/devnet/delays/0x{hook:[0-9a-f]{64}}/{seconds:\d{1,5}}", attester.delay
        )
        app.router.add_get(r"/v2/burn/USDC/fees/{source:\d+}/{destination:\d+}", attester.fees)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        [address] = runner.addresses
        attester.url = f"http://127.0.0.1:{address[1]}"
        yield attester


def _nonce(cctp: Cctp, tx_hash: bytes, position: int) -> bytes:
    return keccak256(cctp.domain.to_bytes(4, "big") + tx_hash + position.to_bytes(4, "big"))


def _cctp(network: Network) -> Cctp:
    assert network.cctp is not None, "only networks with the protocol are listed"
    return network.cctp


def _failure(status: int, message: str) -> web.Response:
    return web.json_response({"code": status, "error": message}, status=status)
