"""Teams: links that work once, roles, the last owner, and who is out is out."""

from __future__ import annotations

import asyncio

import pytest

from gstable_server.accounts.members import operations as members
from gstable_server.accounts.members import team
from gstable_server.accounts.members.model import Browser, By, Login, Member
from gstable_server.accounts.notices import operations as notices
from gstable_server.accounts.notices.operations import Postman
from gstable_server.kernel.errors import Code, Refused
from gstable_server.kernel.ids import LoginId
from gstable_server.kernel.roles import Role
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.mail import Letter, MailDelayed, MailRefused
from gstable_server.plumbing.testing import FakeClock

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
HERE = Browser("192.0.2.1", "Test")


@pytest.fixture
async def owner(database: Database) -> By:
    made = await database.run(members.register_owner, "Example Ltd", "owner@example.com", PASSWORD)
    return By(made, "192.0.2.1")


async def _invited(db: Database, by: By, email: str, role: Role) -> str:
    _, token = await db.run(team.invite, by, email, role)
    return token


async def _joined(db: Database, by: By, name: str, role: Role) -> Login:
    token = await _invited(db, by, f"{name}@example.com", role)
    return await db.run(team.join_anew, token, PASSWORD, HERE)


async def _team(db: Database, by: By) -> dict[str, Role]:
    async with db.read() as tx:
        return {one.email: one.role for one in await team.members_of(tx, by.member.merchant_id)}


async def test_an_invitation_makes_a_member_once(database: Database, owner: By) -> None:
    token = await _invited(database, owner, " New@Example.com", Role.FINANCE)
    async with database.read() as tx:
        found, merchant, is_known = await team.invitation_of(tx, token)
        assert token.encode() != await tx.fetchval("SELECT token_hash FROM invitations")
    assert (found.email, found.role, merchant.name) == ("new@example.com", "finance", "Example Ltd")
    assert not is_known
    login = await database.run(team.join_anew, token, PASSWORD, HERE)
    assert login.member.role is Role.FINANCE
    presence = await database.run(members.presence_of, login.token)
    assert presence is not None
    assert presence.member == login.member
    with pytest.raises(Refused) as again:
        await database.run(team.join_anew, token, PASSWORD, HERE)
    assert again.value.code is Code.ROUTE_UNKNOWN
    assert await _team(database, owner) == {
        "owner@example.com": Role.OWNER,
        "new@example.com": Role.FINANCE,
    }


async def test_of_a_race_for_one_link_one_wins(database: Database, owner: By) -> None:
    token = await _invited(database, owner, "new@example.com", Role.VIEWER)
    outcomes = await asyncio.gather(
        *(database.run(team.join_anew, token, PASSWORD, HERE) for _ in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Login) for one in outcomes) == 1
    assert sum(isinstance(one, Refused) for one in outcomes) == 4


async def test_a_link_that_is_old_withdrawn_replaced_or_invented_leads_nowhere(
    database: Database, owner: By, clock: FakeClock
) -> None:
    replaced = await _invited(database, owner, "a@example.com", Role.VIEWER)
    withdrawn = await _invited(database, owner, "b@example.com", Role.VIEWER)
    await _invited(database, owner, "a@example.com", Role.ADMIN)
    async with database.read() as tx:
        held = {one.email: one for one in await team.invitations_of(tx, owner.member.merchant_id)}
    await database.run(team.withdraw, owner, held["b@example.com"].invitation_id)
    old = await _invited(database, owner, "c@example.com", Role.VIEWER)
    clock.advance(7 * 24 * 3600)
    for token in (replaced, withdrawn, old, "", "x" * 43):
        with pytest.raises(Refused) as refused:
            await database.run(team.join_anew, token, PASSWORD, HERE)
        assert refused.value.code is Code.ROUTE_UNKNOWN
    with pytest.raises(Refused) as twice:
        await database.run(team.withdraw, owner, held["b@example.com"].invitation_id)
    assert twice.value.code is Code.ROUTE_UNKNOWN


