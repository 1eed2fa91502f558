"""Receiving accounts and API keys: what only the dashboard can change (spec 4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit.model import Fields, Note
from gstable_server.accounts.model import ACCOUNTS_MAX, ApiKey, KeyLimits, ReceivingAccount
from gstable_server.accounts.ownership import operations as ownership
from gstable_server.accounts.ownership.operations import whereabouts
from gstable_server.accounts.payouts import operations as payouts
from gstable_server.accounts.payouts.model import PayoutChange
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Network
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import AccountId, ApiKeyId, PayoutChangeId, id_or_none
from gstable_server.kernel.scopes import RESOURCES, networks_from_text
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.links import operations as links
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import operations as sessions
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.people.people_presenter import change_row
from gstable_server.web.dashboard.presenter import account_row, key_row
from gstable_server.web.dashboard.settings.ownership_presenter import (
    WhereaboutsRow,
    proof_row,
    whereabouts_row,
)
from gstable_server.web.dashboard.speech import moment

ACCOUNT_FORM = Form(("accountName", "accountAddress", "acknowledged"))
LINKS_SHOWN = 10
LIMITED = "limited"
SESSIONS_SHOWN = 20
"""Open sessions that keep an account's address, on its page."""
RENAME_FORM = Form(("accountName",))
LIFETIMES = {"": None, "30": 30, "90": 90, "365": 365}
"""Days after which a key ends, by what the form calls them."""
KEY_FORM = Form(
    ("name", "mode", "access", "expiresIn", "addresses", *(f"scope-{one}" for one in RESOURCES))
)


class Accounts:
    """The handlers of the accounts' pages."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.networks = guard.desk.networks

    async def list(self, visit: Visit) -> Response:
        return await self._show_list(visit, ACCOUNT_FORM)

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
            "accounts",
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
        wanted = _account_id(visit)
        async with self.db.read() as tx:
            found = await accounts.archived(tx, visit.tenant)
        for account in found:
            if account.account_id == wanted:
                return await self._add(visit, account.name, to_checksum(account.address))
        raise Refused(Code.ACCOUNT_NOT_FOUND)

    async def _add(self, visit: Visit, name: str, address: str) -> Response:
        form = ACCOUNT_FORM.filled(
            {**visit.entries, "accountName": name, "accountAddress": address}
        )
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
        change_id = id_or_none(PayoutChangeId, visit.request.path_params["change_id"])
        if change_id is None:
            raise Refused(Code.ROUTE_UNKNOWN)
        policy = self.guard.payouts
        await self.db.run(payouts.cancel, visit.by, visit.tenant, policy, change_id)
        return done(visit, "/accounts", "payout-cancelled")

    async def detail(self, visit: Visit) -> Response:
        return await self._show(visit, "account.html", RENAME_FORM)

    async def _show(self, visit: Visit, template: str, form: Form, status: int = 200) -> Response:
        async with self.db.read() as tx:
            account = await accounts.require_account(tx, visit.tenant, _account_id(visit))
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
            "accounts",
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
        account_id = _account_id(visit)
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
        account_id = _account_id(visit)
        await self.guard.do(
            visit,
            _account_removed,
            accounts.remove_account,
            visit.tenant,
            self.networks,
            account_id,
        )
        return done(visit, "/accounts", "account-archived")


def _account_id(visit: Visit) -> AccountId:
    account_id = id_or_none(AccountId, visit.request.path_params["account_id"])
    if account_id is None:
        raise Refused(Code.ACCOUNT_NOT_FOUND)
    return account_id


def _shown(account: ReceivingAccount) -> Fields:
    return {"name": account.name, "address": to_checksum(account.address)}


def _account_renamed(pair: tuple[ReceivingAccount, ReceivingAccount]) -> Note:
    before, after = pair
    names = {"name": before.name}, {"name": after.name}
    return Note("account.renamed", after.account_id, *names)


def _account_removed(account: ReceivingAccount) -> Note:
    return Note("account.removed", account.account_id, before=_shown(account))


class Keys:
    """The handlers of the API keys' pages."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def list(self, visit: Visit) -> Response:
        return await self._show_list(visit, _key_form(visit.tenant.mode))

    async def _show_list(
        self,
        visit: Visit,
        form: Form,
        status: int = 200,
        *,
        issued: ApiKey | None = None,
        secret: str = "",
    ) -> Response:
        async with self.db.read() as tx:
            keys = await accounts.list_keys(tx, visit.tenant)
            uses = await accounts.last_uses(tx, visit.tenant)
        return self.guard.show(
            visit,
            "keys.html",
            "keys",
            status=status,
            form=form,
            keys=[key_row(key, uses.get(key.key_id)) for key in keys],
            issued=key_row(issued) if issued else None,
            secret=secret,
            resources=RESOURCES,
        )

    async def create(self, visit: Visit) -> Response:
        """Make a key and show its secret in this very answer: it is in no address, in no list
        and nowhere in the database, so it cannot be shown again."""
        form = _key_form(visit.tenant.mode).filled(visit.entries)
        try:
            tenant, access, limits = _wanted(visit, self.db.clock.now())
            name = visit.entries.get("name", "")
            key, secret = await self.guard.do(
                visit, _key_issued, accounts.issue_key, tenant, access, name, limits
            )
        except Refused as refused:
            return await self._show_list(visit, form.refused(refused), 422)
        there = replace(visit, tenant=tenant)
        return await self._show_list(there, _key_form(tenant.mode), issued=key, secret=secret)

    async def confirm_revocation(self, visit: Visit) -> Response:
        key = await self._key(visit)
        return self.guard.show(visit, "key_revoke.html", "keys", key=key_row(key))

    async def revoke(self, visit: Visit) -> Response:
        key = await self._key(visit)
        note = Note("key.revoked", key.key_id, before={"name": key.name, "hint": key.hint})
        await self.guard.do(visit, lambda _: note, accounts.revoke_key, visit.tenant, key.key_id)
        return done(visit, "/keys", "key-revoked")

    async def _key(self, visit: Visit) -> ApiKey:
        """The key of the address, if it still works; else there is nothing to see."""
        key_id = id_or_none(ApiKeyId, visit.request.path_params["key_id"])
        async with self.db.read() as tx:
            for key in await accounts.list_keys(tx, visit.tenant):
                if key.key_id == key_id and key.revoked_at is None:
                    return key
        raise Refused(Code.ROUTE_UNKNOWN)


