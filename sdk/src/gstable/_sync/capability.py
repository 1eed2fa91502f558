# Generated from _async/capability.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""What may pay for what, public. Source: specification section 8."""

from gstable import _parse
from gstable._sync.requester import Requester
from gstable._models import Capabilities


class CapabilityNamespace:
    """`client.capability`. Asks the public address and does not send the API key."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    def all(self) -> Capabilities:
        """Tokens, routes, fee rates in parts per million, and limits in Micro-USD."""
        return self._requester.get_public(
            "/capabilities/all", _parse.one(_parse.capabilities)
        )