async def test_only_owners_make_and_unmake_owners(database: Database, owner: By) -> None:
    admin = By((await _joined(database, owner, "admin", Role.ADMIN)).member, "")
    viewer = (await _joined(database, owner, "viewer", Role.VIEWER)).member
    with pytest.raises(Refused, match="role of an owner is given and taken by owners only"):
        await database.run(team.invite, admin, "x@example.com", Role.OWNER)
    with pytest.raises(Refused, match="by owners only"):
        await database.run(team.change_role, admin, viewer.member_id, Role.OWNER)
    with pytest.raises(Refused, match="by owners only"):
        await database.run(team.change_role, admin, owner.member.member_id, Role.VIEWER)
    with pytest.raises(Refused, match="by owners only"):
        await database.run(team.remove, admin, owner.member.member_id)
    await database.run(team.change_role, admin, viewer.member_id, Role.SUPPORT)
    await database.run(team.change_role, owner, viewer.member_id, Role.OWNER)
    assert (await _team(database, owner))["viewer@example.com"] is Role.OWNER


async def test_who_lost_a_role_meanwhile_cannot_use_it(database: Database, owner: By) -> None:
    admin = By((await _joined(database, owner, "admin", Role.ADMIN)).member, "")
    await database.run(team.change_role, owner, admin.member.member_id, Role.VIEWER)
    with pytest.raises(Refused, match="role"):
        await database.run(team.invite, admin, "x@example.com", Role.VIEWER)


async def test_the_last_owner_stays(database: Database, owner: By) -> None:
    for verb in (
        database.run(team.remove, owner, owner.member.member_id),
        database.run(team.change_role, owner, owner.member.member_id, Role.ADMIN),
        database.run(team.leave, owner),
    ):
        with pytest.raises(Refused, match="role of the last owner stays"):
            await verb


async def test_of_two_owners_who_leave_at_once_one_stays(database: Database, owner: By) -> None:
    other = By((await _joined(database, owner, "other", Role.OWNER)).member, "")
    outcomes = await asyncio.gather(
        database.run(team.leave, owner), database.run(team.leave, other), return_exceptions=True
    )
    assert sum(isinstance(one, Refused) for one in outcomes) == 1
    assert list((await _team(database, owner)).values()) == [Role.OWNER]


async def test_who_is_removed_is_out_at_once_and_cannot_sign_in(
    database: Database, owner: By
) -> None:
    login = await _joined(database, owner, "new", Role.ADMIN)
    await database.run(team.remove, owner, login.member.member_id)
    assert await database.run(members.presence_of, login.token) is None
    again = await database.run(
        members.login, email="new@example.com", password=PASSWORD, browser=HERE
    )
    assert not isinstance(again, Login)


async def test_an_invitation_counts_only_while_its_sender_may_invite(
    database: Database, owner: By
) -> None:
    """Else a thief who is thrown out comes back by a link of their own."""
    thief = await _joined(database, owner, "thief", Role.ADMIN)
    by = By(thief.member, "192.0.2.9")
    mine = await _invited(database, by, "mine@example.com", Role.ADMIN)
    kept = await _invited(database, owner, "kept@example.com", Role.ADMIN)
    await database.run(team.change_role, owner, thief.member.member_id, Role.VIEWER)
    with pytest.raises(Refused) as refused:
        await database.run(team.join_anew, mine, PASSWORD, HERE)
    assert refused.value.code is Code.ROUTE_UNKNOWN
    assert await database.run(team.join_by_email, "mine@example.com", "192.0.2.9") is None
    async with database.read() as tx:
        [open_one] = await team.invitations_of(tx, owner.member.merchant_id)
    assert open_one.email == "kept@example.com"
    assert (await database.run(team.join_anew, kept, PASSWORD, HERE)).member.role is Role.ADMIN


async def test_a_person_of_two_merchants_sees_each_with_its_role(
    database: Database, owner: By
) -> None:
    login = await _joined(database, owner, "both", Role.VIEWER)
    presence = await database.run(members.presence_of, login.token)
    assert presence is not None
    first = await database.run(team.create_merchant, owner, await _login_id(database), "Second Ltd")
    second = By(await _elsewhere(database, owner), "")
    assert second.member.merchant_id == first.merchant_id
    token = await _invited(database, second, "both@example.com", Role.FINANCE)
    by = By(presence.member, "")
    await database.run(team.join, token, by, presence.login_id)
    shown = await database.run(members.presence_of, login.token)
    assert shown is not None
    assert (shown.member.merchant_id, shown.member.role) == (first.merchant_id, Role.FINANCE)
    await database.run(team.switch, by, presence.login_id, owner.member.merchant_id)
    back = await database.run(members.presence_of, login.token)
    assert back is not None
    assert (back.member.merchant_id, back.member.role) == (owner.member.merchant_id, Role.VIEWER)
    for other in ("f" * 64, "", "x"):
        with pytest.raises(Refused):
            await database.run(team.switch, by, presence.login_id, other)


