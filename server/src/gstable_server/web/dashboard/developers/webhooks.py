"""Webhooks: endpoints, their keys, what was sent to them and what they answered.

The acts are the operations of the merchant API; nothing is done here that a key could not do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import ValidationError
from starlette.responses import Response

from gstable_server.accounts.audit.model import Fields, Note, change_note
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import WebhookId
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.problems import refusal
from gstable_server.web.dashboard.address import NEWEST, number_before
from gstable_server.web.dashboard.developers import webhook_notices
from gstable_server.web.dashboard.developers.webhooks_presenter import (
    EVENT_GROUPS,
    RECOMMENDED,
    VIEWS,
    EndpointRow,
    endpoint_row,
    log_row,
)
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done, onward
from gstable_server.web.dashboard.requests import once
from gstable_server.web.dashboard.speech import N_, _
from gstable_server.web.dashboard.versions import (
    VERSION,
    ChangedMeanwhile,
    conflict,
    require_version,
    version_of,
)
from gstable_server.webhooks import operations
from gstable_server.webhooks.model import (
    ENDPOINTS_MAX,
    EVENT_TYPES,
    GRACE_SECONDS_MAX,
    Endpoint,
    Target,
    View,
)
from gstable_server.webhooks.routes import webhook_id_of
from gstable_server.webhooks.wire import CreateWebhook

SECTION = "webhooks"
SHOWN = 25
PICK = "event-"
"""Before an event's name, its checkbox."""
FIELDS = ("webhookName", "webhookUrl", "webhookDescription")
FORM = Form((*FIELDS, "subscribedEvents", *(PICK + name for name in EVENT_TYPES)))
LABELS = {
    "webhookName": N_("Name"),
    "webhookUrl": N_("Address"),
    "webhookDescription": N_("Description"),
    "subscribedEvents": N_("Events"),
}
RANGE_FORM = Form(("since", "until"))
ALREADY = {
    "enabled": N_("This webhook was on already."),
    "disabled": N_("This webhook was off already."),
}
GRACES = {"0": 0, "3600": 3600, "86400": 86_400, "604800": GRACE_SECONDS_MAX}
"""Seconds for which the old key signs beside the new one."""


