"""The merchant's own requests, for whoever looks for what a program did."""

from gstable import _parse
from gstable._async.requester import AsyncRequester
from gstable._body import path
from gstable._models import LogFeed


class AsyncLogNamespace:
    """`client.log`. Every method raises `GStableError`."""

    def __init__(self, requester: AsyncRequester) -> None:
        self._requester = requester

    async def feed(self, cursor: str = "start", size: int = 100) -> LogFeed:
        """The next requests behind `cursor`, oldest first, up to `size` (1 to 100); kept 7 days.

        `cursor`: `start` for what is asked from now on (no entries, only a cursor), `begin` for
        all there is, `tail` for the last `size`, then the `cursor` of the answer before. An entry
        is there about a second after its request; a server that crashes loses that second.
        """
        route = path("/log/feed/{cursor}/{size}", cursor=cursor, size=size)
        return await self._requester.get(route, _parse.one(_parse.log_feed))
