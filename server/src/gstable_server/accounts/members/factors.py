"""The second factor: an authenticator app, and recovery codes for who has lost it or all passkeys.

The app's secret stands in the database sealed. A server without the key that sealed it checks no
code of an app, and says so; recovery codes and passkeys still work.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import structlog

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import store_factors as store
from gstable_server.accounts.members import store_passkeys
from gstable_server.accounts.members.guessing import guarded
from gstable_server.accounts.members.model import FAILURES_PER_EMAIL, By, LoginRefused
from gstable_server.accounts.members.totp import SECRET_BYTES, matching_step, step_of
from gstable_server.kernel.errors import invalid_field
from gstable_server.kernel.ids import MemberId
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.sealing import NONCE_BYTES, KeyLost, Sealer

log = structlog.get_logger(__name__)

RECOVERY_CODES = 10
RECOVERY_LENGTH = 16
"""Characters of 62: 95 bits, so that a fast hash is enough."""
CODE_LENGTH_MAX = 64


async def has_app(tx: Tx, member_id: MemberId) -> bool:
    """Whether codes of an app count."""
    found = await store.find(tx, member_id)
    return found is not None and found.is_confirmed


async def is_on(tx: Tx, member_id: MemberId) -> bool:
    """Whether signing in takes more than the password: a code, or a passkey."""
    return await has_app(tx, member_id) or bool(await store_passkeys.of_member(tx, member_id))


async def codes_left(tx: Tx, member_id: MemberId) -> int:
    """How many recovery codes were not used yet."""
    return await store.codes_left(tx, member_id)


async def begin(tx: Tx, by: By, sealer: Sealer | None) -> bytes:
    """A new app's secret, which counts from the first code on that is typed. Raises ``Refused``
    (400101) naming ``code`` if there is one already, and without a key to seal it with."""
    if sealer is None:
        raise invalid_field("code", "needs GSTABLE_SECRETS_KEY: ask who runs this server to set it")
    if await has_app(tx, by.member.member_id):
        raise invalid_field("code", "is asked for already: turn it off first")
    secret = hashlib.sha256(tx.ids.token(43).encode()).digest()[:SECRET_BYTES]
    await store.begin(tx, by.member.member_id, _sealed(tx, sealer, by.member.member_id, secret))
    return secret


def _sealed(tx: Tx, sealer: Sealer, member_id: MemberId, secret: bytes) -> bytes:
    nonce = hashlib.sha256(tx.ids.token(43).encode()).digest()[:NONCE_BYTES]
    return sealer.seal(secret, _about(member_id), nonce)


def _about(member_id: MemberId) -> str:
    return f"authenticator of {member_id}"


def _opened(sealer: Sealer | None, member_id: MemberId, sealed: bytes) -> bytes | None:
    """The secret, None if its key is lost."""
    if sealer is not None:
        try:
            return sealer.open(sealed, _about(member_id))
        except KeyLost as problem:
            log.error("a secret of an app cannot be opened", member=member_id, why=str(problem))
    return None


async def pending(tx: Tx, by: By, sealer: Sealer | None) -> bytes | None:
    """The secret of an app whose first code is still to be typed."""
    found = await store.find(tx, by.member.member_id)
    if found is None or found.is_confirmed:
        return None
    return _opened(sealer, by.member.member_id, found.secret)


async def turn_on(tx: Tx, by: By, code: str, sealer: Sealer | None) -> list[str]:
    """Ask for codes from now on. The recovery codes are told this once and kept as hashes only.

    Raises ``Refused`` (400101) naming ``code``: wrong, or nothing was begun.
    """
    member_id = by.member.member_id
    found = await store.find(tx, member_id, lock=True)
    is_begun = found is not None and not found.is_confirmed
    secret = _opened(sealer, member_id, found.secret) if found and is_begun else None
    if found is None or secret is None:
        raise invalid_field("code", "cannot be checked: begin again")
    step = matching_step(secret, _plain(code), step_of(tx.now), found.last_step)
    if step is None:
        raise invalid_field("code", "is not the one that the app shows now")
    await store.confirm(tx, member_id, step)
    codes = await _new_codes(tx, member_id)
    await audit.record(tx, by.actor, Action.SELF_SECURE, Note("second_factor.on", member_id))
    return codes


async def turn_off(tx: Tx, by: By) -> bool:
    """Ask for no code of an app any more; the recovery codes end too, unless there are passkeys.
    False, and nothing is written down, if none was asked for."""
    if not await store.delete(tx, by.member.member_id):
        return False
    await forget_codes_if_alone(tx, by.member.member_id)
    note = Note("second_factor.off", by.member.member_id)
    await audit.record(tx, by.actor, Action.SELF_SECURE, note)
    return True


async def _new_codes(tx: Tx, member_id: MemberId) -> list[str]:
    codes = [tx.ids.token(RECOVERY_LENGTH) for _ in range(RECOVERY_CODES)]
    await store.replace_codes(tx, member_id, [_code_hash(member_id, one) for one in codes])
    return codes


async def first_codes(tx: Tx, member_id: MemberId) -> list[str]:
    """Recovery codes for who has none yet, told this once; else nothing."""
    return [] if await store.codes_left(tx, member_id) else await _new_codes(tx, member_id)


async def forget_codes_if_alone(tx: Tx, member_id: MemberId) -> None:
    """Recovery codes of who has neither an app nor a passkey open nothing."""
    if not await is_on(tx, member_id):
        await store.delete_codes(tx, member_id)


async def prove(
    tx: Tx, member_id: MemberId, code: str, sealer: Sealer | None
) -> LoginRefused | None:
    """None for the code that the app shows now, or a recovery code, neither used before. Others
    are counted for the person, whoever tries and however often the password was right."""
    subjects = {f"code {member_id}": FAILURES_PER_EMAIL}

    async def is_right() -> bool:
        return await _is_right(tx, member_id, _plain(code), sealer)

    refused = await guarded(tx, subjects, is_right)
    if refused is None:
        return None
    found = await store.find(tx, member_id)
    is_lost = found is not None and _opened(sealer, member_id, found.secret) is None
    return replace(refused, is_key_lost=is_lost)


async def _is_right(tx: Tx, member_id: MemberId, code: str, sealer: Sealer | None) -> bool:
    found = await store.find(tx, member_id, lock=True)
    if found is not None and found.is_confirmed:
        secret = _opened(sealer, member_id, found.secret)
        now = step_of(tx.now)
        step = matching_step(secret, code, now, found.last_step) if secret else None
        if step is not None:
            await store.use_step(tx, member_id, step)
            return True
    return await store.use_code(tx, member_id, _code_hash(member_id, code))


async def reseal(tx: Tx, sealer: Sealer) -> tuple[int, int]:
    """Seal every secret with the newest key; says how many were sealed anew, and how many cannot
    be opened: those people use a recovery code, and set up their app again."""
    done = lost = 0
    for member_id, sealed in await store.lock_secrets(tx):
        secret = _opened(sealer, member_id, sealed)
        if secret is None:
            lost += 1
        elif not sealer.is_newest(sealed):
            await store.reseal(tx, member_id, _sealed(tx, sealer, member_id, secret))
            done += 1
    return done, lost


def _plain(code: str) -> str:
    return "".join(code.split())[:CODE_LENGTH_MAX]


def _code_hash(member_id: MemberId, code: str) -> bytes:
    return hmac.digest(member_id.encode(), code.encode(), "sha256")
