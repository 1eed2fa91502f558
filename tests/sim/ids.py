"""Identifiers of a simulated history."""

from __future__ import annotations

from random import Random

from gstable_server.kernel.ids import ALPHABET, I, MerchantId


class SimIdMint:
    """Identifiers from a seed. A history mints a thousand of them, so each is drawn at once."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"ids {seed}")

    def mint(self, kind: type[I]) -> I:
        return kind(kind.prefix + self.token(kind.random_length))

    def merchant_id(self) -> MerchantId:
        return MerchantId(self._chance.randbytes(32).hex())

    def token(self, length: int) -> str:
        return "".join(self._chance.choices(ALPHABET, k=length))
