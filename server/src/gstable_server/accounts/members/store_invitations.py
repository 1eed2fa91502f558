"""Rows of invitations into teams."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from gstable_server.accounts.members.model import Invitation
from gstable_server.kernel.ids import InvitationId, MemberId, MerchantId
from gstable_server.kernel.roles import Role
from gstable_server.plumbing.db import Tx


def _invitation(row: asyncpg.Record) -> Invitation:
    return Invitation(
        invitation_id=InvitationId(row["invitation_id"]),
        merchant_id=MerchantId(row["merchant_id"]),
        email=row["email"],
        role=Role(row["role"]),
        invited_by=MemberId(row["invited_by"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


async def insert(tx: Tx, invitation: Invitation, token_hash: bytes) -> None:
    await tx.execute(
        "INSERT INTO invitations (invitation_id, merchant_id, email, role, token_hash, invited_by,"
        " created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        invitation.invitation_id,
        invitation.merchant_id,
        invitation.email,
        invitation.role,
        token_hash,
        invitation.invited_by,
        invitation.created_at,
        invitation.expires_at,
    )


async def list_open(tx: Tx, merchant_id: MerchantId) -> list[Invitation]:
    """Those that can still be accepted, the newest first."""
    rows = await tx.fetch(
        "SELECT * FROM invitations WHERE merchant_id = $1 AND accepted_at IS NULL"
        " AND withdrawn_at IS NULL AND expires_at > $2 ORDER BY created_at DESC, invitation_id",
        merchant_id,
        tx.now,
    )
    return [_invitation(row) for row in rows]


async def find_open(tx: Tx, token_hash: bytes) -> Invitation | None:
    """The one of that link, if it can still be accepted; nobody else accepts it meanwhile."""
    row = await tx.fetchrow(
        "SELECT * FROM invitations WHERE token_hash = $1 AND accepted_at IS NULL"
        " AND withdrawn_at IS NULL AND expires_at > $2"
        " FOR UPDATE",
        token_hash,
        tx.now,
    )
    return _invitation(row) if row else None


async def newest_open_for(tx: Tx, email: str) -> Invitation | None:
    """One that can still be accepted by that address; nobody else accepts it meanwhile."""
    row = await tx.fetchrow(
        "SELECT * FROM invitations WHERE email = $1 AND accepted_at IS NULL"
        " AND withdrawn_at IS NULL AND expires_at > $2"
        " ORDER BY created_at DESC, invitation_id LIMIT 1 FOR UPDATE",
        email,
        tx.now,
    )
    return _invitation(row) if row else None


async def withdraw(tx: Tx, merchant_id: MerchantId, invitation_id: InvitationId) -> str | None:
    """Whom it was for; None if there is no such open invitation of that merchant."""
    email: str | None = await tx.fetchval(
        "UPDATE invitations SET withdrawn_at = $3 WHERE merchant_id = $1 AND invitation_id = $2"
        " AND accepted_at IS NULL AND withdrawn_at IS NULL RETURNING email",
        merchant_id,
        invitation_id,
        tx.now,
    )
    return email


async def withdraw_of(tx: Tx, merchant_id: MerchantId, email: str) -> None:
    """An earlier one for the same address, also one whose time is over."""
    await tx.execute(
        "UPDATE invitations SET withdrawn_at = $3 WHERE merchant_id = $1 AND email = $2"
        " AND accepted_at IS NULL AND withdrawn_at IS NULL",
        merchant_id,
        email,
        tx.now,
    )


async def withdraw_sent_by(
    tx: Tx, merchant_id: MerchantId, member_id: MemberId, roles: Sequence[Role]
) -> None:
    """Those to one of ``roles`` that a member of that merchant's sent."""
    await tx.execute(
        "UPDATE invitations SET withdrawn_at = $4 WHERE merchant_id = $1 AND invited_by = $2"
        " AND role = ANY($3) AND accepted_at IS NULL AND withdrawn_at IS NULL",
        merchant_id,
        member_id,
        list(roles),
        tx.now,
    )


async def mark_accepted(tx: Tx, invitation_id: InvitationId) -> None:
    await tx.execute(
        "UPDATE invitations SET accepted_at = $2 WHERE invitation_id = $1", invitation_id, tx.now
    )
