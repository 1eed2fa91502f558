"""API keys, which only the dashboard makes (spec 4): shown once, limited, revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.model import ApiKey, KeyLimits
from gstable_server.kernel.clock import wire_time
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import ApiKeyId, id_or_none
from gstable_server.kernel.scopes import RESOURCES, networks_from_text
from gstable_server.kernel.tenant import Access, Mode, Tenant
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.requests import AlreadyDone, once
from gstable_server.web.dashboard.settings.key_presenter import key_row
from gstable_server.web.dashboard.speech import N_

SECTION = "keys"
REVOKED = N_("This key was revoked already. It works nowhere.")
LIMITED = "limited"
LIFETIMES = {"": None, "30": 30, "90": 90, "365": 365}
"""Days after which a key ends, by what the form calls them."""
FORM = Form(
    ("name", "mode", "access", "expiresIn", "addresses", *(f"scope-{one}" for one in RESOURCES))
)


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
            now = tx.now
        return self.guard.show(
            visit,
            "keys.html",
            SECTION,
            status=status,
            form=form,
            keys=[key_row(key, now, uses.get(key.key_id)) for key in keys],
            issued=key_row(issued, now) if issued else None,
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
        return self.guard.show(
            visit, "key_revoke.html", SECTION, key=key_row(key, self.db.clock.now())
        )

    async def revoke(self, visit: Visit) -> Response:
        key = await self._key(visit)
        note = Note("key.revoked", key.key_id, before={"name": key.name, "hint": key.hint})
        noted = once(note, REVOKED)
        await self.guard.do(visit, noted, accounts.revoke_key, visit.tenant, key.key_id)
        return done(visit, "/keys", "key-revoked")

    async def _key(self, visit: Visit) -> ApiKey:
        """The key of the address. Raises ``AlreadyDone`` for one that was revoked."""
        key_id = id_or_none(ApiKeyId, visit.request.path_params["key_id"])
        async with self.db.read() as tx:
            for key in await accounts.list_keys(tx, visit.tenant):
                if key.key_id == key_id:
                    if key.revoked_at is not None:
                        raise AlreadyDone(REVOKED)
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
    return replace(FORM, values={"mode": mode.value, "access": Access.WRITE.value})


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
