"""What the payment page's script sends."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from gstable_server.kernel.fields import Body

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class PrepareInput(Body):
    """A payer's choice: the token to pay with, and the account that the wallet shows."""

    client_code: ShortText
    token_id: ShortText
    payer: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
    payer_email: Annotated[str, StringConstraints(max_length=254)] | None = None
