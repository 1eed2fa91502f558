"""Did the payer sign this? By their key, or as a contract wallet says (EIP-712, 1271, 6492)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gstable_server.agents.model import Authorization, Proven
from gstable_server.chain.contract_wallets import has_signed
from gstable_server.chain.keys import recover
from gstable_server.chain.networks import Network
from gstable_server.chain.rpc import Rpc
from gstable_server.kernel.errors import Code, Passing, Refused
from gstable_server.plumbing.limits import RateLimiter

ANSWER_SECONDS = 2.5
"""How long a chain may take: published clients give up after 5 seconds."""
QUESTIONS_PER_SECOND = 2
QUESTIONS_BURST = 20
QUESTIONS_AT_ONCE = 16


class Verifier:
    """``chains`` by the network's name; ``domain_names`` are those that messages may be signed
    for. A signature that is no key's costs a question to a node of the payment's chain, so those
    are counted per client address, and few are asked at once."""

    def __init__(self, chains: Mapping[str, Rpc], domain_names: tuple[str, ...]) -> None:
        self._chains = chains
        self._domain_names = domain_names
        self._limiter = RateLimiter(QUESTIONS_PER_SECOND, QUESTIONS_BURST)
        self._turns = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def prove(self, authorization: Authorization, network: Network, address: str) -> Proven:
        """The authorization with the digest that its payer signed.

        ``network`` is that of its chain id, ``address`` the client's. Refuses with 400104 what
        the payer did not sign, with 900101 too many that are no key's, and with 400205 when no
        node of the network answers in time.
        """
        digests = [authorization.typed_data(name).digest for name in self._domain_names]
        for digest in digests:
            if recover(digest, authorization.signature) == authorization.payer:
                return Proven(authorization, digest)
        wait = self._limiter.take(address)
        if wait is not None:
            raise Refused(Code.TOO_MANY_REQUESTS, retry_after=wait)
        for digest in digests:
            if await self._accepts(authorization, network, digest):
                return Proven(authorization, digest)
        raise Refused(Code.SIGNATURE_INVALID, "it is not message.payer's over this message")

    async def _accepts(self, authorization: Authorization, network: Network, digest: bytes) -> bool:
        chain = self._chains[network.name]
        try:
            async with self._turns, asyncio.timeout(ANSWER_SECONDS):
                return await has_signed(chain, authorization.payer, digest, authorization.signature)
        except (Passing, TimeoutError):
            detail = f"{network.title} does not say whether the payer's wallet signed"
            raise Refused(Code.ROUTE_UNAVAILABLE, detail) from None
