"""Passkeys: keys in a person's own devices that sign them in (WebAuthn, W3C, level 3).

Every use asks the device to verify its person (a finger, a face, a PIN), so a passkey is two
factors at once. What is to be signed is good once, for five minutes, in the one browser that was
asked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gstable_server.accounts.audit import operations as audit
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.members import factors
from gstable_server.accounts.members import store_passkeys as store
from gstable_server.accounts.members.model import By, Passkey
from gstable_server.accounts.model import name_from_text
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import MemberId, PasskeyId
from gstable_server.kernel.roles import Action
from gstable_server.plumbing.db import Tx
from gstable_server.plumbing.stamps import Stamps

ANSWERED_WITHIN = timedelta(minutes=5)
ANSWERS_KEPT_LONGER = timedelta(minutes=1)
"""Than they count: a transaction that began before a question's end may still be under way."""
SIGN_IN = "passkey"
"""What a stamped token of a browser without a login is good for."""
PASSKEYS_MAX = 20
"""Of one person."""
TOKEN_LENGTH = 43
CREDENTIAL_LENGTH_MAX = 8_192
RP_NAME = "GStable"
_BROKEN = (WebAuthnException, ValueError, KeyError, TypeError)
"""What the library raises for text that is no answer of an authenticator, or a wrong one."""


class Purpose(StrEnum):
    """What an answer of somebody with a login is good for, and for nothing else."""

    REGISTER = "register"
    PROVE = "prove"


@dataclass(frozen=True, slots=True)
class Party:
    """This server as authenticators know it: the host that keys are bound to, and the origin that
    browsers say they are used on."""

    rp_id: str
    origin: str

    @classmethod
    def of(cls, public_url: str) -> Party | None:
        """None where browsers make no passkeys: addresses without a name."""
        parts = urlsplit(public_url)
        host = parts.hostname or ""
        try:
            ip_address(host)
        except ValueError:
            return cls(host, f"{parts.scheme}://{parts.netloc}") if host else None
        return None


async def of_member(tx: Tx, member_id: MemberId) -> list[Passkey]:
    """A person's passkeys, the oldest first."""
    return await store.of_member(tx, member_id)


# --- adding one -----------------------------------------------------------------------------------


async def begin_registration(tx: Tx, token: str) -> None:
    """Have the browser that holds the login ``token`` make a new key."""
    await _ask(tx, token, Purpose.REGISTER)


async def registration_options(tx: Tx, party: Party, by: By, token: str) -> str | None:
    """What ``navigator.credentials.create`` is to be asked, as JSON; None if nothing was begun."""
    challenge = await store.find_challenge(tx, _token_hash(token), Purpose.REGISTER)
    if challenge is None:
        return None
    member = by.member
    options = webauthn.generate_registration_options(
        rp_id=party.rp_id,
        rp_name=RP_NAME,
        user_id=member.member_id.encode(),
        user_name=member.email,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=one.credential_id)
            for one in await store.of_member(tx, member.member_id)
        ],
    )
    return webauthn.options_to_json(options)


async def register(
    tx: Tx, party: Party, by: By, token: str, credential: str, name: str
) -> list[str] | Refused:
    """Keep the key that the browser made, under ``name``. The recovery codes, which are told this
    once, where there were none; else nothing.

    A refusal (400101, naming ``name`` or ``credential``) is an answer and not an exception, so that
    what was asked is good once also then.
    """
    member_id = by.member.member_id
    challenge = await store.take_challenge(tx, _token_hash(token), Purpose.REGISTER)
    try:
        key_name = name_from_text("name", name)
    except Refused as refused:
        return refused
    if challenge is None or len(credential) > CREDENTIAL_LENGTH_MAX:
        return invalid_field("credential", "came too late: begin again")
    if len(await store.of_member(tx, member_id)) >= PASSKEYS_MAX:
        return invalid_field("credential", f"is one too many: {PASSKEYS_MAX} are kept")
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        transports = _transports(credential)
    except _BROKEN:
        return invalid_field("credential", "is not what this server asked for: begin again")
    passkey = Passkey(
        passkey_id=tx.mint(PasskeyId),
        member_id=member_id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        transports=transports,
        name=key_name,
        created_at=tx.now,
    )
    if not await store.insert(tx, passkey):
        return invalid_field("credential", "is kept already")
    note = Note("passkey.added", passkey.passkey_id, after={"name": passkey.name})
    await audit.record(tx, by.actor, Action.SELF_SECURE, note)
    return await factors.first_codes(tx, member_id)


def _transports(credential: str) -> tuple[str, ...]:
    """How the device says that it can be reached; only hints for browsers."""
    found = json.loads(credential)["response"].get("transports") or []
    return tuple(str(one)[:20] for one in found if isinstance(one, str))[:8]


# --- proving --------------------------------------------------------------------------------------


