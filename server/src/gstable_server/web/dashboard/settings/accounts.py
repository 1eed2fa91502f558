"""Receiving accounts, which only the dashboard adds, renames and archives (spec 4)."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit.model import Fields, Note
from gstable_server.accounts.model import ACCOUNTS_MAX, ReceivingAccount
from gstable_server.accounts.ownership import operations as ownership
from gstable_server.accounts.ownership.operations import whereabouts
from gstable_server.accounts.payouts import operations as payouts
from gstable_server.accounts.payouts.model import PayoutChange
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Network
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import AccountId, PayoutChangeId
from gstable_server.links import operations as links
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import operations as sessions
from gstable_server.web.dashboard.address import id_of
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.settings.account_presenter import account_row, change_row
from gstable_server.web.dashboard.settings.ownership_presenter import (
    WhereaboutsRow,
    proof_row,
    whereabouts_row,
)
from gstable_server.web.dashboard.speech import moment

SECTION = "accounts"
FORM = Form(("accountName", "accountAddress", "acknowledged"))
RENAME_FORM = Form(("accountName",))
LINKS_SHOWN = 10
SESSIONS_SHOWN = 20
"""Open sessions that keep an account's address, on its page."""


class Accounts:
    """The handlers of the accounts' pages."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.networks = guard.desk.networks

    async def list(self, visit: Visit) -> Response:
        return await self._show_list(visit, FORM)

    def _networks(self, visit: Visit) -> tuple[Network, ...]:
        return self.networks.of(visit.tenant.mode)

    async def _show_list(
        self,
        visit: Visit,
        form: Form,
        status: int = 200,
        warning: WhereaboutsRow | None = None,
    ) -> Response:
        async with self.db.read() as tx:
            held = await accounts.list_accounts(tx, visit.tenant)
            waiting = await payouts.waiting(tx, visit.tenant)
            archived = await accounts.archived(tx, visit.tenant)
        return self.guard.show(
            visit,
            "accounts.html",
            SECTION,
            status=status,
            form=form,
            accounts=[account_row(account) for account in held],
            waiting=[change_row(change) for change in waiting],
            archived=[account_row(account) for account in archived],
            warning=warning,
            most=ACCOUNTS_MAX,
        )

    async def create(self, visit: Visit) -> Response:
        return await self._add(
            visit, visit.entries.get("accountName", ""), visit.entries.get("accountAddress", "")
        )

    async def restore(self, visit: Visit) -> Response:
        """Pay an archived account's wallet again: as if it were added, with all that guards
        that, because whoever archived it may have had a reason."""
        wanted = id_of(visit, AccountId, "account_id")
        async with self.db.read() as tx:
            found = await accounts.archived(tx, visit.tenant)
        for account in found:
            if account.account_id == wanted:
                return await self._add(visit, account.name, to_checksum(account.address))
        raise Refused(Code.ACCOUNT_NOT_FOUND)

    async def _add(self, visit: Visit, name: str, address: str) -> Response:
        form = FORM.filled({**visit.entries, "accountName": name, "accountAddress": address})
        try:
            _name, wallet = accounts.parse_account(self.networks, name, address)
            known = await whereabouts(wallet, self._networks(visit), self.guard.chains)
            if known.missing_on and not visit.entries.get("acknowledged"):
                warning = whereabouts_row(known, self.networks)
                return await self._show_list(visit, form, 422, warning)
            made = await self.db.run(
                payouts.add_account,
                visit.by,
                visit.tenant,
                self.networks,
                self.guard.payouts,
                name,
                address,
            )
        except Refused as refused:
            return await self._show_list(visit, form.refused(refused), 422)
        if isinstance(made, PayoutChange):
            return done(visit, "/accounts", "payout-asked")
        return done(visit, f"/accounts/{made.account_id}", "account-created")

    async def cancel_change(self, visit: Visit) -> Response:
        change_id = id_of(visit, PayoutChangeId, "change_id")
        policy = self.guard.payouts
        await self.db.run(payouts.cancel, visit.by, visit.tenant, policy, change_id)
        return done(visit, "/accounts", "payout-cancelled")

    async def detail(self, visit: Visit) -> Response:
        return await self._show(visit, "account.html", RENAME_FORM)

    async def _show(self, visit: Visit, template: str, form: Form, status: int = 200) -> Response:
        async with self.db.read() as tx:
            account = await accounts.require_account(
                tx, visit.tenant, id_of(visit, AccountId, "account_id")
            )
            count, paying = await links.paid_to(tx, visit.tenant, account.account_id, LINKS_SHOWN)
            proven = await ownership.proofs(tx, visit.tenant, account.account_id)
            still = await sessions.open_of_account(
                tx, visit.tenant, account.account_id, SESSIONS_SHOWN + 1
            )
        known = await whereabouts(account.address, self._networks(visit), self.guard.chains)
        if not form.values:
            form = replace(form, values={"accountName": account.name})
        return self.guard.show(
            visit,
            template,
            SECTION,
            status=status,
            form=form,
            account=account_row(account),
            links=[(link.link_id, link.name) for link in paying],
            link_count=count,
            open_sessions=[(one, moment(until)) for one, until in still[:SESSIONS_SHOWN]],
            has_more_sessions=len(still) > SESSIONS_SHOWN,
            proofs=[proof_row(one, self.networks) for one in proven],
            where=whereabouts_row(known, self.networks),
        )

    async def rename(self, visit: Visit) -> Response:
        account_id = id_of(visit, AccountId, "account_id")
        name = visit.entries.get("accountName", "")
        try:
            await self.guard.do(visit, _account_renamed, self._rename, visit, account_id, name)
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            form = RENAME_FORM.filled(visit.entries).refused(refused)
            return await self._show(visit, "account.html", form, 422)
        return done(visit, f"/accounts/{account_id}", "account-renamed")

    async def _rename(
        self, tx: Tx, visit: Visit, account_id: AccountId, name: str
    ) -> tuple[ReceivingAccount, ReceivingAccount]:
        before = await accounts.require_account(tx, visit.tenant, account_id)
        after = await accounts.rename_account(tx, visit.tenant, self.networks, account_id, name)
        return before, after

    async def confirm_removal(self, visit: Visit) -> Response:
        return await self._show(visit, "account_remove.html", RENAME_FORM)

    async def remove(self, visit: Visit) -> Response:
        account_id = id_of(visit, AccountId, "account_id")
        await self.guard.do(
            visit,
            _account_removed,
            accounts.remove_account,
            visit.tenant,
            self.networks,
            account_id,
        )
        return done(visit, "/accounts", "account-archived")


def _shown(account: ReceivingAccount) -> Fields:
    return {"name": account.name, "address": to_checksum(account.address)}


def _account_renamed(pair: tuple[ReceivingAccount, ReceivingAccount]) -> Note:
    before, after = pair
    names = {"name": before.name}, {"name": after.name}
    return Note("account.renamed", after.account_id, *names)


def _account_removed(account: ReceivingAccount) -> Note:
    return Note("account.removed", account.account_id, before=_shown(account))
