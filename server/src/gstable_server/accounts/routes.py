"""Receiving accounts in the merchant API: reading only (spec 4)."""

from __future__ import annotations

from gstable_server.accounts import operations, wire
from gstable_server.chain.networks import Networks
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import AccountId, id_or_none
from gstable_server.kernel.tenant import Access
from gstable_server.plumbing.route import Call, Json, Route

_TAGS = ("Accounts",)


def routes(networks: Networks) -> list[Route]:
    """``/account/list`` and ``/account/detail/:accountId``."""

    async def list_all(call: Call) -> Json:
        accounts = await operations.list_accounts(call.tx, call.caller.tenant)
        return [wire.render(account, networks) for account in accounts]

    async def detail(call: Call) -> Json:
        account_id = id_or_none(AccountId, call.path["accountId"])
        if account_id is None:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        account = await operations.require_account(call.tx, call.caller.tenant, account_id)
        return wire.render(account, networks)

    return [
        Route(
            "GET", "/account/list", list_all, "List receiving accounts, newest first",
            Access.READ, list[wire.Account], tags=_TAGS,
        ),
        Route(
            "GET", "/account/detail/{accountId}", detail, "Read one receiving account",
            Access.READ, wire.Account, tags=_TAGS,
        ),
    ]  # fmt: skip