async def _login_id(db: Database) -> LoginId:
    login = await db.run(members.login, email="owner@example.com", password=PASSWORD, browser=HERE)
    assert isinstance(login, Login)
    presence = await db.run(members.presence_of, login.token)
    assert presence is not None
    return presence.login_id


async def _elsewhere(db: Database, by: By) -> Member:
    """The same person in their other team."""
    async with db.read() as tx:
        teams = [member for member, _ in await team.teams_of(tx, by.member.member_id)]
    [other] = [one for one in teams if one.merchant_id != by.member.merchant_id]
    return other


async def test_an_invitation_of_a_known_person_needs_their_own_login(
    database: Database, owner: By
) -> None:
    login = await _joined(database, owner, "known", Role.VIEWER)
    await database.run(team.remove, owner, login.member.member_id)
    other = await _joined(database, owner, "other", Role.VIEWER)
    token = await _invited(database, owner, "known@example.com", Role.ADMIN)
    with pytest.raises(Refused) as anew:
        await database.run(team.join_anew, token, "another password", HERE)
    assert anew.value.code is Code.ROUTE_UNKNOWN
    presence = await database.run(members.presence_of, other.token)
    assert presence is not None
    with pytest.raises(Refused):
        await database.run(team.join, token, By(other.member, ""), presence.login_id)


async def test_another_merchants_members_and_invitations_are_not_there(
    database: Database, owner: By
) -> None:
    await database.run(team.create_merchant, owner, await _login_id(database), "Second Ltd")
    stranger = By(await _elsewhere(database, owner), "")
    viewer = (await _joined(database, owner, "viewer", Role.VIEWER)).member
    await _invited(database, owner, "open@example.com", Role.VIEWER)
    async with database.read() as tx:
        [invitation] = await team.invitations_of(tx, owner.member.merchant_id)
        assert await team.invitations_of(tx, stranger.member.merchant_id) == []
    for verb in (
        database.run(team.remove, stranger, viewer.member_id),
        database.run(team.change_role, stranger, viewer.member_id, Role.ADMIN),
        database.run(team.withdraw, stranger, invitation.invitation_id),
    ):
        with pytest.raises(Refused) as refused:
            await verb
        assert refused.value.code is Code.ROUTE_UNKNOWN


class Box:
    """A mail server that answers as it is told to, and keeps what it took."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.trouble: Exception | None = None

    async def send(self, letter: Letter) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.letters.append(letter)


async def test_a_letter_is_sent_once_tried_again_and_its_text_forgotten(
    database: Database, clock: FakeClock
) -> None:
    box = Box()
    postman = Postman(box, "office@example.com")
    await database.run(
        notices.write, ["a@example.com"], "Bcc: x\r\nevil", "Open <this>:\nhttps://x/1\n\nBye"
    )
    [notice_id] = await database.run(notices.due)
    box.trouble = MailDelayed("away")
    await notices.send(database, postman, notice_id)
    assert await database.run(notices.due) == []
    clock.advance(61)
    assert await database.run(notices.due) == [notice_id]
    box.trouble = None
    await notices.send(database, postman, notice_id)
    await notices.send(database, postman, notice_id)
    [letter] = box.letters
    assert letter.subject == "Bcc: x evil"
    assert letter.html.endswith("<p>Open &lt;this&gt;:<br>https://x/1</p><p>Bye</p></body></html>")
    async with database.read() as tx:
        row = await tx.fetchrow("SELECT body, ended_at, trouble FROM notices")
    assert row is not None
    assert (row["body"], row["ended_at"], row["trouble"]) == ("", clock.now(), None)


async def test_a_letter_that_is_refused_or_delayed_for_a_day_is_given_up(
    database: Database, clock: FakeClock
) -> None:
    box = Box()
    postman = Postman(box, "office@example.com")
    await database.run(notices.write, ["a@example.com", "b@example.com"], "Hello", "Text")
    first, second = await database.run(notices.due)
    box.trouble = MailRefused("no such mailbox")
    await notices.send(database, postman, first)
    box.trouble = MailDelayed("away")
    for _ in range(29):
        await notices.send(database, postman, second)
        clock.advance(3601)
    assert await database.run(notices.due) == []
    async with database.read() as tx:
        rows = await tx.fetch("SELECT trouble FROM notices ORDER BY trouble")
    assert [row["trouble"] for row in rows] == ["away", "no such mailbox"]
