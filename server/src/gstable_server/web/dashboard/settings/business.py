"""Settings: the business's name, what it accepts, its letters, and what the server's operator
decides for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit.model import Note, change_note
from gstable_server.accounts.branding import operations as brandings
from gstable_server.accounts.notices import operations as notices
from gstable_server.accounts.preferences import operations as preferences
from gstable_server.accounts.preferences.model import Policies, Preferences
from gstable_server.chain.checksum import to_checksum
from gstable_server.chain.networks import Network
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.money import MicroUsd, usd_text
from gstable_server.plumbing.db import Tx
from gstable_server.web.checkout.amounts import AmountError, ZeroAmountError, parse_usd
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.speech import N_, _, number
from gstable_server.web.dashboard.versions import (
    VERSION,
    ChangedMeanwhile,
    conflict,
    require_version,
    version_of,
)

SECTION = "settings"
NETWORK = "network-"
"""Before a network's name, its checkbox."""
NAME_FORM = Form(("name",))
PREFERENCE_FIELDS = ("late", "short", "surplus", "receipts", "networks")
LABELS = {
    "networks": N_("Networks"),
    "lateSeconds": N_("Seconds late"),
    "short": N_("Short by, in millionths of a dollar"),
    "surplus": N_("Surplus"),
    "receipts": N_("Receipts by e-mail"),
}
LETTER_SUBJECT = N_("%(merchant)s: a test")
LETTER = N_("This letter shows that e-mail of GStable reaches you.")
MINUTES_MAX = 10_080


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """A network that the server has; ``finality`` says when money on it is final."""

    name: str
    title: str
    chain_id: int
    tokens: str
    confirmations: int
    by_tag: bool


def network_row(network: Network) -> NetworkRow:
    return NetworkRow(
        name=network.name,
        title=network.title,
        chain_id=network.chain_id,
        tokens=", ".join(token.symbol for token in network.tokens),
        confirmations=network.confirmations,
        by_tag=network.trust.finality.value == "finalized",
    )


