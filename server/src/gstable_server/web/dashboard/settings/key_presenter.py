"""What the page of API keys shows; no input, output or clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gstable_server.accounts.model import ApiKey, KeyUse, key_prefix
from gstable_server.web.dashboard.speech import _, moment


@dataclass(frozen=True, slots=True)
class KeyRow:
    """``is_over``: its time has come, so it opens nothing any more."""

    key_id: str
    name: str
    hint: str
    kind: str
    limits: tuple[str, ...]
    created_at: str
    revoked_at: str
    is_over: bool
    used_at: str
    used_from: str


def key_row(key: ApiKey, now: datetime, use: KeyUse | None = None) -> KeyRow:
    ends = key.limits.expires_at
    is_secret = key_prefix(key.tenant.mode, key.access).startswith("sk_")
    return KeyRow(
        key_id=key.key_id,
        name=key.name,
        hint=key.hint,
        kind=_("Secret key") if is_secret else _("Restricted key"),
        limits=key_limits(key),
        created_at=moment(key.created_at),
        revoked_at=moment(key.revoked_at) if key.revoked_at else "",
        is_over=ends is not None and ends <= now,
        used_at=moment(use.used_at) if use else "",
        used_from=use.address if use else "",
    )


def key_limits(key: ApiKey) -> tuple[str, ...]:
    """What a key is limited to, a line each."""
    limits = key.limits
    lines = []
    if limits.scopes is not None:
        lines.append(", ".join(sorted(limits.scopes)))
    if limits.expires_at is not None:
        lines.append(_("ends %(time)s", time=moment(limits.expires_at)))
    if limits.addresses:
        lines.append(_("from %(addresses)s", addresses=", ".join(map(str, limits.addresses))))
    return tuple(lines)
