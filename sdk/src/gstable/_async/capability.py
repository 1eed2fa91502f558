"""What may pay for what, public. Source: specification section 8."""

from gstable import _parse
from gstable._async.requester import AsyncRequester
from gstable._models import Capabilities


class AsyncCapabilityNamespace:
    """`client.capability`. Asks the public address and does not send the API key."""

    def __init__(self, requester: AsyncRequester) -> None:
        self._requester = requester

    async def all(self) -> Capabilities:
        """Tokens, routes, fee rates in parts per million, and limits in Micro-USD."""
        return await self._requester.get_public(
            "/capabilities/all", _parse.one(_parse.capabilities)
        )
