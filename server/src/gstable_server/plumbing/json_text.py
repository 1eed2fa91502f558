"""Values as compact JSON, for answers and for JSON columns."""

from __future__ import annotations

from typing import Any

import msgspec

from gstable_server.kernel.ids import Id, MerchantId


def _plain(value: Any) -> str:
    """Identifiers are text on the wire; anything else unknown is a mistake of ours."""
    if isinstance(value, (Id, MerchantId)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def encode_json(value: Any) -> bytes:
    """``value`` as JSON in UTF-8. Raises ``TypeError`` for what has no JSON form."""
    return _encoder.encode(value)
