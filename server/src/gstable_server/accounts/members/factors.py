"""The second factor: an authenticator app, and recovery codes for who has lost it."""

from __future__ import annotations

import hashlib
import hmac

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import store_factors as store
from gstable_server.accounts.members.guessing import guarded
from gstable_server.accounts.members.model import FAILURES_PER_EMAIL, By, LoginRefused
from gstable_server.accounts.members.totp import SECRET_BYTES, matching_step, step_of
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.ids import MemberId
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Tx

RECOVERY_CODES = 10
RECOVERY_LENGTH = 16
"""Characters of 62: 95 bits, so that a fast hash is enough."""
CODE_LENGTH_MAX = 64


async def is_on(tx: Tx, member_id: MemberId) -> bool:
    """Whether the person has to type a code when signing in."""
    found = await store.find(tx, member_id)
    return found is not None and found.is_confirmed


async def codes_left(tx: Tx, member_id: MemberId) -> int:
    """How many recovery codes were not used yet."""
    return await store.codes_left(tx, member_id)


async def begin(tx: Tx, by: By) -> bytes:
    """A new app's secret, which counts from the first code on that is typed. Raises ``Refused``
    (400101) naming ``code`` if there is one already."""
    if await is_on(tx, by.member.member_id):
        raise invalid_field("code", "is asked for already: turn it off first")
    secret = hashlib.sha256(tx.ids.token(43).encode()).digest()[:SECRET_BYTES]
    await store.begin(tx, by.member.member_id, secret)
    return secret


async def pending(tx: Tx, by: By) -> bytes | None:
    """The secret of an app whose first code is still to be typed."""
    found = await store.find(tx, by.member.member_id)
    return found.secret if found is not None and not found.is_confirmed else None


async def turn_on(tx: Tx, by: By, code: str) -> list[str]:
    """Ask for codes from now on. The recovery codes are told this once and kept as hashes only.

    Raises ``Refused`` (400101) naming ``code``: wrong, or nothing was begun.
    """
    member_id = by.member.member_id
    found = await store.find(tx, member_id, lock=True)
    if found is None or found.is_confirmed:
        raise invalid_field("code", "cannot be checked: begin again")
    step = matching_step(found.secret, _plain(code), step_of(tx.now), found.last_step)
    if step is None:
        raise invalid_field("code", "is not the one that the app shows now")
    await store.confirm(tx, member_id, step)
    codes = [tx.ids.token(RECOVERY_LENGTH) for _ in range(RECOVERY_CODES)]
    await store.replace_codes(tx, member_id, [_code_hash(member_id, one) for one in codes])
    await audit.record(tx, by.actor, Action.SELF_SECURE, Note("second_factor.on", member_id))
    return codes


async def turn_off(tx: Tx, by: By) -> None:
    """Ask for no code any more; the recovery codes end too."""
    await store.delete(tx, by.member.member_id)
    note = Note("second_factor.off", by.member.member_id)
    await audit.record(tx, by.actor, Action.SELF_SECURE, note)


async def prove(tx: Tx, member_id: MemberId, code: str) -> LoginRefused | None:
    """None for the code that the app shows now, or a recovery code, neither used before. Others
    are counted for the person, whoever tries and however often the password was right."""
    subjects = {f"code {member_id}": FAILURES_PER_EMAIL}

    async def is_right() -> bool:
        return await _is_right(tx, member_id, _plain(code))

    return await guarded(tx, subjects, is_right)


async def _is_right(tx: Tx, member_id: MemberId, code: str) -> bool:
    found = await store.find(tx, member_id, lock=True)
    if found is None or not found.is_confirmed:
        return False
    step = matching_step(found.secret, code, step_of(tx.now), found.last_step)
    if step is not None:
        await store.use_step(tx, member_id, step)
        return True
    return await store.use_code(tx, member_id, _code_hash(member_id, code))


def _plain(code: str) -> str:
    return "".join(code.split())[:CODE_LENGTH_MAX]


def _code_hash(member_id: MemberId, code: str) -> bytes:
    return hmac.digest(member_id.encode(), code.encode(), "sha256")
