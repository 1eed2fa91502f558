"""What the platform offers for test keys only. Source: specification section 15, Test mode."""

from gstable.testing._fields import ID, integer, record
from gstable.testing._payments import Payments
from gstable.testing._refunds import Refunds
from gstable.testing._routes import DONE, Call, Route, post
from gstable.testing._sessions import Sessions
from gstable.testing._world import World

ADVANCE_MAX_SECONDS = 31_536_000


class TestMode:
    """A session's own clock: its times come closer, and what is due then happens."""

    __test__ = False  # the name is the platform's, and no collector of tests should try it

    def __init__(
        self, world: World, sessions: Sessions, payments: Payments, refunds: Refunds
    ) -> None:
        self._world = world
        self._sessions = sessions
        self._payments = payments
        self._refunds = refunds

    def routes(self) -> list[Route]:
        terms = record(sessionId=ID, seconds=integer(1, ADVANCE_MAX_SECONDS))
        return [post("/test/session/advance", self._advance, terms)]

    def _advance(self, call: Call) -> object:
        session = self._sessions.require(call.body["sessionId"])
        seconds = call.body["seconds"]
        closer = max(self._world.clock.now, session.expires_at - seconds)
        session.fixed["expirationTime"] = min(session.expires_at, closer)
        self._refunds.advance(session, seconds)
        self._payments.pass_time()
        return DONE
