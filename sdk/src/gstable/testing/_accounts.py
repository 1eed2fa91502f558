"""Receiving accounts: given when the fake is made, only read over the API. Source: section 4."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gstable._errors import GStableUsageError
from gstable.testing._clock import wire_time
from gstable.testing._refusals import Refused
from gstable.testing._routes import Call, Route, get
from gstable.testing._tokens import TOKENS
from gstable.testing._world import World, token

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True)
class FakeAccount:
    """A wallet of the merchant. `address`: 20 bytes in hexadecimal, shown as it is given."""

    name: str = "Main"
    address: str = "0x5CbDd86a2FA8Dc4bDdd8a8f69dBa48572EeC07FB"


class Accounts:
    """The accounts under their ids."""

    def __init__(self, world: World, given: Iterable[FakeAccount]) -> None:
        self._world = world
        self._shown: dict[str, dict[str, object]] = {}
        self._removed: set[str] = set()
        for account in given:
            self._add(account)

    def _add(self, account: FakeAccount) -> None:
        if not _ADDRESS.fullmatch(account.address):
            raise GStableUsageError("address must be 0x and 40 hexadecimal digits")
        now = wire_time(self._world.clock.now)
        account_id = f"acc_{token(24)}"
        self._shown[account_id] = {
            "accountId": account_id,
            "accountName": account.name,
            "accountAddress": account.address,
            "accountType": "EVM::ADDR",
            "settlementCurrencies": sorted(TOKENS),
            "version": f"ver_{token(16)}",
            "status": "normal",
            "createAt": now,
            "updateAt": now,
        }

    @property
    def ids(self) -> tuple[str, ...]:
        """Those in use, in the order given."""
        return tuple(key for key in self._shown if key not in self._removed)

    def require(self, account_id: str) -> dict[str, object]:
        """Raises `Refused` 100401, or 100403 for one that was removed."""
        if account_id not in self._shown:
            raise Refused(100401)
        if account_id in self._removed:
            raise Refused(100403)
        return self._shown[account_id]

    def find(self, account_id: str) -> dict[str, object] | None:
        """The account unless it was removed."""
        return None if account_id in self._removed else self._shown[account_id]

    def remove(self, account_id: str) -> None:
        """What the merchant does in the dashboard. Raises `Refused` as `require`."""
        shown = self.require(account_id)
        self._removed.add(account_id)
        self._world.tell("account.removed", "account", {"accountData": shown})

    def routes(self) -> list[Route]:
        return [get("/account/list", self._list), get("/account/detail/{accountId}", self._detail)]

    def _list(self, call: Call) -> object:
        return [self._shown[account_id] for account_id in reversed(self.ids)]

    def _detail(self, call: Call) -> object:
        return self.require(call.values["accountId"])
