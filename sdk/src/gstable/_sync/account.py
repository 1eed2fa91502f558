# Generated from _async/account.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""Receiving accounts, made in the dashboard and read here. Source: specification section 4."""

from gstable import _parse
from gstable._sync.requester import Requester
from gstable._body import path
from gstable._models import Account


class AccountNamespace:
    """`client.account`. Every method raises `GStableError`."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    def detail(self, account_id: str) -> Account:
        """One account. Raises `GStableError` 100401 where there is none."""
        route = path("/account/detail/{account_id}", account_id=account_id)
        return self._requester.get(route, _parse.one(_parse.account))

    def list(self) -> tuple[Account, ...]:
        """All accounts of the merchant, at most 20."""
        return self._requester.get("/account/list", _parse.array_of(_parse.account))