class Webhooks:
    """The handlers of endpoints."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def list(self, visit: Visit) -> Response:
        async with self.db.read() as tx:
            endpoints = await operations.list_webhooks(tx, visit.tenant)
            conditions = await operations.conditions(tx, visit.tenant)
            now = tx.now
        rows = [endpoint_row(one, conditions[one.webhook_id], now) for one in endpoints]
        return self.guard.show(visit, "webhooks.html", SECTION, rows=rows, most=ENDPOINTS_MAX)

    # --- made and changed ---------------------------------------------------------------------

    async def new(self, visit: Visit) -> Response:
        picked = {PICK + name: "on" for name in RECOMMENDED}
        return self._form(visit, replace(FORM, values=picked), "")

    def _form(self, visit: Visit, form: Form, version: str, status: int = 200) -> Response:
        """``version`` is empty for an endpoint that is to be made."""
        return self.guard.show(
            visit,
            "webhook_form.html",
            SECTION,
            status=status,
            form=form,
            groups=EVENT_GROUPS,
            pick=PICK,
            version=version,
            webhook_id=visit.request.path_params.get("webhook_id", ""),
        )

    async def create(self, visit: Visit) -> Response:
        """Make an endpoint and show its key in this very answer, which has no address of its
        own."""
        try:
            target = _target(visit.entries)
            made = await self.guard.do(visit, _created, self._create, visit, target)
        except Refused as refused:
            form = FORM.filled(visit.entries).refused(refused)
            return self._form(visit, form, "", 422)
        return self._secret(visit, made, made.keys.current, "created")

    async def _create(self, tx: Tx, visit: Visit, target: Target) -> Endpoint:
        made = await operations.create(tx, visit.tenant, target)
        await webhook_notices.tell(tx, self.guard, visit, webhook_notices.CREATED, made)
        return made

    def _secret(self, visit: Visit, endpoint: Endpoint, key: str, why: str) -> Response:
        return self.guard.show(
            visit,
            "webhook_secret.html",
            SECTION,
            webhook_id=endpoint.webhook_id,
            name=endpoint.target.name,
            key=key,
            why=why,
        )

    async def edit(self, visit: Visit) -> Response:
        endpoint = await self._endpoint(visit)
        saved = _values(endpoint.target)
        picked = {PICK + name: "on" for name in endpoint.target.events}
        return self._form(visit, replace(FORM, values={**saved, **picked}), version_of(saved))

    async def save(self, visit: Visit) -> Response:
        webhook_id = _webhook_id(visit)
        try:
            target = _target(visit.entries)
            await self.guard.do(visit, _changed, self._save, visit, webhook_id, target)
        except ChangedMeanwhile as changed:
            labels = {name: _(text) for name, text in LABELS.items()}
            return conflict(
                self.guard, visit, SECTION, changed, labels, f"/webhooks/{webhook_id}/edit"
            )
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            form = FORM.filled(visit.entries).refused(refused)
            return self._form(visit, form, visit.entries.get(VERSION, ""), 422)
        return done(visit, f"/webhooks/{webhook_id}", "webhook-saved")

    async def _save(
        self, tx: Tx, visit: Visit, webhook_id: WebhookId, target: Target
    ) -> tuple[Endpoint, Endpoint]:
        before = await operations.lock(tx, visit.tenant, webhook_id)
        given = visit.entries.get(VERSION, "")
        require_version(given, _values(before.target), _values(target))
        after = await operations.update(tx, visit.tenant, webhook_id, target)
        if after.target.url != before.target.url:
            was = before.target.url
            await webhook_notices.tell(tx, self.guard, visit, webhook_notices.MOVED, after, was)
        return before, after

    async def enable(self, visit: Visit) -> Response:
        return await self._switch(visit, "enabled")

    async def disable(self, visit: Visit) -> Response:
        return await self._switch(visit, "disabled")

    async def _switch(self, visit: Visit, to: str) -> Response:
        webhook_id = _webhook_id(visit)
        note = Note(f"webhook.{to}", webhook_id)
        verb = operations.enable if to == "enabled" else operations.disable
        await self.guard.do(visit, once(note, ALREADY[to]), verb, visit.tenant, webhook_id)
        return done(visit, f"/webhooks/{webhook_id}", f"webhook-{to}")

    async def confirm_removal(self, visit: Visit) -> Response:
        endpoint = await self._endpoint(visit)
        return self.guard.show(visit, "webhook_remove.html", SECTION, endpoint=endpoint)

    async def remove(self, visit: Visit) -> Response:
        endpoint = await self._endpoint(visit)
        note = Note("webhook.removed", endpoint.webhook_id, before=_values(endpoint.target))
        await self.guard.do(
            visit, lambda _none: note, operations.remove, visit.tenant, endpoint.webhook_id
        )
        return done(visit, "/webhooks", "webhook-removed")

    # --- the key ------------------------------------------------------------------------------

    async def reveal(self, visit: Visit) -> Response:
        """Show the key to somebody who has just proved who they are; it is written down."""
        webhook_id = _webhook_id(visit)
        note = Note("webhook.revealed", webhook_id)
        endpoint = await self.guard.do(
            visit, lambda _endpoint: note, operations.detail, visit.tenant, webhook_id
        )
        return self._secret(visit, endpoint, endpoint.keys.current, "revealed")

    async def confirm_rotation(self, visit: Visit) -> Response:
        endpoint = await self._endpoint(visit)
        return self.guard.show(visit, "webhook_rotate.html", SECTION, endpoint=endpoint)

    async def rotate(self, visit: Visit) -> Response:
        endpoint = await self._endpoint(visit)
        given = visit.entries.get("grace", "")
        if given not in GRACES:
            raise invalid_field("grace", "must be one of those that are offered")
        note = Note("webhook.rotated", endpoint.webhook_id, after={"graceSeconds": given})
        key = await self.guard.do(
            visit, lambda _key: note, self._rotate, visit, endpoint, GRACES[given]
        )
        return self._secret(visit, endpoint, key, "rotated")

    async def _rotate(self, tx: Tx, visit: Visit, endpoint: Endpoint, grace_seconds: int) -> str:
        webhook_id = endpoint.webhook_id
        key = await operations.refresh_key(tx, visit.tenant, webhook_id, grace_seconds)
        await webhook_notices.tell(tx, self.guard, visit, webhook_notices.ROTATED, endpoint)
        return key

    # --- what was sent ------------------------------------------------------------------------

    async def show(self, visit: Visit) -> Response:
        return await self._show(visit, RANGE_FORM)

    async def _show(self, visit: Visit, form: Form, status: int = 200) -> Response:
        view, before = _view(visit), number_before(visit)
        async with self.db.read() as tx:
            endpoint = await operations.detail(tx, visit.tenant, _webhook_id(visit))
            conditions = await operations.conditions(tx, visit.tenant)
            lines = await operations.log_of(
                tx, visit.tenant, endpoint.webhook_id, view, before, SHOWN + 1
            )
            row = endpoint_row(endpoint, conditions[endpoint.webhook_id], tx.now)
        is_try = view in {View.ALL, View.FAILED, View.DELIVERED}
        return self.guard.show(
            visit,
            "webhook.html",
            SECTION,
            status=status,
            row=row,
            lines=[log_row(one, is_try=is_try) for one in lines[:SHOWN]],
            views=[(one.value, text) for one, text in VIEWS.items()],
            view=view.value,
            older=lines[SHOWN - 1].number if len(lines) > SHOWN else 0,
            is_first=before == NEWEST,
            form=form,
            snippet=snippet(row),
        )

    async def test(self, visit: Visit) -> Response:
        """Send a test, and go to the page of its event, which shows what comes of it."""
        webhook_id = _webhook_id(visit)
        event_id = await self.guard.do(
            visit,
            lambda event_id: Note("webhook.tested", webhook_id, after={"eventId": event_id}),
            operations.send_test,
            visit.tenant,
            webhook_id,
        )
        return onward(visit, f"/events/{event_id}?asked=1")

    async def redeliver_range(self, visit: Visit) -> Response:
        webhook_id = _webhook_id(visit)
        form = RANGE_FORM.filled(visit.entries)
        try:
            since, until = _moment(visit, "since"), _moment(visit, "until")
            if until <= since:
                raise invalid_field("until", "must be after the beginning")
            await self.guard.do(
                visit,
                lambda number: Note(
                    "webhook.redelivered",
                    webhook_id,
                    after={
                        "since": since.isoformat(),
                        "until": until.isoformat(),
                        "messages": str(number),
                    },
                ),
                operations.redeliver_range,
                visit.tenant,
                webhook_id,
                since,
                until,
            )
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            return await self._show(visit, form.refused(refused), 422)
        return onward(visit, f"/webhooks/{webhook_id}?view=waiting&done=range-redelivered")

    async def _endpoint(self, visit: Visit) -> Endpoint:
        async with self.db.read() as tx:
            return await operations.detail(tx, visit.tenant, _webhook_id(visit))


SNIPPET = """\
import os