def _key_issued(issued: tuple[ApiKey, str]) -> Note:
    key, _ = issued
    after = {"name": key.name, "hint": key.hint, "access": key.access, "mode": key.tenant.mode}
    if key.limits.scopes is not None:
        after["scopes"] = " ".join(sorted(key.limits.scopes))
    if key.limits.expires_at is not None:
        after["expiresAt"] = wire_time(key.limits.expires_at)
    if key.limits.addresses:
        after["addresses"] = " ".join(map(str, key.limits.addresses))
    return Note("key.created", key.key_id, after=after)


def _key_form(mode: Mode) -> Form:
    return replace(KEY_FORM, values={"mode": mode.value, "access": Access.WRITE.value})


def _wanted(visit: Visit, now: datetime) -> tuple[Tenant, Access, KeyLimits]:
    """What kind of key was asked for. Refuses what the form does not offer."""
    mode, access = visit.entries.get("mode", ""), visit.entries.get("access", "")
    if mode not in set(Mode):
        raise Refused(Code.FIELD_INVALID, "mode must be test or live")
    if access not in {*Access, LIMITED}:
        raise Refused(Code.FIELD_INVALID, "access must be write, read or limited")
    scopes = _scopes(visit) if access == LIMITED else None
    if scopes is not None:
        writes = any(one.endswith(f":{Access.WRITE}") for one in scopes)
        access = Access.WRITE if writes else Access.READ
    tenant = Tenant(visit.tenant.merchant_id, Mode(mode))
    return tenant, Access(access), _limits(visit, now, scopes)


def _scopes(visit: Visit) -> frozenset[str]:
    """One field a kind of object: nothing, read or write."""
    found = set()
    for resource in RESOURCES:
        given = visit.entries.get(f"scope-{resource}", "")
        if given and given not in set(Access):
            raise Refused(Code.FIELD_INVALID, "access must be one of those that are offered")
        if given:
            found.add(f"{resource}:{given}")
    if not found:
        raise Refused(Code.FIELD_INVALID, "access must be chosen for one kind at least")
    return frozenset(found)


def _limits(visit: Visit, now: datetime, scopes: frozenset[str] | None) -> KeyLimits:
    lifetime = visit.entries.get("expiresIn", "")
    if lifetime not in LIFETIMES:
        raise Refused(Code.FIELD_INVALID, "expiresIn must be one of those that are offered")
    days = LIFETIMES[lifetime]
    try:
        addresses = networks_from_text(visit.entries.get("addresses", ""))
    except ValueError as problem:
        raise Refused(Code.FIELD_INVALID, f"addresses {problem}") from None
    return KeyLimits(scopes, now + timedelta(days=days) if days else None, addresses)
