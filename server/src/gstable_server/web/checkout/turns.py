"""How often payers may make this server work for a session or a link, beyond reading its page.

Whoever knows the address of a session can ask for signed orders, deposit addresses and relayed
payments. Each such act is counted twice: by who asks, and more generously for all together. So one
stranger neither makes the server work without bound nor keeps the payer from paying.

Counted in this process; beside it every client address has its limit at the edge.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from starlette.requests import Request

from gstable_server.kernel.errors import Code, Refused
from gstable_server.plumbing.client_address import client_address
from gstable_server.plumbing.limits import RateLimiter, address_subject


class Act(StrEnum):
    """What is counted."""

    PREPARE = "prepare"
    AUTHORIZE = "authorize"
    DEPOSIT = "deposit"
    OPEN = "open"
    NETWORK = "network"


LIMITS: dict[Act, tuple[tuple[float, int], tuple[float, int]]] = {
    Act.PREPARE: ((0.5, 20), (2, 60)),
    Act.AUTHORIZE: ((0.2, 10), (1, 30)),
    Act.DEPOSIT: ((0.2, 10), (1, 30)),
    Act.OPEN: ((10, 200), (20, 500)),
    Act.NETWORK: ((1, 100), (10, 400)),
}
"""A second and at once, of one address and of all together. A payer who tries every way to pay
asks some ten times. A link may be opened by a whole hall behind one address; and behind a proxy
everybody has the proxy's."""


class Turns:
    """The counts of one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limiters = {
            act: tuple(RateLimiter(*limit, monotonic=monotonic) for limit in limits)
            for act, limits in LIMITS.items()
        }

    def take(self, act: Act, request: Request, subject: str) -> None:
        """Count one act about ``subject``, the id of a session or a link.

        Raises ``Refused`` (900101, with the seconds to wait) and counts nothing where it is one
        too many.
        """
        address = address_subject(client_address(request))
        counted = zip(self._limiters[act], (f"{subject} {address}", subject), strict=True)
        taken = list(counted)
        waits = [limiter.wait(name) for limiter, name in taken]
        if wait := max(filter(None, waits), default=None):
            raise Refused(Code.TOO_MANY_REQUESTS, retry_after=wait)
        for limiter, name in taken:
            limiter.take(name)