def sign_in_token(stamps: Stamps, letters: str, now: datetime) -> str:
    """What a browser without a login holds while it is asked; nothing is stored of it. ``letters``
    are ``TOKEN_LENGTH`` random ones."""
    return stamps.token(SIGN_IN, letters, now + ANSWERED_WITHIN)


def sign_in_options(party: Party, token: str) -> str:
    """What ``navigator.credentials.get`` is to be asked in the browser that holds ``token``, as
    JSON: any key of this server."""
    return _proof_options(party, _challenge_of(token), [])


async def sign_in(
    tx: Tx, party: Party, stamps: Stamps, token: str, credential: str
) -> MemberId | None:
    """Whose key signed what the browser of ``token`` was asked for; None for anything else, and
    a second time. The challenge is ours because the token is stamped, and only an answer that was
    right is written down, so that strangers can fill no table."""
    until = stamps.end_of(SIGN_IN, token, tx.now)
    if until is None:
        return None
    found = await _verified(tx, party, _challenge_of(token), credential)
    if found is None or not await store.answer_once(tx, _token_hash(token), until):
        return None
    passkey, sign_count = found
    await store.use(tx, passkey.passkey_id, sign_count)
    return passkey.member_id


async def begin_proof(tx: Tx, party: Party, token: str, member_id: MemberId) -> str:
    """What ``navigator.credentials.get`` is to be asked, as JSON: only keys of ``member_id``.
    ``token`` is that of the login, or of the one that waits for its second factor."""
    challenge = await _ask(tx, token, Purpose.PROVE)
    return _proof_options(party, challenge, await store.of_member(tx, member_id))


def _proof_options(party: Party, challenge: bytes, known: list[Passkey]) -> str:
    options = webauthn.generate_authentication_options(
        rp_id=party.rp_id,
        challenge=challenge,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one.credential_id) for one in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


async def prove(tx: Tx, party: Party, token: str, credential: str) -> MemberId | None:
    """Whose key signed what the login of ``token`` was asked for; None for anything else, and a
    second time."""
    challenge = await store.take_challenge(tx, _token_hash(token), Purpose.PROVE)
    found = await _verified(tx, party, challenge, credential) if challenge is not None else None
    if found is None:
        return None
    passkey, sign_count = found
    await store.use(tx, passkey.passkey_id, sign_count)
    return passkey.member_id


async def _verified(
    tx: Tx, party: Party, challenge: bytes, credential: str
) -> tuple[Passkey, int] | None:
    """The key that signed ``challenge``, and its new counter. A key whose counter went back
    exists twice, and is refused."""
    if len(credential) > CREDENTIAL_LENGTH_MAX:
        return None
    try:
        said = json.loads(credential)
        passkey = await store.lock_credential(tx, base64url_to_bytes(said["rawId"]))
        handle = said["response"].get("userHandle")
        if passkey is None or (handle and base64url_to_bytes(handle) != passkey.member_id.encode()):
            return None
        proof = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (*_BROKEN, AttributeError):
        return None
    return passkey, proof.new_sign_count


def _challenge_of(token: str) -> bytes:
    return hashlib.sha256(f"{SIGN_IN} challenge {token}".encode()).digest()


async def _ask(tx: Tx, token: str, purpose: Purpose) -> bytes:
    challenge = hashlib.sha256(tx.ids.token(TOKEN_LENGTH).encode()).digest()
    until = tx.now + ANSWERED_WITHIN
    await store.write_challenge(tx, _token_hash(token), purpose, challenge, until)
    return challenge


# --- keeping --------------------------------------------------------------------------------------


async def rename(tx: Tx, by: By, passkey_id: PasskeyId, name: str) -> None:
    """Call a key something else. Raises ``Refused``: 400101 naming ``name``, 404."""
    after = name_from_text("name", name)
    before = await store.rename(tx, by.member.member_id, passkey_id, after)
    if before is None:
        raise Refused(Code.ROUTE_UNKNOWN)
    note = Note("passkey.renamed", passkey_id, {"name": before}, {"name": after})
    await audit.record(tx, by.actor, Action.SELF_SECURE, note)


async def remove(tx: Tx, by: By, passkey_id: PasskeyId) -> None:
    """Have a key open nothing any more. With the last factor end the recovery codes. Raises
    ``Refused`` (404)."""
    name = await store.delete(tx, by.member.member_id, passkey_id)
    if name is None:
        raise Refused(Code.ROUTE_UNKNOWN)
    await factors.forget_codes_if_alone(tx, by.member.member_id)
    note = Note("passkey.removed", passkey_id, before={"name": name})
    await audit.record(tx, by.actor, Action.SELF_SECURE, note)


async def purge(tx: Tx) -> None:
    """Forget what was never answered, and what cannot be answered again; for the timetable."""
    await store.purge(tx, tx.now - ANSWERS_KEPT_LONGER)


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
