"""The fake of the port ``AttestationService``: it attests what it was told was burnt.

tests/ports/test_attestation.py holds it to the behaviour of the real client.
"""

from __future__ import annotations

from gstable_server.chain.networks import Cctp
from gstable_server.chain.rails.attestation import (
    AttestationFailed,
    AttestationService,
    Attested,
    Pending,
)


class FakeAttestations(AttestationService):
    """Knows the messages of ``burns``, by Circle's number of the source and the transaction.

    ``failure``, once set, is what every question meets with.
    """

    def __init__(self) -> None:
        self.burns: dict[tuple[int, bytes], tuple[Attested | Pending, ...]] = {}
        self.failure: AttestationFailed | None = None

    async def messages(self, source: Cctp, tx_hash: bytes) -> tuple[Attested | Pending, ...]:
        """See ``AttestationService.messages``."""
        if self.failure is not None:
            raise self.failure
        return self.burns.get((source.domain, tx_hash), ())
