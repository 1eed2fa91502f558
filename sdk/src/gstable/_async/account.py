"""Receiving accounts, made in the dashboard and read here. Source: specification section 4."""

from gstable import _parse
from gstable._async.requester import AsyncRequester
from gstable._body import path
from gstable._models import Account


class AsyncAccountNamespace:
    """`client.account`. Every method raises `GStableError`."""

    def __init__(self, requester: AsyncRequester) -> None:
        self._requester = requester

    async def detail(self, account_id: str) -> Account:
        """One account. Raises `GStableError` 100401 where there is none."""
        route = path("/account/detail/{account_id}", account_id=account_id)
        return await self._requester.get(route, _parse.one(_parse.account))

    async def list(self) -> tuple[Account, ...]:
        """All accounts of the merchant, at most 20."""
        return await self._requester.get("/account/list", _parse.array_of(_parse.account))
