"""A merchant who opens sessions over HTTP, at the desk of ``world``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstable_server.kernel.ids import SessionId
from gstable_server.sessions import hearing
from gstable_server.sessions.model import SessionView
from tests.unit.catalog.support import Caller
from tests.unit.sessions.world import World

CREATE = "/session/checkout/create"
CANCEL = "/session/checkout/cancel"


def one_time(**changes: Any) -> dict[str, Any]:
    """A line that describes itself: tea at 10 USD."""
    return {
        "itemType": "one_time",
        "quantity": 1,
        "unitPrice": 10_000_000,
        "productData": {"productName": "Tea"},
        **changes,
    }


def product_line(product_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "itemType": "product",
        "productId": product_id,
        "quantity": 2,
        "unitPrice": 4_500_000,
        **changes,
    }


@dataclass(frozen=True)
class Till:
    """``caller`` speaks HTTP for the merchant of ``world``."""

    caller: Caller
    world: World

    def body(self, *lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return {
            "accountId": self.world.account.account_id,
            "settlementToken": "polygon::usdc",
            "lineItems": list(lines) or [one_time()],
            **changes,
        }

    async def session(self, *lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.caller.data(CREATE, self.body(*lines, **changes))
        return made

    async def refused(self, *lines: dict[str, Any], **changes: Any) -> tuple[int, str]:
        """The refusal of a session, which must have left nothing behind."""
        before = await self.total()
        answer = await self.caller.refusal(CREATE, self.body(*lines, **changes))
        assert await self.total() == before
        return answer

    async def refused_field(self, field: str, *lines: dict[str, Any], **changes: Any) -> None:
        code, message = await self.refused(*lines, **changes)
        assert code == 400101, (lines, changes, message)
        assert message.startswith(f"Invalid field format: {field} "), message

    async def total(self) -> int:
        page = await self.caller.data("/session/list/all/1/1")
        total: int = page["total"]
        return total

    async def detail(self, session_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.caller.data(f"/session/{session_id}")
        return found

    async def product(self, name: str = "Green tea") -> str:
        made = await self.caller.data("/product/create", {"name": name, "commonPrices": [1]})
        product_id: str = made["productId"]
        return product_id

    async def in_state(self, state: str) -> SessionView:
        """A session that went to ``state`` the way that sessions do."""
        view = await self.world.open()
        # Each session has a transaction of its own, as on a chain.
        log = self.world.log(view, tx=int.from_bytes(view.session.session_key[:4], "big"))
        if state == "cancelled":
            await self.caller.data(CANCEL, {"sessionId": view.session.session_id})
        elif state == "expired":
            self.world.db.clock.advance(1801)  # type: ignore[attr-defined]
            await self.world.db.run(hearing.expire_due, self.world.desk)
        else:
            await self.world.prepare(view)
            for kind in FACTS_TO[state]:
                await self.world.hear(kind, log)
        found = await self.world.view(SessionId(view.session.session_id))
        assert found.session.state.value == state
        return found


FACTS_TO = {
    "initialized": (),
    "paid": ("seen",),
    "settlement_pending": ("seen", "reorged"),
    "settling": ("seen", "reorged", "seen"),
    "completed": ("seen", "final"),
}
"""What the chain says until a prepared session is in that state."""
