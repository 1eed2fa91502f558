"""The team's page: who is in it, who is invited, and what each may do."""

from __future__ import annotations

from starlette.responses import Response

from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import INVITED_FOR, Invitation, Member
from gstable_server.accounts.notices import operations as notices
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import InvitationId, MemberId
from gstable_server.kernel.roles import ROLE_WORDS, Role, may_assign
from gstable_server.plumbing.db import Tx
from gstable_server.web.dashboard.address import id_of
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.people.joining import JOIN
from gstable_server.web.dashboard.people.people_presenter import MemberRow
from gstable_server.web.dashboard.speech import N_, moment, said, spoken
from gstable_server.web.dashboard.words import of_role

INVITE_FORM = Form(("email", "role"), {"role": Role.VIEWER.value})
ROLE_FORM = Form(("role",))
INVITED_SUBJECT = N_("You are invited to the team of %(merchant)s")
INVITED = N_("""%(who)s invites you to the team of %(merchant)s as %(role)s.

Open this link within %(days)s days. It works once:
%(link)s

If you do not know them, do nothing.
""")


class Team:
    """The handlers of the team's page."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db

    async def list(self, visit: Visit) -> Response:
        return await self._page(visit, INVITE_FORM)

    async def _page(
        self, visit: Visit, form: Form, status: int = 200, *, email: str = "", link: str = ""
    ) -> Response:
        """``link`` is that of an invitation for ``email`` that was just made: it is shown in this
        very answer and nowhere again."""
        async with self.db.read() as tx:
            members = await team.members_of(tx, visit.member.merchant_id)
            invited = await team.invitations_of(tx, visit.member.merchant_id)
        return self.guard.show(
            visit,
            "team.html",
            "team",
            status=status,
            form=form,
            members=[_row(visit, one) for one in members],
            invitations=[_invitation_row(one) for one in invited],
            roles=[(role.value, said(ROLE_WORDS[role])) for role in _assignable(visit)],
            email=email,
            link=link,
            sends_mail=self.guard.sends_mail,
        )

    async def invite(self, visit: Visit) -> Response:
        form = INVITE_FORM.filled(visit.entries)
        try:
            invitation, token = await self.db.run(self._invite, visit, form)
        except Refused as refused:
            return await self._page(visit, form.refused(refused), 422)
        return await self._page(visit, INVITE_FORM, email=invitation.email, link=self._link(token))

    async def _invite(self, tx: Tx, visit: Visit, form: Form) -> tuple[Invitation, str]:
        role = team.role_from_text(form.value("role"))
        invitation, token = await team.invite(tx, visit.by, form.value("email"), role)
        if self.guard.sends_mail:
            await notices.write(
                tx,
                [invitation.email],
                INVITED_SUBJECT,
                INVITED,
                spoken().tag,
                who=visit.member.email,
                merchant=visit.merchant.name,
                role=role,
                days=str(INVITED_FOR.days),
                link=self._link(token),
            )
        return invitation, token

    def _link(self, token: str) -> str:
        return f"{self.guard.desk.public_url}{JOIN}/{token}"

    async def withdraw(self, visit: Visit) -> Response:
        invitation_id = id_of(visit, InvitationId, "invitation_id")
        await self.db.run(team.withdraw, visit.by, invitation_id)
        return done(visit, "/team", "invitation-withdrawn")

    async def change_role(self, visit: Visit) -> Response:
        role = team.role_from_text(visit.entries.get("role", ""))
        try:
            await self.db.run(team.change_role, visit.by, id_of(visit, MemberId, "member_id"), role)
        except Refused as refused:
            return await self._refused(visit, refused)
        return done(visit, "/team", "member-changed")

    async def confirm_removal(self, visit: Visit) -> Response:
        async with self.db.read() as tx:
            members = await team.members_of(tx, visit.member.merchant_id)
        for one in members:
            if one.member_id == id_of(visit, MemberId, "member_id"):
                return self.guard.show(visit, "team_remove.html", "team", one=_row(visit, one))
        raise Refused(Code.ROUTE_UNKNOWN)

    async def remove(self, visit: Visit) -> Response:
        try:
            await self.db.run(team.remove, visit.by, id_of(visit, MemberId, "member_id"))
        except Refused as refused:
            return await self._refused(visit, refused)
        return done(visit, "/team", "member-removed")

    async def _refused(self, visit: Visit, refused: Refused) -> Response:
        # Beside no field of the page's form, which is for somebody new.
        form = Form(INVITE_FORM.names, INVITE_FORM.values, problem=of_role(refused))
        return await self._page(visit, form, 422)


def _assignable(visit: Visit) -> list[Role]:
    return [role for role in Role if may_assign(visit.member.role, role)]


def _row(visit: Visit, one: Member) -> MemberRow:
    return MemberRow(
        member_id=one.member_id,
        email=one.email,
        role=one.role.value,
        joined_at=moment(one.joined_at),
        is_self=one.member_id == visit.member.member_id,
        can_change=may_assign(visit.member.role, one.role),
    )


def _invitation_row(one: Invitation) -> tuple[str, str, str, str]:
    return one.invitation_id, one.email, one.role.value, moment(one.expires_at)
