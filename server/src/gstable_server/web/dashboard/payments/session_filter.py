"""The filters of a list of sessions as they stand in an address: read, kept as they were typed, and
written into the addresses of the pages beside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from gstable_server.chain.networks import Networks
from gstable_server.kernel.ids import LinkId, ProductId, SessionId, id_or_none
from gstable_server.kernel.money import MicroUsd
from gstable_server.kernel.tenant import Mode
from gstable_server.sessions.lists.model import Filter, Place, Way, understood
from gstable_server.sessions.model import Flag, SessionState
from gstable_server.web.checkout.amounts import AmountError, parse_usd
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Visit
from gstable_server.web.dashboard.speech import N_

NAMES = (
    "q", "state", "token", "network", "min", "max", "from", "to", "link", "product", "flag",
)  # fmt: skip
ANY_FLAG = "any"
LENGTH_MAX = 254
_NO_DAY = N_("Write a day like 2026-01-31.")
_NO_SUCH = N_("There is no such thing to look for.")


@dataclass(frozen=True, slots=True)
class Typed:
    """A filter with what was typed for it; what cannot be one filters nothing, and says so."""

    form: Form
    wanted: Filter

    @property
    def is_set(self) -> bool:
        """Whether anything was typed at all."""
        return any(self.form.values.values())

    def query(self, **more: str) -> str:
        """The filters as they stand in an address, and ``more``."""
        kept = {name: text for name, text in self.form.values.items() if text}
        return urlencode({**kept, **more})


def typed(visit: Visit, networks: Networks) -> Typed:
    """What the address, or the form, asks for."""
    given = visit.entries or visit.request.query_params
    values = {name: _text(given.get(name, "")) for name in NAMES}
    form = Form(NAMES, values)
    state = values["state"] if values["state"] in set(SessionState) else ""
    flag = values["flag"] if values["flag"] in set(Flag) else ""
    tokens, names = choices(networks, visit.tenant.mode)
    form, low = _amount(form, "min")
    form, high = _amount(form, "max")
    form, since = _day(form, "from")
    form, last = _day(form, "to")
    link_id = id_or_none(LinkId, values["link"])
    product_id = id_or_none(ProductId, values["product"])
    for name, found in (("link", link_id), ("product", product_id)):
        if values[name] and found is None:
            form = form.marked(name, _NO_SUCH)
    wanted = Filter(
        state=SessionState(state) if state else None,
        token_id=values["token"] if values["token"] in tokens else None,
        network=values["network"] if values["network"] in names else None,
        amount_min=low,
        amount_max=high,
        since=since,
        until=last + timedelta(days=1) if last else None,
        link_id=link_id,
        product_id=product_id,
        flag=Flag(flag) if flag else None,
        is_unusual=values["flag"] == ANY_FLAG,
        asked=understood(values["q"]),
    )
    return Typed(form, wanted)


def choices(networks: Networks, mode: Mode) -> tuple[list[str], dict[str, str]]:
    """What can be chosen: token ids, and the networks' titles by name."""
    own = networks.of(mode)
    tokens = [token.token_id for network in own for token in network.tokens]
    return tokens, {network.name: network.title for network in own}


def place(visit: Visit) -> Place | None:
    """From where on the address asks for a page."""
    for way in Way:
        session_id = id_or_none(SessionId, visit.request.query_params.get(way.value, ""))
        if session_id is not None:
            return Place(way, session_id)
    return None


def _text(text: str) -> str:
    return text.replace("\0", "").strip()[:LENGTH_MAX]


def _amount(form: Form, name: str) -> tuple[Form, MicroUsd | None]:
    text = form.value(name)
    if not text:
        return form, None
    try:
        return form, MicroUsd(parse_usd(text))
    except AmountError as problem:
        return form.marked(name, str(problem)), None


def _day(form: Form, name: str) -> tuple[Form, datetime | None]:
    text = form.value(name)
    if not text:
        return form, None
    try:
        day = date.fromisoformat(text)
        # The list counts on from a day: neither end of the calendar can be.
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if not 1970 <= day.year <= 9000:
            raise ValueError
    except ValueError:
        return form.marked(name, _NO_DAY), None
    return form, at