class Business:
    """The handlers of settings."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.desk = guard.desk

    async def show(self, visit: Visit) -> Response:
        return await self._show(visit, None, None)

    async def _show(
        self, visit: Visit, name_form: Form | None, form: Form | None, status: int = 200
    ) -> Response:
        async with self.db.read() as tx:
            held = await preferences.preferences(tx, visit.tenant)
            branding = await brandings.branding(tx, visit.tenant.merchant_id)
        networks = self.desk.networks.of(visit.tenant.mode)
        # A form that comes back keeps the version that it was opened with.
        version = version_of(held.entries) if form is None else visit.entries.get(VERSION, "")
        return self.guard.show(
            visit,
            "settings.html",
            SECTION,
            status=status,
            name_form=name_form or replace(NAME_FORM, values={"name": visit.merchant.name}),
            form=form or replace(_form(networks), values=_filled(held, networks)),
            version=version,
            networks=[network_row(one) for one in networks],
            pick=NETWORK,
            branding=branding,
            server=self._server(),
            sends_mail=self.guard.sends_mail,
        )

    async def rename(self, visit: Visit) -> Response:
        try:
            await self.guard.do(
                visit,
                lambda pair: Note(
                    "merchant.renamed",
                    visit.tenant.merchant_id,
                    {"name": pair[0].name},
                    {"name": pair[1].name},
                ),
                accounts.rename_merchant,
                visit.tenant.merchant_id,
                visit.entries.get("name", ""),
            )
        except Refused as refused:
            form = NAME_FORM.filled(visit.entries).refused(refused)
            return await self._show(visit, form, None, 422)
        return done(visit, "/settings", "settings-saved")

    async def save(self, visit: Visit) -> Response:
        networks = self.desk.networks.of(visit.tenant.mode)
        form = _form(networks).filled(visit.entries)
        try:
            wanted = _wanted(visit.entries, networks)
            await self.guard.do(visit, _changed, self._save, visit, wanted)
        except ChangedMeanwhile as changed:
            labels = {name: _(text) for name, text in LABELS.items()}
            return conflict(self.guard, visit, SECTION, changed, labels, "/settings")
        except Refused as refused:
            if refused.code is not Code.FIELD_INVALID:
                raise
            return await self._show(visit, None, form.refused(refused), 422)
        return done(visit, "/settings", "settings-saved")

    async def _save(
        self, tx: Tx, visit: Visit, wanted: Preferences
    ) -> tuple[Preferences, Preferences]:
        before = await preferences.lock(tx, visit.tenant)
        require_version(visit.entries.get(VERSION, ""), before.entries, wanted.entries)
        return before, await preferences.save(tx, visit.tenant, wanted)

    async def send_letter(self, visit: Visit) -> Response:
        """A letter to whoever asks: it shows whether the server's mail arrives."""
        if not self.guard.sends_mail:
            raise Refused(Code.ROUTE_UNKNOWN)
        note = Note("letter.tested", visit.member.member_id)
        await self.guard.do(visit, lambda _none: note, self._write_letter, visit)
        return done(visit, "/settings", "test-letter-sent")

    async def _write_letter(self, tx: Tx, visit: Visit) -> None:
        to, merchant = [visit.member.email], visit.merchant.name
        await notices.write(tx, to, LETTER_SUBJECT, LETTER, merchant=merchant)

    def _server(self) -> list[tuple[str, str, str]]:
        """What the operator decided: in words, its value, and the variable that it comes from."""
        desk, schedule = self.desk, self.desk.schedule
        hours = int(self.guard.payouts.delay.total_seconds() // 3600)
        seconds = int(desk.lifetime.total_seconds())
        grace = int(desk.order_grace.total_seconds())
        ppm = (schedule.same_token_ppm, schedule.same_chain_ppm, schedule.crosschain_ppm)
        fees = " · ".join(f"{one / 10_000:g} %" for one in ppm)
        return [
            (_("Address of this server"), desk.public_url, "GSTABLE_PUBLIC_URL"),
            (_("Networks and tokens"), _("See above"), "GSTABLE_NETWORKS_FILE"),
            (_("Fees: same token, other token, other network"), fees, ""),
            (_("Who gets the fee"), to_checksum(desk.fee_receiver), "GSTABLE_FEE_RECEIVER"),
            (_("Seconds until a session ends"), number(seconds), "GSTABLE_SESSION_SECONDS"),
            (
                _("Seconds that a payment may be mined later"),
                number(grace),
                "GSTABLE_ORDER_GRACE_SECONDS",
            ),
            (_("Hours before a new wallet is paid"), number(hours), "GSTABLE_PAYOUT_DELAY_HOURS"),
            (
                _("Sends payments that payers only signed"),
                _("Yes") if desk.relays else _("No"),
                "GSTABLE_RELAYER_KEY",
            ),
            (
                _("Sends e-mail"),
                _("Yes") if self.guard.sends_mail else _("No"),
                "GSTABLE_SMTP_URL",
            ),
        ]


def _form(networks: tuple[Network, ...]) -> Form:
    return Form((*PREFERENCE_FIELDS, *(NETWORK + one.name for one in networks)))


def _filled(held: Preferences, networks: tuple[Network, ...]) -> Mapping[str, str]:
    policies = held.policies
    return {
        "late": str(policies.late_seconds // 60),
        "short": usd_text(policies.short),
        "surplus": "keep" if policies.keeps_surplus else "ask",
        "receipts": "on" if held.mails_receipts else "",
        **{NETWORK + one.name: "on" for one in networks if held.accepts(one.name)},
    }


def _wanted(entries: Mapping[str, str], networks: tuple[Network, ...]) -> Preferences:
    """What the form says. Raises ``Refused`` (400101) naming the field. All networks means those
    that are added later too."""
    picked = frozenset(one.name for one in networks if entries.get(NETWORK + one.name))
    if networks and not picked:
        raise invalid_field("networks", "must have at least one")
    if entries.get("surplus") not in {"keep", "ask"}:
        raise invalid_field("surplus", "must be one of those that are offered")
    return Preferences(
        networks=None if len(picked) == len(networks) else picked,
        policies=Policies(
            late_seconds=_minutes(entries.get("late", "")) * 60,
            short=_dollars(entries.get("short", "")),
            keeps_surplus=entries["surplus"] == "keep",
        ),
        mails_receipts=bool(entries.get("receipts")),
    )


def _minutes(text: str) -> int:
    plain = text.strip() or "0"
    if not (plain.isascii() and plain.isdigit()) or len(plain) > 5 or int(plain) > MINUTES_MAX:
        raise invalid_field("late", f"must be minutes, from 0 to {MINUTES_MAX}")
    return int(plain)


def _dollars(text: str) -> MicroUsd:
    """Nothing is nothing, unlike an amount that somebody pays."""
    if not text.strip():
        return MicroUsd(0)
    try:
        return parse_usd(text)
    except ZeroAmountError:
        return MicroUsd(0)
    except AmountError:
        raise invalid_field("short", "must be dollars with a point, like 0.50") from None


def _changed(pair: tuple[Preferences, Preferences]) -> Note:
    return change_note("settings.changed", "preferences", pair[0].entries, pair[1].entries)