from fastapi import FastAPI, Request, Response
from gstable import SignatureError, webhooks

app = FastAPI()
key = os.environ["GSTABLE_WEBHOOK_KEY"]  # of "{name}"


@app.post("{path}")
async def receive(request: Request) -> Response:
    try:
        event = webhooks.verify(await request.body(), request.headers, key)
    except SignatureError:
        return Response(status_code=400)
    ...  # event.event_id is the same on every try: handle each once
    return Response(status_code=204)
"""


def snippet(row: EndpointRow) -> str:
    """A receiver for this endpoint that checks every signature."""
    path = "/" + row.url.split("//", 1)[-1].partition("?")[0].partition("/")[2]
    name = "".join(letter for letter in row.name if letter.isalnum() or letter in " -")
    return SNIPPET.format(name=name, path=path.replace('"', "").replace("\\", ""))


def _webhook_id(visit: Visit) -> WebhookId:
    return webhook_id_of(visit.request.path_params["webhook_id"])


def _target(entries: Mapping[str, str]) -> Target:
    """What the form says, by the rules of the API. Raises ``Refused`` naming the field."""
    sent = {name: entries.get(name, "").strip() for name in FIELDS} | {
        "subscribedEvents": [name for name in EVENT_TYPES if entries.get(PICK + name)]
    }
    if not sent["subscribedEvents"]:
        raise invalid_field("subscribedEvents", "must have at least one")
    try:
        return CreateWebhook.model_validate(sent).target()
    except ValidationError as failure:
        raise refusal(failure, CreateWebhook, sent) from None


def _values(target: Target) -> Fields:
    """What a person sees and types of an endpoint: for versions and for the audit log."""
    return {
        "webhookName": target.name,
        "webhookUrl": target.url,
        "webhookDescription": target.description or "",
        "subscribedEvents": " ".join(sorted(target.events)),
    }


def _created(endpoint: Endpoint) -> Note:
    return Note("webhook.created", endpoint.webhook_id, after=_values(endpoint.target))


def _changed(pair: tuple[Endpoint, Endpoint]) -> Note:
    before, after = _values(pair[0].target), _values(pair[1].target)
    return change_note("webhook.changed", pair[1].webhook_id, before, after)


def _view(visit: Visit) -> View:
    text = visit.request.query_params.get("view", "")
    return View(text) if text in set(View) else View.ALL


def _moment(visit: Visit, name: str) -> datetime:
    """A time in UTC, as a browser's field for one writes it."""
    try:
        return datetime.fromisoformat(visit.entries.get(name, "")).replace(tzinfo=UTC)
    except ValueError:
        raise invalid_field(name, "must be a day and a time") from None
